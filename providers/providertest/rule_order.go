package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkOrder: entries in any order come to the right numbers.
func checkOrder(ctx context.Context, x *exam) error {
	entries, err := x.found.entriesByNumber()
	if err != nil {
		return err
	}
	for turn := range entries {
		rotated := slices.Concat(entries[turn:], entries[:turn])
		for range 2 {
			if _, err := x.wantEntries(ctx, rotated, x.found.Outcomes); err != nil {
				return fmt.Errorf("turned by %d: %w", turn, err)
			}
			slices.Reverse(rotated)
		}
	}
	return nil
}
