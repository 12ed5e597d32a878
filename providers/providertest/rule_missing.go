package providertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/lookupq/lookupq/providers"
)

// checkMissing: numbers that the reply leaves out failed as missing, each of
// them and no other.
func checkMissing(ctx context.Context, x *exam) error {
	return x.eachList(func(c *Case, entries []entry) error {
		for out := range entries {
			want := slices.Clone(c.Outcomes)
			want[out] = Outcome{Kind: kindFailed, Failure: &Failure{Kind: providers.KindMissing.String()}}
			left := slices.Concat(entries[:out], entries[out+1:])
			if _, err := x.wantEntries(ctx, c, left, want); err != nil {
				return fmt.Errorf("without number %d: %w", out, err)
			}
		}
		return nil
	})
}

// eachList is do for each recorded call that is answered by a list, with the
// list's entries in the order of the numbers.
func (x *exam) eachList(do func(c *Case, entries []entry) error) error {
	for _, c := range x.lists {
		entries, err := c.entriesByNumber()
		if err == nil {
			err = do(c, entries)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}

// wantEntries replays a call with another list of entries.
func (x *exam) wantEntries(ctx context.Context, c *Case, entries []entry, want []Outcome) (providers.Reply, error) {
	body, err := c.withEntries(entries)
	if err != nil {
		return providers.Reply{}, err
	}
	r, err := x.try(ctx, c, c.serve(len(c.steps())-1, replayBody(c.answer(), body)))
	if err == nil {
		err = sameAll(want, r)
	}
	return r, err
}
