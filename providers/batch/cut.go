package batch

import (
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// cut packs the next batch, of at most granted numbers and never more than the
// partition's maximum; nil if nothing is worth a call now. Waiters found dead on
// the way are reported. The numbers of a batch are distinct.
func (c *core[W]) cut(now time.Time, granted int) *packed[W] {
	t := c.at(now)
	c.ripen(t)
	for {
		p, _ := c.choose(t)
		if p == nil || granted < 1 {
			return nil
		}
		if b := c.cutFrom(p, now, granted); b != nil {
			return b
		}
		// All that was ready in p had nobody left to ask for it.
	}
}

func (c *core[W]) cutFrom(p *partition[W], now time.Time, granted int) *packed[W] {
	t := c.at(now)
	size := min(granted, c.room(t, p))
	b := &packed[W]{part: p, units: make([]*unit[W], 0, size), probe: p.health.open}
	f := filler[W]{c: c, b: b, size: size, now: t, wall: now.UnixNano()}
	switch {
	case b.probe:
		f.probe()
	case len(p.suspects) > 0 && c.budget.allows(t):
		b.suspect = true
		f.suspects(t)
	default:
		f.fill(c.startsLow())
	}
	c.putBack()
	if len(b.units) == 0 {
		return nil
	}
	if !b.probe && !b.suspect {
		c.turns++
	}
	c.cuts++
	p.lastCut = c.cuts
	c.seal(b)
	return b
}

// seal puts the units of b on the wire.
func (c *core[W]) seal(b *packed[W]) {
	b.numbers = make([]providers.Number, len(b.units))
	for i, u := range b.units {
		b.numbers[i] = u.number
		for j := range u.waiters {
			b.raw = b.raw || u.waiters[j].raw
		}
	}
	if c.cfg.samePurse != nil {
		b.payers = c.payers()
		for _, u := range b.units {
			b.payers = append(b.payers, u.waiters[0].w)
		}
	}
	if c.cfg.shareGroups {
		b.shares = make([]string, len(b.units))
		for i, u := range b.units {
			b.shares[i] = u.share
		}
	}
	b.part.wired += len(b.units)
	c.wired += len(b.units)
	if b.probe {
		b.part.probe = b
	}
}

// filler fills one batch.
type filler[W any] struct {
	c    *core[W]
	b    *packed[W]
	size int
	now  tick
	wall int64 // Unix nanoseconds, for expiry
}

func (f *filler[W]) full() bool { return len(f.b.units) >= f.size }

// fill takes the retries and then the fresh units of each priority in turn.
func (f *filler[W]) fill(lowestFirst bool) {
	p := f.b.part
	if lowestFirst {
		low := p.top(true)
		f.retries(low)
		f.fresh(low)
	}
	for prio := names.Priorities - 1; prio >= 0 && !f.full(); prio-- {
		f.retries(names.Priority(prio))
		f.fresh(names.Priority(prio))
	}
}

// probe takes one number to try a provider that failed: a fresh one if there is
// one, so that a number which is itself the trouble does not stand in the way.
func (f *filler[W]) probe() {
	for prio := names.Priorities - 1; prio >= 0 && !f.full(); prio-- {
		f.fresh(names.Priority(prio))
	}
	for prio := names.Priorities - 1; prio >= 0 && !f.full(); prio-- {
		f.retries(names.Priority(prio))
	}
	for len(f.b.part.suspects) > 0 && !f.full() {
		f.group(f.b.part.suspects[0])
	}
}

func (f *filler[W]) fresh(prio names.Priority) {
	share := f.b.part.callShare(f.c.cfg.maxBatch)
	for !f.full() {
		u := f.c.nextFresh(f.b.part, prio)
		if u == nil {
			break
		}
		if f.take(u) {
			u.queue.share.account.charge(share)
			u.queue = nil
		}
	}
	f.b.part.oldestKnown = false
}

func (f *filler[W]) retries(prio names.Priority) {
	p := f.b.part
	l := &p.due[prio]
	for l.head != nil && !f.full() {
		u := l.head
		l.remove(u)
		p.retries--
		f.take(u)
	}
}

// suspects takes a group of a bisection, and only that.
func (f *filler[W]) suspects(t tick) {
	f.group(f.b.part.suspects[0])
	if len(f.b.units) > 0 {
		f.c.budget.spend(t)
	}
}

// group takes from the first group of suspects.
func (f *filler[W]) group(g *group[W]) {
	for g.head != nil && !f.full() {
		u := g.head
		g.remove(u)
		f.take(u)
	}
	if g.n == 0 {
		f.b.part.dropSuspects()
	}
}

// take puts u into the batch, if somebody still waits for it and its number is
// not in the batch already.
func (f *filler[W]) take(u *unit[W]) bool {
	c := f.c
	if !c.prune(u, f.wall) {
		c.let(u)
		c.drop(u)
		return false
	}
	for v := u.twin; v != u; v = v.twin {
		if v.batch == f.b {
			c.aside = append(c.aside, u)
			return false
		}
	}
	c.let(u)
	u.payerFirst(f.now)
	u.state, u.batch = wired, f.b
	bump(&u.tries)
	f.b.units = append(f.b.units, u)
	return true
}

// putBack returns what had to step aside to the head of where it came from.
func (c *core[W]) putBack() {
	for i := len(c.aside) - 1; i >= 0; i-- {
		u := c.aside[i]
		c.aside[i] = nil
		if u.state == fresh {
			c.enqueue(u, true)
			continue
		}
		u.state = due
		u.part.due[u.prio].pushFront(u)
		u.part.retries++
	}
	c.aside = c.aside[:0]
}

// prune reports the waiters of u that no longer wait, and whether any is left.
func (c *core[W]) prune(u *unit[W], wall int64) bool {
	left := 0
	for i := range u.waiters {
		w := &u.waiters[i]
		verdict := c.standing(u, w, wall)
		if verdict != Answer {
			c.out = append(c.out, Answered[W]{Waiter: w.w, Verdict: verdict, Attempts: int(u.tries)})
			continue
		}
		if left < i {
			u.waiters[left] = *w
		}
		left++
	}
	clear(u.waiters[left:])
	u.waiters = u.waiters[:left]
	return left > 0
}

// standing is Answer for a waiter of u that is to be answered, else why it
// leaves. Who was asked for is answered, however late that is.
func (c *core[W]) standing(u *unit[W], w *waiter[W], wall int64) Final {
	if u.state == pending {
		if c.cfg.live(w.w) == StateDropped {
			return Dropped
		}
		return Answer
	}
	if w.expires != 0 && wall >= w.expires {
		return Expired
	}
	switch c.cfg.live(w.w) {
	case StateExpired:
		return Expired
	case StateCancelled:
		return Cancelled
	case StateDropped:
		return Dropped
	case StateLive:
	}
	return Answer
}
