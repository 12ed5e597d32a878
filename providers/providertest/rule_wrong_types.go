package providertest

import (
	"context"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkWrongTypes: with any one value of a reply of another type, nothing breaks.
// The numbers whose entries are as recorded are answered as recorded, or the call
// has failed; the number whose entry is damaged is not refused for good, and
// nobody blames the key.
func checkWrongTypes(ctx context.Context, x *exam) error {
	return x.eachStep(func(c *Case, at int, step step) error {
		all, err := mutations(step.response.Body, step.response.Entries)
		if err != nil {
			return err
		}
		owner, err := c.owners()
		if err != nil {
			return err
		}
		for _, m := range all {
			r, err := x.try(ctx, c, c.serve(at, replayBody(step.response, m.body)))
			if err == nil {
				err = c.checkMutation(m, owner, r)
			}
			if err != nil {
				return fmt.Errorf("%s, %s with %s: %w", c.file, step.name, m.what, err)
			}
		}
		return nil
	})
}

func (c *Case) checkMutation(m mutation, owner []int, r providers.Reply) error {
	if err := blameless(r); err != nil {
		return err
	}
	for i, o := range r.Outcomes {
		damaged := m.entry < 0 || owner[m.entry] == i
		switch {
		case !damaged && o.Kind != providers.Failed:
			if err := same(c.Outcomes[i], o); err != nil {
				return fmt.Errorf("number %d, whose entry is whole: %w", i, err)
			}
		case o.Kind == providers.Invalid, o.Kind == providers.NotFound && !m.none:
			return fmt.Errorf("number %d is %s because of a damaged reply", i, written(o).Kind)
		}
	}
	return nil
}

// owners says which number each entry of the recorded list is of.
func (c *Case) owners() ([]int, error) {
	if c.answer().Entries == nil {
		return nil, nil
	}
	list, err := c.entries()
	if err != nil {
		return nil, err
	}
	sorted, err := c.entriesByNumber()
	if err != nil {
		return nil, err
	}
	owner := make([]int, len(list))
	for i, e := range list {
		for n := range sorted {
			if string(sorted[n]) == string(e) {
				owner[i] = n
			}
		}
	}
	return owner, nil
}
