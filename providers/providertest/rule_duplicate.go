package providertest

import (
	"context"
	"fmt"
)

// checkDuplicate: of two entries for a number the first counts, the other is
// dropped and counted.
func checkDuplicate(ctx context.Context, x *exam) error {
	return x.eachList(func(c *Case, entries []entry) error {
		// The second entry says something else: what another number's says.
		last := len(entries) - 1
		other := renumber(entries[last], c.numbers[last].National, c.numbers[0].National)
		for at := 1; at <= len(entries); at++ {
			list := append(append(entries[:at:at], other), entries[at:]...)
			r, err := x.wantEntries(ctx, c, list, c.Outcomes)
			if err == nil && (r.Extra != 0 || r.Duplicates != 1) {
				err = fmt.Errorf("counted %d extra and %d duplicate entries, want 0 and 1", r.Extra, r.Duplicates)
			}
			if err != nil {
				return fmt.Errorf("a second entry at place %d: %w", at, err)
			}
		}
		return nil
	})
}
