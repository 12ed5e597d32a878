package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkPartial: partial.json is understood. A provider that takes one number at
// a time records one that fails.
func checkPartial(ctx context.Context, x *exam) error {
	c, err := load(x.typ.Testdata, filePartial, "a call in which some numbers are found and others are not")
	if err != nil {
		return err
	}
	found := slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Kind == kindFound })
	other := c.Failure != nil || slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Kind != kindFound })
	if !other || !found && x.limits.MaxBatch > 1 {
		return fmt.Errorf("%s: some numbers have to be found, and others not", c.file)
	}
	return x.replay(ctx, c)
}
