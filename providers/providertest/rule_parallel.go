package providertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/lookupq/lookupq/providers"
)

// checkParallel: calls at the same time do not touch each other.
func checkParallel(ctx context.Context, x *exam) error {
	const callers, rounds = 8, 5
	numbers, want := x.found.numbers, x.found.Outcomes
	var s *session
	var err error
	if overNetwork(x) {
		var m *mimic
		if m, err = newMimic(x.found); err != nil {
			return err
		}
		numbers, want = m.more(callers * min(x.limits.MaxBatch, 10))
		shuffle(numbers, want) // or what one caller expects is what all expect
		s, err = x.open(x.found, m)
	} else {
		s, err = x.open(x.found, nil)
	}
	if err != nil {
		return err
	}
	defer s.close()
	errs := make([]error, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			// Each caller has numbers of its own, where there are enough.
			from, to := i*len(numbers)/callers, (i+1)*len(numbers)/callers
			if from == to {
				from, to = 0, len(numbers)
			}
			for range rounds {
				errs[i] = errors.Join(errs[i], s.wants(ctx, x.found.queryOf(numbers[from:to]), want[from:to]))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// shuffle is the same every time.
func shuffle(numbers []providers.Number, want []Outcome) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	random.Shuffle(len(numbers), func(i, j int) {
		numbers[i], numbers[j] = numbers[j], numbers[i]
		want[i], want[j] = want[j], want[i]
	})
}

// wants makes a call and compares its outcomes.
func (s *session) wants(ctx context.Context, q providers.Query, want []Outcome) error {
	r, err := s.call(ctx, q)
	if err == nil {
		err = sameAll(want, r)
	}
	if err != nil {
		return fmt.Errorf("%d numbers: %w", len(q.Numbers), err)
	}
	return nil
}
