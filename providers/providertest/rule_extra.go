package providertest

import (
	"context"
	"fmt"
)

// checkExtra: an entry for a number that was not asked is dropped and counted,
// wherever it stands, and changes nothing.
func checkExtra(ctx context.Context, x *exam) error {
	return x.eachList(func(c *Case, entries []entry) error {
		m, err := newMimic(c)
		if err != nil {
			return err
		}
		strangers, _ := m.more(1)
		stranger := renumber(entries[0], c.numbers[0].National, strangers[0].National)
		for at := range len(entries) + 1 {
			list := append(append(entries[:at:at], stranger), entries[at:]...)
			r, err := x.wantEntries(ctx, c, list, c.Outcomes)
			if err == nil && (r.Extra != 1 || r.Duplicates != 0) {
				err = fmt.Errorf("counted %d extra and %d duplicate entries, want 1 and 0", r.Extra, r.Duplicates)
			}
			if err != nil {
				return fmt.Errorf("a stranger at place %d: %w", at, err)
			}
		}
		return nil
	})
}
