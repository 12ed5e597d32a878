package providertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/lookupq/lookupq/providers"
)

// checkParallel: calls at the same time do not touch each other.
func checkParallel(ctx context.Context, x *exam) error {
	for _, c := range x.answering {
		if err := x.crowd(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}

func (x *exam) crowd(ctx context.Context, c *Case) error {
	const callers, rounds = 8, 5
	numbers, want, upstream, err := x.plenty(c, callers)
	if err != nil {
		return err
	}
	s, err := x.open(c, upstream)
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
			for round := range rounds {
				ticket := ticketOf(1 + i*rounds + round)
				if err := s.wants(ctx, numbers[from:to], want[from:to], ticket); err != nil {
					errs[i] = err
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// plenty is numbers for so many callers of calls like c, what to expect of each,
// and the upstream that answers them. A provider that calls nobody has c's alone.
func (x *exam) plenty(c *Case, callers int) ([]providers.Number, []Outcome, http.Handler, error) {
	if !overNetwork(x) {
		return c.numbers, c.Outcomes, nil, nil
	}
	m, err := newMimic(c)
	if err != nil {
		return nil, nil, nil, err
	}
	most, err := x.mostOf(c)
	if err != nil {
		return nil, nil, nil, err
	}
	if m.entries == nil {
		most = 1 // the body speaks of one number
	}
	numbers, want := m.more(callers * min(most, 10))
	shuffle(numbers, want) // or what one caller expects is what all expect
	return numbers, want, m, nil
}

// shuffle is the same every time.
func shuffle(numbers []providers.Number, want []Outcome) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	random.Shuffle(len(numbers), func(i, j int) {
		numbers[i], numbers[j] = numbers[j], numbers[i]
		want[i], want[j] = want[j], want[i]
	})
}

// wants makes a call for numbers and compares its outcomes.
func (s *session) wants(ctx context.Context, numbers []providers.Number, want []Outcome, ticket string) error {
	q, err := s.queryOf(numbers)
	if err != nil {
		return err
	}
	r, err := s.ask(ctx, q, ticket)
	if err == nil {
		err = sameAll(want, r)
	}
	if err != nil {
		return fmt.Errorf("%d numbers: %w", len(numbers), err)
	}
	return nil
}
