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
	if _, err := x.try(ctx, x.found, x.found.recorded()); err != nil {
		return err
	}
	if overNetwork(x) {
		for at := range x.found.steps() {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			_, err := x.try(short, x.found, x.found.serve(at, hanging(nil)))
			cancel()
			if err != nil {
				return err
			}
			if _, err := x.try(ctx, x.found, x.found.serve(at, raw(true, ""))); err != nil {
				return err
			}
		}
	}
	return goleak.Find(before)
}
