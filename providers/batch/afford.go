package batch

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// Purchase is what Config.Afford says of a call.
type Purchase struct {
	// Refused has one entry for each payer, or is nil if all can be paid.
	Refused []Refusal
	// Settle is told the reply, with one outcome for each payer that was not refused;
	// it is not called if all were. It must not block; it may be nil.
	Settle func(*providers.Reply)
}

// Refusal is why a number is not asked; the zero value is none.
type Refusal struct {
	// Failure ends the waiters of the payer's purse here: with NextProvider, or GaveUp.
	Failure *providers.Failure
	// Until, without a Failure, has them wait until then; no attempt is used up.
	Until time.Time
}

// refused is a unit whose payer has no money.
type refused[W any] struct {
	unit *unit[W]
	why  Refusal
}

// affordTimeout bounds the asking for money, while the permit is held.
const affordTimeout = 5 * time.Second

// afford asks for the money of f's call, and leaves out what cannot be paid.
func (l *Loop[W]) afford(f *flight[W]) {
	if l.cfg.Afford == nil {
		return
	}
	ctx, cancel := context.WithTimeout(l.callsCtx, affordTimeout)
	defer cancel()
	b := f.batch
	p := l.cfg.Afford(ctx, f.grant.Key.Name, b.payers)
	f.paid = p.Settle
	if len(p.Refused) != len(b.units) {
		return
	}
	// New slices: the numbers are the query's, and nobody else looks at the rest.
	units, numbers, shares := b.units, b.numbers, b.shares
	b.units, b.numbers, b.shares = nil, nil, nil
	for i, u := range units {
		if why := p.Refused[i]; why.Failure != nil || !why.Until.IsZero() {
			b.refused = append(b.refused, refused[W]{u, why})
			continue
		}
		b.units, b.numbers = append(b.units, u), append(b.numbers, numbers[i])
		if shares != nil {
			b.shares = append(b.shares, shares[i])
		}
	}
}

// Reconsider has everything that waits for money tried again at once: there may be
// some. It may be called in parallel and does not wait.
func (l *Loop[W]) Reconsider() {
	l.mail.Lock()
	l.mail.money = true
	l.mail.Unlock()
	l.rouse()
}

// refuse settles the units of b that there was no money for. They were not asked.
func (c *core[W]) refuse(t tick, b *packed[W]) {
	var waiting []*group[W]
	for i := range b.refused {
		u, why := b.refused[i].unit, &b.refused[i].why
		u.batch = nil
		if u.tries > 0 {
			u.tries--
		}
		if why.Failure != nil {
			c.dismiss(u, why.Failure)
			continue
		}
		if u = c.settle(c.impoverish(u, c.at(why.Until))); u == nil {
			continue // it waits with another unit for its number
		}
		if u.payerFirst(t) {
			c.again(u)
			continue
		}
		waiting = c.parkBroke(u, waiting)
	}
	for _, g := range waiting {
		c.groups.push(g)
	}
	b.refused = nil
}

// payers is an empty list, used before if there is one: asking for money that nobody
// has to count costs no memory.
func (c *core[W]) payers() []W {
	n := len(c.tills)
	if n == 0 {
		return nil
	}
	list := c.tills[n-1]
	c.tills = c.tills[:n-1]
	return list
}

// reuse keeps the list of b's payers for another call.
func (c *core[W]) reuse(b *packed[W]) {
	if cap(b.payers) > 0 && len(c.tills) < maxSpare {
		clear(b.payers)
		c.tills = append(c.tills, b.payers[:0])
	}
	b.payers = nil
}

// dismiss ends the waiters of u that are paid from the same purse as the first one; the
// unit is asked on behalf of the others.
func (c *core[W]) dismiss(u *unit[W], f *providers.Failure) {
	payer := u.waiters[0].w
	stay := u.waiters[:0]
	for i, w := range u.waiters {
		if i > 0 && !c.cfg.samePurse(payer, w.w) {
			stay = append(stay, w)
			continue
		}
		verdict := NextProvider
		if w.last {
			verdict = GaveUp
		}
		c.out = append(c.out, Answered[W]{Waiter: w.w, Verdict: verdict, Failure: f, Attempts: int(u.tries)})
	}
	clear(u.waiters[len(stay):])
	u.waiters = stay
	if len(stay) == 0 {
		c.drop(u)
		return
	}
	c.requeue(u)
}

// impoverish notes until when the purse of u's first waiter is empty.
func (c *core[W]) impoverish(u *unit[W], until tick) *unit[W] {
	payer := u.waiters[0].w
	for i := range u.waiters {
		if i == 0 || c.cfg.samePurse(payer, u.waiters[i].w) {
			u.waiters[i].broke = until
		}
	}
	return u
}

// payerFirst puts a waiter in front that may have money, and reports whether there is one.
func (u *unit[W]) payerFirst(t tick) bool {
	for i := range u.waiters {
		if u.waiters[i].broke <= t {
			u.waiters[0], u.waiters[i] = u.waiters[i], u.waiters[0]
			return true
		}
	}
	return false
}

// parkBroke parks u until the first of its waiters may have money again.
func (c *core[W]) parkBroke(u *unit[W], groups []*group[W]) []*group[W] {
	at := u.waiters[0].broke
	for i := range u.waiters {
		at = min(at, u.waiters[i].broke)
	}
	u.broke = true
	c.broke[u.prio]++
	for _, g := range groups {
		if g.at == at && g.part == u.part {
			g.park(u)
			return groups
		}
	}
	g := &group[W]{part: u.part, at: at, broke: true}
	g.park(u)
	return append(groups, g)
}

// solvent notes that u does not wait for money any more.
func (c *core[W]) solvent(u *unit[W]) {
	if u.broke {
		u.broke = false
		c.broke[u.prio]--
	}
}

// welcome wakes a unit that waits for money, if the waiter that joined it last may have
// some.
func (c *core[W]) welcome(u *unit[W]) {
	if !u.broke {
		return
	}
	last := &u.waiters[len(u.waiters)-1]
	for i := range u.waiters[:len(u.waiters)-1] {
		if c.cfg.samePurse(u.waiters[i].w, last.w) {
			last.broke = u.waiters[i].broke
			return
		}
	}
	c.pull(u)
	c.again(u)
}

// reconsider has everything that waits for money asked again at once.
func (c *core[W]) reconsider() {
	old := c.groups
	c.groups = nil
	for _, g := range old {
		if g.broke {
			g.at = 0
			for u := g.head; u != nil; u = u.next {
				for i := range u.waiters {
					u.waiters[i].broke = 0
				}
			}
		}
		c.groups.push(g)
	}
}
