package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lookupq/lookupq/providers/setup"
)

// checkSettings: a setting that the type does not have is refused, by its name
// and line, so that a slip of the pen is not taken for silence.
func checkSettings(_ context.Context, x *exam) error {
	base := ""
	if overNetwork(x) {
		base = nowhere
	}
	_, err := x.build(&Case{file: "unknown setting", Settings: json.RawMessage(`{"no_such_setting": 1}`)}, base, nil)
	if err == nil {
		return errors.New("an unknown setting is taken")
	}
	all, ok := errors.AsType[setup.FieldErrors](err)
	if !ok {
		return fmt.Errorf("an unknown setting is not refused with setup.FieldErrors but: %w", err)
	}
	if len(all) > 1 {
		return fmt.Errorf("the recorded settings have faults of their own: %w", err)
	}
	if e := all[0]; !strings.Contains(e.Path, "no_such_setting") || e.Line != 1 {
		return fmt.Errorf("the error does not name the unknown setting with its line: %w", err)
	}
	return nil
}
