package batch

import (
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// coreConfig is what the core decides by.
type coreConfig[W any] struct {
	maxBatch    int
	limit       func(partition string) int // PartitionLimiter's; may be nil
	shareGroups bool
	linger      time.Duration
	retry       RetryConfig
	recentCount int
	recentAge   time.Duration
	live        func(W) LiveState
	// samePurse is nil where everything is paid for.
	samePurse func(a, b W) bool
	rand      func() float64
}

// core is the packer's state and rules. It is pure: every call passes the time,
// nothing blocks, and only one goroutine may use it (Loop's).
type core[W any] struct {
	cfg     coreConfig[W]
	epoch   time.Time
	backoff []time.Duration // by attempts used up
	pauses  []time.Duration // by circuits opened in a row

	parts  map[string]*partition[W]
	active []*partition[W] // those with unsent units
	books  [names.Priorities]book
	groups groupHeap[W] // parked groups by their time
	budget budget
	cuts   uint64 // batches cut, and those of them that were neither probe nor bisection
	turns  uint64

	recents list[W]
	tickets map[string]*ticket[W] // those that units wait for
	news    []*ticket[W]          // those with units that nobody was told of
	accused []accusation          // by late outcomes since the last take
	unsent  [names.Priorities]int // units that are to be asked
	wired   int                   // units on the wire
	pending int                   // units that wait for tickets
	broke   [names.Priorities]int // unsent units that wait for money

	// shut hands on every item that may go elsewhere, until then.
	shutUntil tick
	shutFor   *providers.Failure

	out     []Answered[W] // ends since the last take
	hint    *queue[W]     // where the last item went, its names below
	hinted  hinted
	spare   []*unit[W]
	tills   [][]W // used before, for the payers of calls
	aside   []*unit[W]
	delayed []*group[W]
}

// hinted names the queue in core.hint.
type hinted struct{ partition, tenant, campaign string }

// partition is what is known of the units that may share a batch.
type partition[W any] struct {
	name    string
	options providers.Options
	limit   int // numbers a batch, as documented and configured
	max     int // the same, but falls when the provider says too many
	units   map[string]*unit[W]
	levels  [names.Priorities]level[W]
	due     [names.Priorities]list[W]
	// gathering is the last group of numbers that failed after their call.
	gathering *group[W]
	// suspects are groups of a bisection whose turn it is.
	suspects []*group[W]

	fresh, retries int // units in levels, in due
	unsent, wired  int // units; unsent counts parked ones too
	at             int // index in core.active, -1 when not in it
	// oldest is since when the first fresh unit waits, while oldestKnown.
	oldest      tick
	oldestKnown bool
	lastCut     uint64
	health      health
	// unfinished: the last reply was one of a call that only did its part. rest is
	// until when there is nothing to send then.
	unfinished bool
	rest       tick
	probe      *packed[W] // on the wire while the circuit is open
}

// packed is one batch: cut from one partition, for one call.
type packed[W any] struct {
	part    *partition[W]
	units   []*unit[W]
	numbers []providers.Number // the query's own copy: the call outlives no unit
	shares  []string           // the same of the share groups, where the provider wants them
	payers  []W                // who bears the cost of each unit, where money is asked for
	refused []refused[W]       // units that there was no money for; they are not in units
	raw     bool
	suspect bool // of a bisection
	probe   bool // the one call of an open circuit

	// opened is set when the batch's failure opened the circuit, for how long it did.
	opened time.Duration
	// shrunk is the partition's new maximum if the provider said too many.
	shrunk int
}

func newCore[W any](now time.Time, cfg coreConfig[W]) *core[W] {
	c := &core[W]{
		cfg:     cfg,
		epoch:   now,
		backoff: steps(cfg.retry.Initial, cfg.retry.Max, cfg.retry.Attempts),
		pauses:  steps(firstPause, maxPause, pauseSteps),
		parts:   make(map[string]*partition[W]),
		tickets: make(map[string]*ticket[W]),
		budget:  newBudget(cfg.maxBatch),
		delayed: make([]*group[W], cfg.retry.Attempts+1),
	}
	for i := range c.books {
		c.books[i].accounts = make(map[string]*account)
	}
	return c
}

// at is now as a tick.
func (c *core[W]) at(now time.Time) tick { return now.Sub(c.epoch) }

// take returns what ended since the last call; the slice is the caller's.
func (c *core[W]) take() []Answered[W] {
	out := c.out
	c.out = nil
	return out
}

// hold counts u as unsent, let undoes it.
func (c *core[W]) hold(u *unit[W]) {
	p := u.part
	c.unsent[u.prio]++
	p.unsent++
	if p.at < 0 {
		p.at = len(c.active)
		c.active = append(c.active, p)
	}
}

func (c *core[W]) let(u *unit[W]) {
	p := u.part
	c.unsent[u.prio]--
	p.unsent--
	if p.unsent > 0 {
		return
	}
	end := len(c.active) - 1
	moved := c.active[end]
	c.active[p.at], moved.at = moved, p.at
	c.active[end] = nil
	c.active = c.active[:end]
	p.at = -1
}

// pull takes an unsent unit out of the list that it waits in; it stays counted.
func (c *core[W]) pull(u *unit[W]) {
	switch u.state {
	case fresh:
		c.dequeue(u)
		u.part.oldestKnown = false
	case due:
		u.in.remove(u)
		u.part.retries--
	case parked:
		u.in.remove(u)
		c.solvent(u)
	case wired, pending, recent:
	}
}

// again puts u where it is asked again as soon as possible.
func (c *core[W]) again(u *unit[W]) {
	u.state = due
	u.part.due[u.prio].pushBack(u)
	u.part.retries++
}

// ending is what becomes of all waiters of a unit.
type ending struct {
	verdict Final
	outcome *providers.Outcome
	failure *providers.Failure
	at      time.Time
	key     string
}

// report ends every waiter of u. The first one whose answer is not paid for
// elsewhere bears the cost.
func (c *core[W]) report(u *unit[W], e ending) {
	first := 0
	for first < len(u.waiters) && u.waiters[first].paid {
		first++
	}
	for i := range u.waiters {
		w := &u.waiters[i]
		c.out = append(c.out, Answered[W]{})
		a := &c.out[len(c.out)-1] // written in place: it is large
		a.Waiter, a.Verdict, a.Failure, a.Attempts = w.w, e.verdict, e.failure, int(u.tries)
		a.AnsweredAt, a.First, a.Shared, a.Key = e.at, i == first, i != first, e.key
		if e.outcome != nil {
			a.Outcome = *e.outcome
		}
		if i != first {
			a.Outcome.Cost = providers.Cost{}
		}
		if i != first || !w.raw {
			a.Outcome.Raw = nil
		}
		if e.verdict == NextProvider && w.last {
			a.Verdict = GaveUp
		}
	}
}

// newUnit is a blank unit, used before if there is one.
func (c *core[W]) newUnit() *unit[W] {
	if n := len(c.spare); n > 0 {
		u := c.spare[n-1]
		c.spare[n-1] = nil
		c.spare = c.spare[:n-1]
		return u
	}
	u := &unit[W]{}
	u.waiters = u.one[:0]
	return u
}

// maxSpare bounds the units kept for reuse, in batches.
const maxSpare = 8

// recycle forgets a unit that nothing points to any more.
func (c *core[W]) recycle(u *unit[W]) {
	*u = unit[W]{}
	u.waiters = u.one[:0]
	if len(c.spare) < maxSpare*max(c.cfg.maxBatch, 128) {
		c.spare = append(c.spare, u)
	}
}

// drop removes u from index and memory. It is in no list any more.
func (c *core[W]) drop(u *unit[W]) {
	u.part.leave(u)
	c.recycle(u)
}
