package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkPages: answers that come on several pages are all asked for, whatever a
// page holds, and each page once.
func checkPages(ctx context.Context, x *exam) error {
	const numbers = 7
	for _, size := range []int{1, 2, numbers - 1, numbers, numbers + 1} {
		m, err := newMimic(x.found)
		if err != nil {
			return err
		}
		m.pageSize = size
		m.arrange = func(entries []entry) { slices.Reverse(entries) }
		asked, want := m.more(numbers)
		s, err := x.open(x.found, m)
		if err != nil {
			return err
		}
		err = s.wants(ctx, asked, want, ticketOf(1))
		s.close()
		if pages := (numbers + size - 1) / size; err == nil && m.queries != pages {
			err = fmt.Errorf("%d questions, want %d", m.queries, pages)
		}
		if err != nil {
			return fmt.Errorf("pages of %d: %w", size, err)
		}
	}
	return nil
}
