package batch

import (
	"github.com/lookupq/lookupq/internal/names"
)

// lowestEvery is how often a batch starts at the lowest waiting priority, so
// that a steady stream of higher ones starves nobody.
const lowestEvery = 10

// want says for how many numbers a permit is worth asking now; with 0, when to
// look again (never: not before something is added, answered or granted).
func (c *core[W]) want(t tick) (int, tick) {
	c.ripen(t)
	p, next := c.choose(t)
	if at, ok := c.groups.next(); ok {
		next = min(next, at)
	}
	if p == nil {
		return 0, next
	}
	return c.room(t, p), next
}

// callShare is how many items of a full-sized batch one item of p is worth.
func (p *partition[W]) callShare(maxBatch int) int64 { return int64(maxBatch / p.max) }

// room is how many numbers the next batch of p could take.
func (c *core[W]) room(t tick, p *partition[W]) int {
	switch {
	case p.health.open:
		return 1
	case len(p.suspects) > 0 && c.budget.allows(t):
		return min(p.max, p.suspects[0].n)
	}
	return min(p.max, p.fresh+p.retries)
}

// choose picks the partition to cut from, nil if none is ready, and the earliest
// time at which one of the others will be.
func (c *core[W]) choose(t tick) (best *partition[W], next tick) {
	next = never
	lowest := c.startsLow()
	var top rank
	for _, p := range c.active {
		if at := c.readyAt(t, p); at > t {
			next = min(next, at)
			continue
		}
		r := c.rankOf(p, lowest)
		if best == nil || r.before(top) {
			best, top = p, r
		}
	}
	return best, next
}

// startsLow reports whether the next batch is one that starts at the lowest priority.
func (c *core[W]) startsLow() bool { return c.turns%lowestEvery == lowestEvery-1 }

// readyAt is from when on a batch of p is worth a permit; never while only an
// event can change that.
func (c *core[W]) readyAt(t tick, p *partition[W]) tick {
	if p.health.open {
		if p.fresh+p.retries+len(p.suspects) == 0 || p.probe != nil {
			return never
		}
		return p.health.until
	}
	at := never
	if len(p.suspects) > 0 {
		at = c.budget.from(t)
	}
	switch {
	case p.retries > 0 || p.fresh >= p.max:
		at = t
	case p.fresh > 0:
		at = min(at, c.oldest(p)+c.cfg.linger)
	}
	return max(at, p.rest)
}

// oldest is since when the first fresh unit of p waits. After a cut it is looked
// for at the heads of the queues; while batches are full nobody asks.
func (c *core[W]) oldest(p *partition[W]) tick {
	if p.oldestKnown {
		return p.oldest
	}
	p.oldest = never
	for i := range p.levels {
		for _, s := range p.levels[i].heap {
			for q := s.turnHead; q != nil; q = q.next {
				if q.head != nil {
					p.oldest = min(p.oldest, q.head.since)
				}
			}
		}
	}
	p.oldestKnown = true
	return p.oldest
}

// rank orders the ready partitions.
type rank struct {
	prio   names.Priority // the best priority waiting, or the lowest where that is asked for
	lowest bool
	yields bool   // its last call was unfinished and the last of all: the others' turn
	retry  bool   // it has a retry or suspects of any priority
	served int64  // of the tenant that is furthest behind at prio
	cut    uint64 // when it was last cut
}

func (r rank) before(o rank) bool {
	switch {
	case r.prio != o.prio:
		return (r.prio > o.prio) != r.lowest
	case r.yields != o.yields:
		return o.yields
	case r.retry != o.retry:
		return r.retry
	case r.served != o.served:
		return r.served < o.served
	}
	return r.cut < o.cut
}

func (c *core[W]) rankOf(p *partition[W], lowest bool) rank {
	r := rank{prio: p.top(lowest), lowest: lowest, retry: p.retries > 0, cut: p.lastCut}
	r.yields = p.unfinished && p.lastCut == c.cuts
	if len(p.suspects) > 0 {
		r.retry = true
		if g := p.suspects[0]; !lowest {
			r.prio = max(r.prio, g.prio)
		}
	}
	if s := p.levels[r.prio].front(); s != nil {
		r.served = s.account.served
	}
	return r
}

// top is the highest priority that waits in p, or the lowest.
func (p *partition[W]) top(lowest bool) names.Priority {
	found := names.Bulk
	for prio := names.Bulk; prio <= names.High; prio++ {
		if p.levels[prio].n+p.due[prio].n > 0 {
			found = prio
			if lowest {
				break
			}
		}
	}
	return found
}
