package providertest

import (
	"context"
	"time"

	"go.uber.org/goleak"
)

// checkGoroutines: once its calls are back and the idle connections closed, a
// provider has nothing running, also after calls that ended badly.
func checkGoroutines(ctx context.Context, x *exam) error {
	before := goleak.IgnoreCurrent()
	if _, err := x.try(ctx, x.found, replay(x.found.Response)); err != nil {
		return err
	}
	if overNetwork(x) {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := x.try(short, x.found, hanging(nil)); err != nil {
			return err
		}
		if _, err := x.try(ctx, x.found, raw(true, "")); err != nil {
			return err
		}
	}
	return goleak.Find(before)
}
