package providertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// checkBaseURL: an address that cannot be one is refused when the provider is
// built, not at its first call, and without repeating a password in it. So is no
// address at all by a type that has none of its own.
func checkBaseURL(_ context.Context, x *exam) error {
	if _, err := x.build(x.found, "", nil); err != nil && !strings.Contains(err.Error(), "base_url") {
		return fmt.Errorf("without an address: the error does not name base_url: %w", err)
	}
	if _, err := x.build(x.found, nowhere+"/", nil); err != nil {
		return fmt.Errorf("an address of http is refused: %w", err)
	}
	for _, bad := range []string{"example.com", "ftp://example.com", "https://", "https://user:hunter2@example.com", "https://example.com/?key=hunter2"} {
		_, err := x.build(x.found, bad, nil)
		if err == nil {
			return errors.New("base_url " + bad + " is taken")
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "base_url") {
			return fmt.Errorf("the error repeats a password or does not name base_url: %w", err)
		}
	}
	return nil
}
