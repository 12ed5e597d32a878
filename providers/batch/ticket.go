package batch

import (
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// A deferred provider takes a number and answers later, under a ticket. Until
// then the unit is pending: neither unsent nor on the wire, but joined like one
// that is. Its number is not asked again before the ticket's word has come, except
// for those that may not take the answer of a call from before they came.
//
// What comes late says nothing of the circuit, neither good nor bad: that is
// about calls, and receipts of old calls come in while every new one fails.

// ticket is the units that wait for one batch of a deferred provider.
type ticket[W any] struct {
	list[W]

	id string
	// parts are where its units are; one, unless a number's partition has changed
	// since another worker submitted it.
	parts []*partition[W]
	news  []string // numbers nobody was told of
}

// ticketOf finds or makes a ticket; the caller lets a unit wait for it.
func (c *core[W]) ticketOf(id string) *ticket[W] {
	k := c.tickets[id]
	if k == nil {
		k = &ticket[W]{id: id}
		c.tickets[id] = k
	}
	return k
}

// find returns the unit of p that waits for k on behalf of number in a share
// group, nil if none does.
func (k *ticket[W]) find(p *partition[W], number, share string) *unit[W] {
	head := p.units[number]
	for u := head; u != nil; {
		if u.in == &k.list && u.share == share {
			return u
		}
		if u = u.twin; u == head {
			break
		}
	}
	return nil
}

// anyOf is find for any share group.
func (k *ticket[W]) anyOf(p *partition[W], number string) *unit[W] {
	head := p.units[number]
	for u := head; u != nil; {
		if u.in == &k.list {
			return u
		}
		if u = u.twin; u == head {
			break
		}
	}
	return nil
}

// wait lets u, which is in no list, wait for k.
func (c *core[W]) wait(u *unit[W], k *ticket[W]) {
	u.state = pending
	k.pushBack(u)
	c.pending++
	if !slices.Contains(k.parts, u.part) {
		k.parts = append(k.parts, u.part)
	}
	if len(k.news) == 0 {
		c.news = append(c.news, k)
	}
	k.news = append(k.news, u.number.E164)
}

// unwait takes u out of k; the caller forgets a ticket that is empty then.
func (c *core[W]) unwait(u *unit[W], k *ticket[W]) {
	k.remove(u)
	c.pending--
}

func (c *core[W]) forgetEmpty(k *ticket[W]) {
	if k.n == 0 {
		delete(c.tickets, k.id)
	}
}

// parkedNews is numbers that have begun to wait for a ticket.
type parkedNews struct {
	ticket  string
	numbers []string
}

// takeNews returns what has begun to wait since the last call.
func (c *core[W]) takeNews() []parkedNews {
	if len(c.news) == 0 {
		return nil
	}
	out := make([]parkedNews, len(c.news))
	for i, k := range c.news {
		out[i] = parkedNews{k.id, k.news}
		k.news = nil
	}
	c.news = nil
	return out
}

// attach lets it wait for its ticket, whatever else is done about its number.
func (c *core[W]) attach(it *Item[W]) {
	q := c.queueOf(it)
	k := c.ticketOf(it.Ticket)
	u := k.find(q.part, it.Number.E164, it.ShareGroup)
	if u == nil {
		u = c.unitOf(k, q.part, it)
	}
	w := u.admit(it)
	w.own, w.paid = false, it.Paid
	c.urge(u, q)
}

// unitOf makes a unit for it that waits for k. A unit that was to be asked waits
// for k instead. One on the wire, or with another ticket, goes on beside the new
// one, and is not asked again as long as that waits. Units with waiters that may
// not take k's answer go on unchanged.
func (c *core[W]) unitOf(k *ticket[W], p *partition[W], it *Item[W]) *unit[W] {
	u := p.find(it.Number.E164, it.ShareGroup)
	detached := false
	switch {
	case u == nil:
	case u.state == recent:
		c.recents.remove(u)
		c.drop(u)
	case u.hasOwn():
		detached = !u.detached
	case u.unsent():
		c.divert(u, k)
		return u
	default:
		u.detached = true
	}
	u = c.newUnit()
	u.number, u.share, u.part = it.Number, it.ShareGroup, p
	u.prio, u.detached, u.tries = it.Priority, detached, 1
	p.enter(u)
	c.wait(u, k)
	return u
}

// divert lets an unsent unit wait for k in place of being asked. None of its
// waiters so far bears the cost of a ticket that others asked for.
func (c *core[W]) divert(u *unit[W], k *ticket[W]) {
	c.pull(u)
	c.let(u)
	u.part.dropEmptySuspects()
	u.queue = nil
	bump(&u.tries)
	for i := range u.waiters {
		u.waiters[i].paid = true
	}
	c.wait(u, k)
}

// callUnsure parks a batch of which the provider does not know whether the
// upstream took it. That the call failed is held against the provider now; the
// numbers use up their attempt if the ticket fails.
func (c *core[W]) callUnsure(t tick, b *packed[W], f *providers.Failure, id string) {
	if !keyFault(f) {
		b.opened = c.failed(t, b, f, actionFor(f) == actPauseProvider)
	}
	k := c.ticketOf(id)
	for _, u := range b.units {
		c.wait(u, k)
	}
}

// late settles the units of a ticket by what came for their numbers.
func (c *core[W]) late(now time.Time, id string, outcomes []Late) {
	k := c.tickets[id]
	if k == nil {
		return
	}
	t := c.at(now)
	if c.out == nil {
		c.out = make([]Answered[W], 0, len(outcomes))
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.Outcome.Kind > providers.Invalid {
			continue
		}
		for _, p := range k.parts {
			for u := k.anyOf(p, o.Number); u != nil; u = k.anyOf(p, o.Number) {
				c.unwait(u, k)
				c.settleLate(t, now, u, o)
			}
		}
	}
	c.forgetEmpty(k)
	c.evict(t)
}

// settleLate settles one unit by its late outcome.
func (c *core[W]) settleLate(t tick, now time.Time, u *unit[W], o *Late) {
	if c.excused(u, &o.Outcome) {
		c.requeue(u)
		return
	}
	if o.Outcome.Kind == providers.Failed {
		c.accuse(now, o)
		c.numberFailed(t, u, o.Key, &o.Outcome)
		return
	}
	at := o.At
	if at.IsZero() || at.After(now) {
		at = now
	}
	c.report(u, ending{verdict: Answer, outcome: &o.Outcome, at: at, key: o.Key})
	kept := &o.Outcome
	if kept.Raw != nil {
		kept = &withoutRaw([]providers.Outcome{*kept})[0]
	}
	c.remember(t, at, u, kept)
}

// excused reports whether u is asked again at once and for free: its ticket was
// never handed in. A number that this happens to in call after call is none of these.
func (c *core[W]) excused(u *unit[W], o *providers.Outcome) bool {
	if o.Kind != providers.Failed || !innocent(o) {
		return false
	}
	calls := c.cfg.retry.Attempts
	if o.Failure.Tries > 0 {
		calls = min(calls, o.Failure.Tries)
	}
	return int(u.tries) < calls
}

// gatherFor is how long numbers that failed late wait for others of their kind.
// Their failures come in one by one over minutes, and a call for each would be a
// ticket for each.
const gatherFor = 5 * time.Second

// gather asks for u again, together with others that fail late about now.
func (c *core[W]) gather(t tick, u *unit[W]) {
	if u = c.settle(u); u == nil {
		return
	}
	p := u.part
	if g := p.gathering; g == nil || g.at <= t || g.n >= p.max {
		wait := max(gatherFor, c.jitter(step(c.backoff, int(u.burned))))
		p.gathering = &group[W]{part: p, at: t + wait}
		c.groups.push(p.gathering)
	}
	p.gathering.park(u)
}

// accusation is a late failure that is the key's fault.
type accusation struct {
	key     string
	failure *providers.Failure
}

// staleAfter is how old a late failure may be and still accuse its key: a balance
// that was empty then may be full now, and stored answers are delivered again.
const staleAfter = time.Minute

// accuse notes that o accuses its key: once for each key and action until taken.
func (c *core[W]) accuse(now time.Time, o *Late) {
	f := failureOf(&o.Outcome)
	if o.Key == "" || !keyFault(f) || !o.At.IsZero() && now.Sub(o.At) > staleAfter {
		return
	}
	for _, a := range c.accused {
		if a.key == o.Key && actionFor(a.failure) == actionFor(f) {
			return
		}
	}
	c.accused = append(c.accused, accusation{o.Key, f})
}

// takeAccused returns the accusations since the last call.
func (c *core[W]) takeAccused() []accusation {
	out := c.accused
	c.accused = nil
	return out
}

// sweepTickets reports the waiters of pending units whose job is gone; expired
// and cancelled ones stay, as they were asked for.
func (c *core[W]) sweepTickets(wall int64) {
	for _, k := range c.tickets {
		for u := k.head; u != nil; {
			next := u.next
			if !c.prune(u, wall) {
				c.unwait(u, k)
				c.drop(u)
			}
			u = next
		}
		c.forgetEmpty(k)
	}
}

// restPending empties the core of what is pending and appends the waiters.
func (c *core[W]) restPending(out []W) []W {
	for _, k := range c.tickets {
		for u := k.head; u != nil; u = k.head {
			for i := range u.waiters {
				out = append(out, u.waiters[i].w)
			}
			c.unwait(u, k)
			c.drop(u)
		}
		c.forgetEmpty(k)
	}
	return out
}
