package batch

import "github.com/lookupq/lookupq/internal/names"

// The order of fresh units inside one priority is weighted deficit round-robin
// over tenants. An account keeps how much a tenant was served, in items divided
// by weight; the tenant that is furthest behind goes next. The accounts hold
// over all partitions, so that a tenant which spreads its items over many
// partitions gains nothing. What is scarce is calls: where fewer items fit into a
// call, each costs its tenant as much more.

// oneItem is what an item costs an account of weight 1.
const oneItem = 1 << 20

// maxWeight keeps the cost of an item above 0.
const maxWeight = 1 << 16

// account is what one tenant was served at one priority.
type account struct {
	served int64 // in oneItem divided by weight
	weight int64
	queued int // fresh units
	shares int // share structs that point here
}

// charge notes that one item was sent, which took the room of n in a call.
func (a *account) charge(n int64) { a.served += n * (oneItem / a.weight) }

// book is the accounts of one priority.
type book struct {
	accounts map[string]*account
	// clock is the highest service that an item was taken at. Who comes back from
	// idling starts there: having been idle earns nothing.
	clock int64
}

func (b *book) account(tenant string) *account {
	a := b.accounts[tenant]
	if a == nil {
		a = &account{weight: 1}
		b.accounts[tenant] = a
	}
	return a
}

// level is the fresh units of one priority in one partition.
type level[W any] struct {
	shares map[string]*share[W] // by tenant
	heap   []*share[W]          // those with units, furthest behind first
	n      int
}

// share is one tenant's fresh units in a level.
type share[W any] struct {
	account *account
	// key is account.served when the heap was last put in order, never above it.
	key    int64
	inHeap bool
	queues map[string]*queue[W] // by campaign
	// turn is the ring of campaigns with units, next one first.
	turnHead, turnTail *queue[W]
	n                  int
}

// queue is one campaign's fresh units in a share.
type queue[W any] struct {
	list[W]

	part   *partition[W]
	prio   names.Priority
	share  *share[W]
	inTurn bool
	next   *queue[W]
}

// queueFor finds or makes the queue of a campaign.
func (c *core[W]) queueFor(p *partition[W], prio names.Priority, tenant, campaign string) *queue[W] {
	l := &p.levels[prio]
	s := l.shares[tenant]
	if s == nil {
		s = &share[W]{account: c.books[prio].account(tenant), queues: make(map[string]*queue[W], 1)}
		s.account.shares++
		if l.shares == nil {
			l.shares = make(map[string]*share[W], 1)
		}
		l.shares[tenant] = s
	}
	q := s.queues[campaign]
	if q == nil {
		q = &queue[W]{part: p, prio: prio, share: s}
		s.queues[campaign] = q
	}
	return q
}

// enqueue puts u into its queue: at the back when it is new, in front when it
// was taken and is put back.
func (c *core[W]) enqueue(u *unit[W], front bool) {
	q := u.queue
	s := q.share
	l := &u.part.levels[q.prio]
	if s.account.queued == 0 {
		s.account.served = max(s.account.served, c.books[q.prio].clock)
	}
	if !s.inHeap {
		s.key = s.account.served
		l.push(s)
	}
	if !q.inTurn {
		s.toTurn(q)
	}
	if front {
		q.pushFront(u)
	} else {
		q.pushBack(u)
	}
	u.state = fresh
	s.n++
	l.n++
	s.account.queued++
	u.part.fresh++
}

// dequeue takes u out of its queue.
func (c *core[W]) dequeue(u *unit[W]) {
	q := u.queue
	q.remove(u)
	q.share.n--
	q.share.account.queued--
	u.part.levels[q.prio].n--
	u.part.fresh--
}

// nextFresh takes the unit whose turn it is at one priority of p; nil if there
// is none. The caller charges the account if the unit is indeed sent.
func (c *core[W]) nextFresh(p *partition[W], prio names.Priority) *unit[W] {
	l := &p.levels[prio]
	s := l.front()
	if s == nil {
		return nil
	}
	u := s.front()
	b := &c.books[prio]
	b.clock = max(b.clock, s.key)
	c.dequeue(u)
	return u
}

// front is the share that is furthest behind, nil if the level is empty. Keys
// are brought up to date only as they come to the top: served never falls, so
// the first one that is up to date is the least of all.
func (l *level[W]) front() *share[W] {
	for len(l.heap) > 0 {
		s := l.heap[0]
		switch {
		case s.n == 0:
			l.pop()
		case s.key < s.account.served:
			s.key = s.account.served
			l.sink()
		default:
			return s
		}
	}
	return nil
}

// front is the unit of the campaign whose turn it is, and passes the turn on.
// The share has units.
func (s *share[W]) front() *unit[W] {
	for {
		q := s.turnHead
		if q.n > 1 && q.next == nil {
			return q.head // alone: its turn again
		}
		s.turnHead = q.next
		if s.turnHead == nil {
			s.turnTail = nil
		}
		q.next, q.inTurn = nil, false
		if q.n == 0 {
			continue
		}
		if q.n > 1 {
			s.toTurn(q)
		}
		return q.head
	}
}

func (s *share[W]) toTurn(q *queue[W]) {
	q.inTurn = true
	if s.turnTail == nil {
		s.turnHead = q
	} else {
		s.turnTail.next = q
	}
	s.turnTail = q
}

func (l *level[W]) push(s *share[W]) {
	s.inHeap = true
	l.heap = append(l.heap, s)
	for i := len(l.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if l.heap[up].key <= l.heap[i].key {
			break
		}
		l.heap[up], l.heap[i] = l.heap[i], l.heap[up]
		i = up
	}
}

func (l *level[W]) pop() {
	end := len(l.heap) - 1
	l.heap[0].inHeap = false
	l.heap[0], l.heap[end] = l.heap[end], nil
	l.heap = l.heap[:end]
	l.sink()
}

// sink restores the order after the top's key has grown.
func (l *level[W]) sink() {
	h := l.heap
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].key < h[least].key {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
