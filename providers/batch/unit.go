package batch

import (
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// tick is a time as the core sees it: monotonic, since its epoch.
type tick = time.Duration

// never is later than every tick.
const never = tick(1<<63 - 1)

// state is where a unit is.
type state uint8

const (
	// fresh waits in a campaign's queue, due in its partition's list of retries.
	fresh state = iota
	due
	// parked is in a group: a retry whose time has not come, or part of a bisection.
	parked
	wired
	// pending is off the wire and waits for a ticket.
	pending
	// recent is answered and kept for those that ask within a moment.
	recent
)

// waiter is one item that a unit is asked for.
type waiter[W any] struct {
	w       W
	expires int64 // Unix nanoseconds, 0 is never
	raw     bool
	last    bool
	own     bool // it takes no call's answer that began before it came (NoShare)
	paid    bool // of a ticket whose cost another worker's item bears
	broke   tick // it has no money before then
}

// unit is one number to be asked once for all its waiters. Every unsent unit is
// in exactly one list (in); a wired one is in none, a pending one in its ticket,
// a recent one in core.recents.
type unit[W any] struct {
	number providers.Number
	share  string
	part   *partition[W]
	// twin is the ring of units for the same number: of other share groups, and
	// detached ones.
	twin       *unit[W]
	prev, next *unit[W]
	in         *list[W]
	queue      *queue[W] // its campaign's, while fresh
	waiters    []waiter[W]
	one        [1]waiter[W] // backs waiters until a second one joins
	batch      *packed[W]   // while wired
	outcome    *providers.Outcome
	since      tick  // fresh: when it came; recent: when it was answered
	answered   int64 // recent: the same on the wall clock, Unix nanoseconds
	prio       names.Priority
	state      state
	// detached units are wired or pending, and beside them is, or was, another one
	// of their number and share group: one that may not share their call, or that
	// waits for another ticket.
	detached bool
	// broke units are parked for want of money.
	broke bool
	// tries counts calls, burned those that use up an attempt, doubtful those
	// whose reply left open what happened, pauses the circuits it opened, and own
	// the failures that were the number's alone, not its call's.
	tries, burned, doubtful, pauses, own uint8
}

func (u *unit[W]) unsent() bool { return u.state <= parked }

// bump counts up without wrapping round.
func bump(n *uint8) {
	if *n < 255 {
		*n++
	}
}

// list is a queue of units, linked through the units themselves.
type list[W any] struct {
	head, tail *unit[W]
	n          int
}

func (l *list[W]) pushBack(u *unit[W]) {
	u.in, u.prev, u.next = l, l.tail, nil
	if l.tail == nil {
		l.head = u
	} else {
		l.tail.next = u
	}
	l.tail = u
	l.n++
}

func (l *list[W]) pushFront(u *unit[W]) {
	u.in, u.prev, u.next = l, nil, l.head
	if l.head == nil {
		l.tail = u
	} else {
		l.head.prev = u
	}
	l.head = u
	l.n++
}

func (l *list[W]) remove(u *unit[W]) {
	if u.prev == nil {
		l.head = u.next
	} else {
		u.prev.next = u.next
	}
	if u.next == nil {
		l.tail = u.prev
	} else {
		u.next.prev = u.prev
	}
	u.in, u.prev, u.next = nil, nil, nil
	l.n--
}

// find returns the unit that stands for number in share group, nil if none. A
// detached one does only where there is no other.
func (p *partition[W]) find(number, share string) (found *unit[W]) {
	head := p.units[number]
	for u := head; u != nil; {
		if u.share == share {
			if !u.detached {
				return u
			}
			found = u
		}
		if u = u.twin; u == head {
			break
		}
	}
	return found
}

// enter puts u into the index; all others of its number and share group are detached.
func (p *partition[W]) enter(u *unit[W]) {
	if head := p.units[u.number.E164]; head != nil {
		u.twin, head.twin = head.twin, u
		return
	}
	u.twin = u
	p.units[u.number.E164] = u
}

// leave takes u out of the index.
func (p *partition[W]) leave(u *unit[W]) {
	if u.twin == u {
		delete(p.units, u.number.E164)
		u.twin = nil
		return
	}
	prev := u.twin
	for prev.twin != u {
		prev = prev.twin
	}
	prev.twin = u.twin
	if p.units[u.number.E164] == u {
		p.units[u.number.E164] = prev
	}
	u.twin = nil
}
