package providertest

import (
	"context"
	"fmt"
)

// checkDuplicate: of two entries for a number the first counts, the other is
// dropped and counted.
func checkDuplicate(ctx context.Context, x *exam) error {
	entries, err := x.found.entriesByNumber()
	if err != nil {
		return err
	}
	// The second entry says something else: what another number's says.
	last := len(entries) - 1
	other := renumber(entries[last], x.found.numbers[last].National, x.found.numbers[0].National)
	for at := 1; at <= len(entries); at++ {
		list := append(append(entries[:at:at], other), entries[at:]...)
		r, err := x.wantEntries(ctx, list, x.found.Outcomes)
		if err == nil && (r.Extra != 0 || r.Duplicates != 1) {
			err = fmt.Errorf("counted %d extra and %d duplicate entries, want 0 and 1", r.Extra, r.Duplicates)
		}
		if err != nil {
			return fmt.Errorf("a second entry at place %d: %w", at, err)
		}
	}
	return nil
}
