package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkOrder: entries in any order come to the right numbers.
func checkOrder(ctx context.Context, x *exam) error {
	return x.eachList(func(c *Case, entries []entry) error {
		for turn := range entries {
			rotated := slices.Concat(entries[turn:], entries[:turn])
			for range 2 {
				if _, err := x.wantEntries(ctx, c, rotated, c.Outcomes); err != nil {
					return fmt.Errorf("turned by %d: %w", turn, err)
				}
				slices.Reverse(rotated)
			}
		}
		return nil
	})
}
