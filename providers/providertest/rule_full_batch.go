package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkFullBatch: a call of as many numbers as the upstream takes brings each its
// own answer, also when they come in the opposite order.
func checkFullBatch(ctx context.Context, x *exam) error {
	for _, c := range x.lists {
		m, err := newMimic(c)
		if err != nil {
			return err
		}
		most, err := x.mostOf(c)
		if err != nil {
			return err
		}
		m.arrange = func(entries []entry) { slices.Reverse(entries) }
		numbers, want := m.more(most)
		s, err := x.open(c, m)
		if err != nil {
			return err
		}
		err = s.wants(ctx, numbers, want, ticketOf(1))
		s.close()
		if err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}
