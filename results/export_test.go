package results

// Limit makes s give a campaign's list up sooner.
func (s *Stored) Limit(n int) { s.limit = n }

// LimitAll makes s forget campaigns sooner.
func (s *Stored) LimitAll(n int64) { s.limitAll = n }

// Remembered is how many bytes the lists take.
func (s *Stored) Remembered() int {
	total := 0
	for _, c := range s.campaigns {
		total += 16 * (cap(c.index.sorted) + cap(c.index.recent))
	}
	return total
}

// Campaigns are those remembered.
func (s *Stored) Campaigns() []string {
	var out []string
	for k := range s.campaigns {
		out = append(out, k.name)
	}
	return out
}
