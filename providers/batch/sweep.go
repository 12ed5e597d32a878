package batch

import (
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// sweep reports the waiters that no longer wait although no batch came to them,
// forgets old answers and what is empty. It looks at every unit; the loop calls
// it every few seconds.
func (c *core[W]) sweep(now time.Time) {
	t := c.at(now)
	c.evict(t)
	wall := now.UnixNano()
	for _, p := range c.parts {
		if p.unsent > 0 {
			c.eachUnsent(p, func(u *unit[W]) {
				if !c.prune(u, wall) {
					c.removeUnsent(u)
				}
			})
		}
	}
	c.sweepTickets(wall)
	for _, p := range c.parts {
		c.tidy(t, p)
	}
	for i := range c.books {
		b := &c.books[i]
		for tenant, a := range b.accounts {
			if a.shares == 0 { // at most one item ahead of the clock: nothing lost
				delete(b.accounts, tenant)
			}
		}
	}
}

// eachUnsent calls f for every unsent unit of p; f may remove that unit.
func (c *core[W]) eachUnsent(p *partition[W], f func(*unit[W])) {
	var twins []*unit[W]
	for _, head := range p.units {
		if head.twin == head {
			if head.unsent() {
				f(head)
			}
			continue
		}
		twins = append(twins, head)
		for u := head.twin; u != head; u = u.twin {
			twins = append(twins, u)
		}
	}
	for _, u := range twins {
		if u.unsent() {
			f(u)
		}
	}
}

// removeUnsent forgets a unit that nobody waits for.
func (c *core[W]) removeUnsent(u *unit[W]) {
	c.pull(u)
	c.let(u)
	c.drop(u)
}

// handOn ends the waiters of p's unsent units that have another provider to go to.
func (c *core[W]) handOn(p *partition[W], f *providers.Failure) {
	c.eachUnsent(p, func(u *unit[W]) {
		stay := u.waiters[:0]
		for _, w := range u.waiters {
			if w.last {
				stay = append(stay, w)
				continue
			}
			c.out = append(c.out, Answered[W]{Waiter: w.w, Verdict: NextProvider, Failure: f, Attempts: int(u.tries)})
		}
		clear(u.waiters[len(stay):])
		u.waiters = stay
		if len(stay) == 0 {
			c.removeUnsent(u)
		}
	})
	p.dropEmptySuspects()
}

// shut hands on what can be handed on, and until then also what is added.
func (c *core[W]) shut(now, until time.Time, f *providers.Failure) {
	c.shutUntil, c.shutFor = c.at(until), f
	if !now.Before(until) {
		return
	}
	for _, p := range c.parts {
		if p.unsent > 0 {
			c.handOn(p, f)
		}
	}
}

// rest empties the core of everything unsent or pending and returns the waiters.
func (c *core[W]) rest() []W {
	var out []W
	for _, p := range c.parts {
		c.eachUnsent(p, func(u *unit[W]) {
			for i := range u.waiters {
				out = append(out, u.waiters[i].w)
			}
			c.removeUnsent(u)
		})
		p.dropEmptySuspects()
	}
	return c.restPending(out)
}

func (p *partition[W]) dropEmptySuspects() {
	kept := p.suspects[:0]
	for _, g := range p.suspects {
		if g.n > 0 {
			kept = append(kept, g)
		}
	}
	clear(p.suspects[len(kept):])
	p.suspects = kept
}

// tidy forgets the empty queues of p, and p itself once it has nothing to tell.
func (c *core[W]) tidy(t tick, p *partition[W]) {
	p.dropEmptySuspects()
	for prio := range names.Priorities {
		p.levels[prio].tidy()
	}
	c.hint = nil // it may be one of the forgotten
	telling := p.health.open && t < p.health.until+provenFor || p.health.proven(t) || p.max != p.limit
	if p.unsent == 0 && p.wired == 0 && len(p.units) == 0 && !telling {
		delete(c.parts, p.name)
	}
}

// tidy forgets the tenants and campaigns that have nothing waiting.
func (l *level[W]) tidy() {
	if l.n == 0 {
		for _, s := range l.heap {
			s.inHeap = false
		}
		clear(l.heap)
		l.heap = l.heap[:0]
	}
	for tenant, s := range l.shares {
		if s.n == 0 && !s.inHeap {
			s.account.shares--
			delete(l.shares, tenant)
			continue
		}
		for campaign, q := range s.queues {
			if q.n == 0 && !q.inTurn {
				delete(s.queues, campaign)
			}
		}
	}
}
