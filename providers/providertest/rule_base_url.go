package providertest

import (
	"context"
	"fmt"
	"strings"
)

// checkBaseURL: an address that cannot be one is refused when the provider is
// built, not at its first call, and without repeating a password in it.
func checkBaseURL(_ context.Context, x *exam) error {
	for _, bad := range []string{"example.com", "ftp://example.com", "https://", "https://user:hunter2@example.com", "https://example.com/?key=hunter2"} {
		_, err := x.build(x.found, bad, nil)
		if err == nil {
			return fmt.Errorf("base_url %q is taken", bad)
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "base_url") {
			return fmt.Errorf("the error repeats a password or does not name base_url: %w", err)
		}
	}
	return nil
}
