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
	entries, err := x.found.entriesByNumber()
	if err != nil {
		return err
	}
	for out := range entries {
		want := slices.Clone(x.found.Outcomes)
		want[out] = Outcome{Kind: kindFailed, Failure: &Failure{Kind: providers.KindMissing.String()}}
		left := slices.Concat(entries[:out], entries[out+1:])
		if _, err := x.wantEntries(ctx, left, want); err != nil {
			return fmt.Errorf("without number %d: %w", out, err)
		}
	}
	return nil
}

// wantEntries replays found.json with another list of entries.
func (x *exam) wantEntries(ctx context.Context, entries []entry, want []Outcome) (providers.Reply, error) {
	body, err := x.found.withEntries(entries)
	if err != nil {
		return providers.Reply{}, err
	}
	r, err := x.try(ctx, x.found, replayBody(x.found.Response, body))
	if err == nil {
		err = sameAll(want, r)
	}
	return r, err
}
