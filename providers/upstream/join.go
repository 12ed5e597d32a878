package upstream

import "github.com/lookupq/lookupq/providers"

// Join brings the entries of a reply to the numbers that were asked, whatever
// their order. It is made for one reply, by one goroutine.
type Join struct {
	numbers []providers.Number
	key     func(providers.Number) string
	missing *providers.Failure

	outcomes []providers.Outcome
	placed   []bool
	left     int // numbers without an entry
	next     int // the number that an orderly reply answers next
	index    map[string]int
	extra    int
	repeated int
}

// NewJoin prepares for a reply to numbers; key is the form in which the upstream
// repeats a number (its E164, its national part).
func NewJoin(numbers []providers.Number, key func(providers.Number) string) *Join {
	return &Join{
		numbers: numbers, key: key, left: len(numbers),
		missing:  &providers.Failure{Kind: providers.KindMissing, Message: "the reply leaves this number out"},
		outcomes: make([]providers.Outcome, len(numbers)),
		placed:   make([]bool, len(numbers)),
	}
}

// Place finds the outcome to fill in for the entry of number. It is nil, and the
// entry counted, for a number that was not asked or has its entry already: the
// first one wins.
func (j *Join) Place(number []byte) *providers.Outcome {
	i, ok := j.find(number)
	switch {
	case !ok:
		j.extra++
		return nil
	case j.placed[i]:
		j.repeated++
		return nil
	}
	j.placed[i] = true
	j.left--
	j.next = i + 1
	return &j.outcomes[i]
}

// find looks in the order of the request first: most upstreams keep it, and the
// map is only built for those that do not.
func (j *Join) find(number []byte) (int, bool) {
	if j.next < len(j.numbers) && j.key(j.numbers[j.next]) == string(number) {
		return j.next, true
	}
	if j.index == nil {
		j.index = make(map[string]int, len(j.numbers))
		for i, n := range j.numbers {
			j.index[j.key(n)] = i
		}
	}
	i, ok := j.index[string(number)]
	return i, ok
}

// Left is how many numbers have no entry yet.
func (j *Join) Left() int { return j.left }

// Rest fills every number without an entry with out. It is for entries that name
// no number, where all that are left can only mean the same.
func (j *Join) Rest(out providers.Outcome) {
	for i, placed := range j.placed {
		if !placed {
			j.placed[i], j.outcomes[i] = true, out
		}
	}
	j.left = 0
}

// Extra counts n entries that could be brought to no number.
func (j *Join) Extra(n int) { j.extra += n }

// Reply ends the join: numbers without an entry failed with KindMissing.
func (j *Join) Reply() providers.Reply {
	j.Rest(providers.Outcome{Kind: providers.Failed, Failure: j.missing})
	return providers.Reply{Outcomes: j.outcomes, Extra: j.extra, Duplicates: j.repeated}
}

// One is the reply to one number.
func One(out providers.Outcome) providers.Reply {
	return providers.Reply{Outcomes: []providers.Outcome{out}}
}
