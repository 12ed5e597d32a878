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
	first, failure := x.sample.Partition(x.found.numbers[0], x.found.Options)
	if failure != nil {
		return fmt.Errorf("a number of %s is refused: %w", x.found.file, failure)
	}
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for _, n := range x.found.numbers {
				if p, failure := x.sample.Partition(n, x.found.Options); failure != nil || p != first {
					errs[i] = fmt.Errorf("numbers of %s are in partitions %q and %q", x.found.file, first, p)
				}
			}
		})
	}
	group.Wait()
	// A number that is none: refused or not, it must not be worse than that.
	if _, failure := x.sample.Partition(providers.Number{}, nil); failure != nil && failure.Kind != providers.KindUnsupported {
		errs = append(errs, fmt.Errorf("out of scope is %w, want unsupported", failure))
	}
	return errors.Join(errs...)
}
