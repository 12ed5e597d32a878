package main

import (
	"cmp"
	"slices"
	"time"
)

// repeats are numbers that were paid more often than the tenants had to.
type repeats struct {
	// paid is the surplus. atOnce of it was on the wire with two workers at one time,
	// alone with one; the rest came later than an answer, to the same worker or to
	// others, at most late after it.
	paid, atOnce, alone, laterSame, laterOther int
	late                                       time.Duration
}

// repeated looks for numbers that were paid too often, in calls in order of start.
func (l *load) repeated(calls []call) repeats {
	by := make(map[number][]*call)
	counts := make([]uint16, len(l.owner))
	for i := range calls {
		if calls[i].fate != paid {
			continue
		}
		for _, n := range calls[i].numbers {
			counts[n]++
		}
	}
	for i := range calls {
		if calls[i].fate != paid {
			continue
		}
		for _, n := range calls[i].numbers {
			if int(counts[n]) > l.allowed(n) {
				by[n] = append(by[n], &calls[i])
			}
		}
	}
	var r repeats
	for n, list := range by {
		r.add(list, len(list)-l.allowed(n))
	}
	return r
}

// add counts a number that was paid in the calls of list, surplus times too often.
func (r *repeats) add(list []*call, surplus int) {
	r.paid += surplus
	for i := len(list) - 1; i > 0 && surplus > 0; i-- {
		surplus--
		c, before := list[i], list[:i]
		together := func(d *call) bool { return c.overlaps(d) }
		switch other := func(d *call) bool { return c.overlaps(d) && c.worker != d.worker }; {
		case slices.ContainsFunc(before, other):
			r.atOnce++
		case slices.ContainsFunc(before, together):
			r.alone++
		default:
			if before[i-1].worker == c.worker {
				r.laterSame++
			} else {
				r.laterOther++
			}
			r.late = max(r.late, c.start.Sub(list[i-1].end))
		}
	}
}

// shares tells how many of the numbers paid first were each tenant's own, as long
// as all of them had work left: until one has been asked four fifths of its numbers.
func (l *load) shares(calls []call) (asked []int, total int) {
	own, asked := make([]int, len(l.items)), make([]int, len(l.items))
	for _, t := range l.owner {
		if t != nobody {
			own[t]++
		}
	}
	for i := range calls {
		if calls[i].fate != paid {
			continue
		}
		for _, n := range calls[i].numbers {
			if t := l.owner[n]; t != nobody {
				asked[t]++
				total++
			}
		}
		for t := range asked {
			if asked[t]*5 >= own[t]*4 {
				return asked, total
			}
		}
	}
	return asked, total
}

// during is how much of s lies between from and to, but not in any of holes.
func during(s stretch, holes ...stretch) time.Duration {
	slices.SortFunc(holes, func(a, b stretch) int { return a.from.Compare(b.from) })
	at, sum := s.from, time.Duration(0)
	for _, h := range holes {
		if h.from.After(at) {
			sum += max(0, earlier(h.from, s.to).Sub(at))
		}
		if h.to.After(at) {
			at = h.to
		}
	}
	return sum + max(0, s.to.Sub(at))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// keyUse is what a key could have done and did.
type keyUse struct {
	key    key
	peak   int
	calls  int64
	over   int64 // refused with 429
	denied int64 // made after the key was revoked
	paid   int64 // numbers
	// busy is the time in paid calls, usable that in which the upstream would have
	// taken calls, over all that it grants at once.
	busy, usable time.Duration
}

// use reads a key's ledger, and works out when it was usable until end.
func (n *night) use(k key, calls []call, end time.Time) keyUse {
	u := keyUse{key: k}
	for _, sum := range n.stage.upstreams[k.provider].Ledger().Summary().Keys {
		if sum.Key == "…"+k.name {
			u.peak, u.calls, u.over, u.paid = sum.Peak, sum.Calls, sum.Refused, sum.Numbers
		}
	}
	begin := end
	for i := range calls {
		c := &calls[i]
		begin = earlier(begin, c.start)
		if c.key != k.name || c.provider != k.provider {
			continue
		}
		if c.fate == paid {
			u.busy += c.end.Sub(c.start)
		}
		if c.denied {
			u.denied++
			end = earlier(end, c.end) // the first word of it
		}
	}
	u.usable = during(stretch{begin, end}, n.holes(k.provider)...) * time.Duration(k.real)
	return u
}

// holes are when nothing could be asked of a provider, by no fault of the fleet's.
func (n *night) holes(provider string) []stretch {
	var list []stretch
	if !n.away.from.IsZero() {
		list = append(list, n.away)
	}
	if o := n.plan.outage; provider == primary && o.to > 0 {
		list = append(list, stretch{n.started.Add(o.from), n.started.Add(o.to)})
	}
	return list
}

// byStart sorts calls by their start.
func byStart(calls []call) []call {
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.start.UnixNano(), b.start.UnixNano()) })
	return calls
}
