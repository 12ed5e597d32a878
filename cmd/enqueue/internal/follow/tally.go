// Package follow reads the results of a campaign: it counts them, waits until all
// are there, and writes them as CSV or NDJSON. In come the parts of the results
// stream, out go counts and files. Everything runs in the caller's goroutine and
// ends with its context; memory does not grow with the campaign but for a bit a
// number while waiting.
package follow

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

// maxNames bounds each list of names in the details; the rest is counted together.
const maxNames = 5000

// otherNames is what the rest is counted under.
const otherNames = "(other)"

// Size is what is known of a campaign's jobs: how many, of at most how many items.
// The zero value is unknown.
type Size struct {
	Jobs, JobSize int64
}

// Tally sums up parts. With a Size it tells items that come twice; without, all
// count. It is not safe for parallel use.
type Tally struct {
	// Answered is the number of distinct items that have a result, Surplus how
	// many results came again for one of them.
	Answered, Surplus int64
	// Parts were counted.
	Parts          int64
	Status, Source map[string]int64
	Cost           results.CostSum
	// Details are counted where bodies are read; nil otherwise.
	Details *Details

	size Size
	seen []uint64 // a bit an item: job index * JobSize + item index
}

// Details are what only the bodies of parts tell.
type Details struct {
	Countries, LineTypes, Carriers, Errors map[string]int64
}

// NewTally returns an empty tally.
func NewTally(size Size, details bool) *Tally {
	t := &Tally{Status: map[string]int64{}, Source: map[string]int64{}, size: size}
	if details {
		t.Details = &Details{Countries: map[string]int64{}, LineTypes: map[string]int64{}, Carriers: map[string]int64{}, Errors: map[string]int64{}}
	}
	return t
}

// AddHead counts a part by its headers.
func (t *Tally) AddHead(h *results.Head) {
	t.Parts++
	total, fresh := int64(h.Items.Count()), t.mark(h)
	t.Answered += fresh
	t.Surplus += total - fresh
	for _, c := range h.Counts {
		t.Status[c.Name] += int64(c.N)
	}
	for _, s := range h.Sources {
		t.Source[s.Name] += int64(s.N)
	}
	for _, c := range h.Costs {
		_ = t.Cost.Add(c) // the header was parsed: it is a cost
	}
}

// mark notes the items of a part and returns how many of them are new.
func (t *Tally) mark(h *results.Head) int64 {
	index, ok := jobs.JobIndex(h.ID.JobID)
	if !ok || t.size.JobSize <= 0 || index >= uint64(max(t.size.Jobs, 0)) {
		return int64(h.Items.Count())
	}
	var fresh int64
	for item := range h.Items.Items() {
		if int64(item) >= t.size.JobSize {
			fresh++ // not of our making
			continue
		}
		at := int64(index)*t.size.JobSize + int64(item)
		word, bit := int(at/64), uint64(1)<<(at%64)
		for len(t.seen) <= word {
			t.seen = append(t.seen, 0)
		}
		if t.seen[word]&bit == 0 {
			t.seen[word] |= bit
			fresh++
		}
	}
	return fresh
}

// marked is how many items are noted, for tests.
func (t *Tally) marked() int {
	n := 0
	for _, w := range t.seen {
		n += bits.OnesCount64(w)
	}
	return n
}

// AddResult counts what a result tells besides its status.
func (d *Details) AddResult(r *results.Result) {
	if r.Error != nil {
		count(d.Errors, string(r.Error.Code))
	}
	l := r.Lookup
	if l == nil {
		return
	}
	count(d.Countries, l.Country)
	count(d.LineTypes, l.LineType)
	carrier := l.CurrentCarrier
	if carrier == (results.Carrier{}) {
		carrier = l.OriginalCarrier
	}
	count(d.Carriers, cmp.Or(carrier.Name, carrier.ID))
}

func count(m map[string]int64, name string) {
	if name == "" {
		return
	}
	if _, ok := m[name]; !ok && len(m) >= maxNames {
		name = otherNames
	}
	m[name]++
}

// Counted is a name with its count.
type Counted struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Top returns the most frequent names, at most n; equal ones by name.
func Top(m map[string]int64, n int) []Counted {
	all := make([]Counted, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, Counted{name, m[name]})
	}
	slices.SortStableFunc(all, func(a, b Counted) int { return cmp.Compare(b.Count, a.Count) })
	return all[:min(n, len(all))]
}
