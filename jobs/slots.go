package jobs

import (
	"slices"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// standing is where in line the tenant's first waiting lane is, over all tenants:
// those that have no active lane before the others, then first come, first served.
func (tn *tenant) standing() int64 {
	at := tn.waiting[0].waitingAt
	if len(tn.active) > 0 {
		at += 1 << 62
	}
	return at
}

// admit gives slots to the waiting lanes of c, in order of standing, as far as
// there are any.
func (t *turns) admit(c *class, quantum float64, now int64) {
	for {
		var first *tenant
		for _, tn := range c.ring {
			if len(tn.waiting) > 0 && now >= tn.noSlot && (first == nil || tn.standing() < first.standing()) {
				first = tn
			}
		}
		if first == nil {
			return
		}
		if !t.admitOne(first, quantum, now) {
			first.noSlot = now + slotSearch
		}
	}
}

// admitOne gives a slot to the tenant's first waiting lane; false if there is
// none, or no durable for it.
func (t *turns) admitOne(tn *tenant, quantum float64, now int64) bool {
	l := tn.waiting[0]
	if !t.durable(l, now) {
		return false
	}
	if t.active >= reserved(t.slots, tn.class.priority) {
		victim := t.victim(tn, quantum, now)
		if victim == nil {
			return false
		}
		t.rest(victim, now)
	}
	tn.waiting = slices.Delete(tn.waiting, 0, 1)
	t.activate(l, now)
	return true
}

// reserved is the part of n that p may use: the last eighth is kept for higher
// priorities, so that an urgent lane need not wait for a bulk one to go.
func reserved(n int, p names.Priority) int {
	switch p {
	case names.High:
	case names.Normal:
		n -= n / 16
	case names.Bulk:
		n -= n / 8
	}
	return max(n, 1)
}

// durable tells whether l can have one: it exists; or it may be made; or, on a
// worker with little to do, it should be tried whether another worker has made
// it. Once lanes wait because the bound is reached, first come is first served
// also among lanes with a durable: theirs must be let expire.
func (t *turns) durable(l *lane, now int64) bool {
	p, has := l.class.priority, l.hasDurable(now, t.forgets)
	inOrder := t.blocked[p] == 0 || l.tenant.standing() <= t.blocked[p]
	if inOrder && (has || t.mayCreate(p)) || !has && t.active < t.few() && now >= l.probeAt {
		return true
	}
	l.refusedAt = now
	t.block(l.tenant)
	return false
}

// block notes that the tenant's first lane waits for a durable; lower priorities
// do not overtake it.
func (t *turns) block(tn *tenant) {
	for p := range tn.class.priority + 1 {
		if at := tn.standing(); t.blocked[p] == 0 || at < t.blocked[p] {
			t.blocked[p] = at
		}
	}
}

// few is the number of active lanes below which a worker looks for more work,
// and does not let go of any.
func (t *turns) few() int { return max(t.slots/4, 1) }

func (t *turns) mayCreate(p names.Priority) bool {
	return t.durables+t.pledged < reserved(t.maxDurables, p)
}

// victim finds an active lane that gives up its slot to tn, or nil. Best are
// lanes that cannot be pulled from anyway, then those of a lower priority, then
// those whose turn is over; a tenant with no slot at all also takes one of a
// tenant that has several.
func (t *turns) victim(tn *tenant, quantum float64, now int64) *lane {
	var best *lane
	bestRank := 5
	for _, c := range t.classes {
		for _, other := range c.ring {
			for _, l := range other.active {
				if l.pulling || l.creating {
					continue
				}
				if r := t.rank(tn, l, quantum, now); r < bestRank || r == bestRank && best != nil && l.activeAt < best.activeAt {
					best, bestRank = l, r
				}
			}
		}
	}
	return best
}

// rank says how readily l should give its slot to a lane of tn; 5 is not at all.
func (t *turns) rank(tn *tenant, l *lane, quantum float64, now int64) int {
	higher := l.class.priority > tn.class.priority
	crowded := len(l.tenant.active) > 1 && len(l.tenant.active) > len(tn.active)
	switch {
	case now-l.pulledAt >= int64(t.idleAfter) && (l.class != tn.class || l.retryAt > now):
		return 1
	case l.class.priority < tn.class.priority:
		return 2
	case !higher && t.turnOver(l, quantum, now) && (l.tenant == tn || crowded || len(tn.active) == 0):
		return 3
	case !higher && len(tn.active) == 0 && crowded:
		return 4
	}
	return 5
}

func (t *turns) turnOver(l *lane, quantum float64, now int64) bool {
	return l.served >= quantum && now-l.activeAt >= int64(t.minTurn)
}

// letGo makes lanes rest whose turn is over when others have waited for a
// durable for long: no more can be made until some expire, and those in use
// never do. A quarter of the slots stays in use. It also forgets who waited for
// a durable and does not any more. Called once a second.
func (t *turns) letGo(quantum func(route string) float64, now int64) {
	t.blocked = [names.Priorities]int64{}
	starved := false
	for _, c := range t.classes {
		for _, tn := range c.ring {
			if len(tn.waiting) > 0 && tn.waiting[0].refusedAt != 0 && now-tn.waiting[0].refusedAt < int64(time.Second) {
				t.block(tn)
				starved = starved || now-tn.waiting[0].waitingAt >= int64(2*time.Second)
			}
		}
	}
	if !starved {
		return
	}
	for range max(t.slots/16, 1) {
		l := t.longestActive(quantum, now)
		if l == nil || t.active <= t.few() {
			return
		}
		t.rest(l, now)
	}
}

// longestActive finds, of the lanes whose turn is over, the one active for longest.
func (t *turns) longestActive(quantum func(route string) float64, now int64) *lane {
	var first *lane
	for _, c := range t.classes {
		for _, tn := range c.ring {
			for _, l := range tn.active {
				over := !l.pulling && !l.creating && t.turnOver(l, quantum(c.route), now)
				if over && (first == nil || l.activeAt < first.activeAt) {
					first = l
				}
			}
		}
	}
	return first
}
