package providertest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/lookupq/lookupq/providers"
)

// checkPartition: numbers that were answered together are one partition, asked
// as often and as parallel as one likes; what is out of scope is unsupported.
func checkPartition(_ context.Context, x *exam) error {
	var errs []error
	for _, c := range x.cases {
		errs = append(errs, x.onePartition(c))
	}
	// A number that is none: refused or not, it must not be worse than that.
	if _, failure := x.sample.Partition(providers.Number{}, nil); failure != nil && failure.Kind != providers.KindUnsupported {
		errs = append(errs, fmt.Errorf("out of scope is %w, want unsupported", failure))
	}
	return errors.Join(errs...)
}

func (x *exam) onePartition(c *Case) error {
	first, failure := x.sample.Partition(c.numbers[0], c.Options)
	if failure != nil {
		return fmt.Errorf("a number of %s is refused: %w", c.file, failure)
	}
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for _, n := range c.numbers {
				if p, failure := x.sample.Partition(n, c.Options); failure != nil || p != first {
					errs[i] = fmt.Errorf("numbers of %s are in partitions %q and %q", c.file, first, p)
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
