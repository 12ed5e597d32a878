package providertest

import (
	"context"
	"slices"
)

// checkFullBatch: a call of as many numbers as the upstream takes brings each its
// own answer, also when they come in the opposite order.
func checkFullBatch(ctx context.Context, x *exam) error {
	m, err := newMimic(x.found)
	if err != nil {
		return err
	}
	m.arrange = func(entries []entry) { slices.Reverse(entries) }
	numbers, want := m.more(x.limits.MaxBatch)
	s, err := x.open(x.found, m)
	if err != nil {
		return err
	}
	defer s.close()
	return s.wants(ctx, x.found.queryOf(numbers), want)
}
