package providertest

import (
	"context"
	"errors"
	"fmt"
)

// checkLimits: the limits make sense and never change, and no recorded call is
// above them.
func checkLimits(_ context.Context, x *exam) error {
	switch l := x.limits; {
	case l != x.sample.Limits():
		return errors.New("the limits change from call to call")
	case l.MaxBatch < 1 || l.DefaultBatch < 1 || l.DefaultBatch > l.MaxBatch:
		return fmt.Errorf("a batch of %d by default and %d at most", l.DefaultBatch, l.MaxBatch)
	case l.Timeout <= 0:
		return errors.New("no timeout")
	case l.Concurrency < 0 || l.Rate < 0:
		return errors.New("a negative concurrency or rate")
	}
	for _, c := range x.cases {
		most, err := x.mostOf(c)
		switch {
		case err != nil:
			return err
		case most < 1 || most > x.limits.MaxBatch:
			return fmt.Errorf("%s: a partition of %d numbers a call, with %d at most", c.file, most, x.limits.MaxBatch)
		case len(c.numbers) > most:
			return fmt.Errorf("%s asks more than %d numbers", c.file, most)
		}
	}
	return nil
}
