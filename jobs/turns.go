package jobs

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// turns decides whose turn it is. It is pure: no I/O, no clock, no goroutine;
// the loop owns it. Lanes that want to be pulled from are ordered by class
// (route and priority), within it by weighted deficit round-robin over tenants,
// within a tenant by deficit round-robin over lanes.
//
// Only so many lanes are active, which means pulled from: each that was pulled
// lately has a durable, and every ack costs the server a walk over all durables.
// The others wait in line. A lane's turn ends after a quantum of items, but not
// before minTurn, or durables would be made faster than they expire.
type turns struct {
	slots, maxDurables int
	minTurn            time.Duration
	idleAfter          time.Duration // an active lane not pulled from for so long may lose its slot
	forgets            time.Duration // how long a durable surely exists after its last use

	classes  map[classKey]*class
	active   int // lanes with a slot
	durables int // on the stream at most: by the last poll, and what was made since
	pledged  int // active lanes whose durable is still to be made
	// blocked is the standing of the first lane, of the priority or above, that
	// waits for a durable because no more may be made; 0: none does.
	blocked [names.Priorities]int64
}

type classKey struct {
	route    string
	priority names.Priority
}

// class is the lanes of one route and priority. Lanes that are only claimed to
// be made dead have a class of their own, with the route "".
type class struct {
	classKey
	tenants  map[string]*tenant // all that some lane belongs to
	ring     []*tenant          // those with lanes in line, in order of arrival
	cur      int                // where the search for the next begins
	inflight float64            // items asked for and not yet handed out
	held     atomic.Int64
}

// tenant is a tenant's part of a class.
type tenant struct {
	name    string
	class   *class
	weight  float64
	refs    int // lanes that belong to it, in line or not
	inRing  bool
	deficit float64 // items it may still be given in this round; negative: overdrawn
	active  []*lane // a ring
	cur     int     // where the search for the next begins
	waiting []*lane // first come, first served
	noSlot  int64   // no use looking for a slot or durable before then
}

const (
	msec       = int64(time.Millisecond)
	slotSearch = 5 * msec
	answerSoon = 250 * msec // a pull not answered for so long is not waited for
)

func (t *turns) class(route string, p names.Priority) *class {
	k := classKey{route, p}
	c := t.classes[k]
	if c == nil {
		c = &class{classKey: k, tenants: make(map[string]*tenant)}
		t.classes[k] = c
	}
	return c
}

// join makes l a lane of the class, under the tenant of that name.
func (c *class) join(l *lane, name string, weight int) {
	tn := c.tenants[name]
	if tn == nil {
		tn = &tenant{name: name, class: c, weight: float64(max(weight, 1))}
		c.tenants[name] = tn
	}
	tn.refs++
	l.class, l.tenant = c, tn
}

// leave undoes join, of a lane that is not in line.
func (c *class) leave(l *lane) {
	l.tenant.refs--
	if l.tenant.refs == 0 {
		delete(c.tenants, l.tenant.name)
	}
}

// enqueue puts a lane that wants to be pulled from in line.
func (t *turns) enqueue(l *lane, now int64) {
	if l.place != placeNone {
		return
	}
	tn := l.tenant
	l.place, l.waitingAt = placeWaiting, now
	tn.waiting = append(tn.waiting, l)
	if !tn.inRing {
		tn.inRing = true
		tn.class.ring = append(tn.class.ring, tn)
	}
}

// dequeue takes a lane out that is empty or paused.
func (t *turns) dequeue(l *lane) {
	tn := l.tenant
	switch l.place {
	case placeNone:
		return
	case placeWaiting:
		i := slices.Index(tn.waiting, l)
		tn.waiting = slices.Delete(tn.waiting, i, i+1)
	case placeActive:
		t.deactivate(l)
	}
	l.place = placeNone
	if tn.lanes() == 0 {
		// Credit is not saved up while nothing is wanted; debt stays.
		tn.deficit = min(tn.deficit, 0)
	}
}

// rest ends a lane's turn: it lines up again behind the others.
func (t *turns) rest(l *lane, now int64) {
	t.deactivate(l)
	l.place, l.waitingAt = placeWaiting, now
	// Looking whether another worker has made its durable would keep ours alive.
	l.probeAt = now + 2*int64(t.forgets)
	l.tenant.waiting = append(l.tenant.waiting, l)
}

func (t *turns) deactivate(l *lane) {
	tn := l.tenant
	i := slices.Index(tn.active, l)
	tn.active = slices.Delete(tn.active, i, i+1)
	if tn.cur > i {
		tn.cur--
	}
	if tn.cur >= len(tn.active) {
		tn.cur = 0
	}
	t.redeem(l)
	t.active--
}

func (t *turns) activate(l *lane, now int64) {
	tn := l.tenant
	l.place, l.activeAt, l.pulledAt, l.refusedAt = placeActive, now, now, 0
	l.served, l.deficit = 0, 0
	// Last in the ring: just before the one whose turn it is.
	tn.active = slices.Insert(tn.active, tn.cur, l)
	if len(tn.active) > 1 {
		tn.cur++
	}
	t.active++
	if !l.hasDurable(now, t.forgets) {
		l.pledged = true
		t.pledged++
	}
}

// redeem ends the claim of an active lane to a durable still to be made: it is
// being made, or not needed.
func (t *turns) redeem(l *lane) {
	if l.pledged {
		l.pledged = false
		t.pledged--
	}
}

// tidy takes tenants with nothing in line out of the ring; done now and then,
// since most come back at once.
func (c *class) tidy() {
	if len(c.ring) == 0 {
		return
	}
	cur := c.ring[c.cur%len(c.ring)]
	c.ring = slices.DeleteFunc(c.ring, func(tn *tenant) bool {
		tn.inRing = tn == cur || tn.lanes() > 0
		return !tn.inRing
	})
	c.cur = slices.Index(c.ring, cur)
}

func (tn *tenant) lanes() int { return len(tn.active) + len(tn.waiting) }

// next returns the lane of c to pull from now, or nil if there is none, or it
// would not be fair: a round ends for all tenants at once, and one that is only
// waiting for the answer to a pull is waited for. Without that, whoever has one
// lane would get as much as whoever has one lane and thrice the weight.
func (t *turns) next(c *class, quantum float64, now int64) *lane {
	t.admit(c, quantum, now)
	for range 2 {
		var wait, ready bool
		for i := range c.ring {
			tn := c.ring[(c.cur+i)%len(c.ring)]
			l, pulling := tn.next(quantum, now)
			if tn.deficit > 0 && l != nil {
				c.cur = (c.cur + i) % len(c.ring)
				return l
			}
			wait = wait || tn.deficit > 0 && pulling
			ready = ready || l != nil
		}
		if wait || !ready {
			return nil
		}
		c.newRound(quantum, now)
	}
	return nil // not reached: newRound gives credit to one that is ready
}

// newRound gives every tenant in line its quantum, and as many of them as it
// takes until one that is ready is out of debt. Who could not use the last one
// keeps it once.
func (c *class) newRound(quantum float64, now int64) {
	rounds := math.Inf(1)
	for _, tn := range c.ring {
		if l, _ := tn.next(quantum, now); l != nil {
			rounds = min(rounds, roundsOf(tn.deficit, quantum*tn.weight))
		}
	}
	for _, tn := range c.ring {
		if share := quantum * tn.weight; tn.lanes() > 0 {
			tn.deficit = min(tn.deficit+rounds*share, 2*share)
		}
	}
	c.cur = (c.cur + 1) % len(c.ring)
}

// coming is what lanes of c, whose answers are awaited, have besides what they
// were asked for: room to keep for them.
func (c *class) coming(now int64) (items float64) {
	for _, tn := range c.ring {
		for _, l := range tn.active {
			if !l.answering(now) {
				continue
			}
			left := float64(l.avail)
			if l.pulling {
				left -= float64(l.pull.n - l.pull.got)
			}
			items += max(left, 0) * max(l.average, 1)
		}
	}
	return items
}

// answering tells whether an answer of the server is awaited and due soon.
func (l *lane) answering(now int64) bool {
	return (l.pulling || l.creating) && now-l.pulledAt < answerSoon
}

// roundsOf is how many shares bring a deficit above zero.
func roundsOf(deficit, share float64) float64 { return math.Floor(max(-deficit, 0)/share) + 1 }

// next returns the tenant's lane whose turn it is, if any, and whether one of
// its lanes is waiting for the answer to a pull.
func (tn *tenant) next(quantum float64, now int64) (_ *lane, pulling bool) {
	var first *lane
	rounds, wait := math.Inf(1), false
	for i := range tn.active {
		at := (tn.cur + i) % len(tn.active)
		l := tn.active[at]
		soon := l.answering(now)
		pulling = pulling || soon
		switch busy := l.busy(now); {
		case !busy && l.deficit > 0 && first == nil:
			first, tn.cur = l, at
		case !busy:
			rounds = min(rounds, roundsOf(l.deficit, quantum))
		case soon && l.deficit > 0:
			wait = true
		}
	}
	if first != nil || wait || math.IsInf(rounds, 1) {
		return first, pulling
	}
	for _, l := range tn.active {
		l.deficit = min(l.deficit+rounds*quantum, 2*quantum)
	}
	tn.cur = (tn.cur + 1) % len(tn.active)
	return tn.next(quantum, now)
}

// charge books items asked for (or, negative, not received) on a lane.
func (l *lane) charge(items float64) {
	l.deficit -= items
	l.served += items
	l.tenant.deficit -= items
}
