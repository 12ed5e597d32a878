package batch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// sweepEvery is how often the loop looks at everything that waits: cancelled and
// expired items leave within it, also while nothing can be asked.
const sweepEvery = 2 * time.Second

// Loop is the packer of one provider. One goroutine, Run's, owns the core; all
// others leave it mail.
type Loop[W any] struct {
	cfg  Config[W]
	core *core[W] // Run's goroutine only, and Rest's after it

	mail    mailbox[W]
	wake    chan struct{} // 1: mail has come
	tasks   sync.WaitGroup
	faults  faults
	judged  judged
	waiting [names.Priorities]atomic.Int64 // units, as of the loop's last turn
	arrived [names.Priorities]atomic.Int64 // items in the mailbox
	wired   atomic.Int64
	pending atomic.Int64
	calls   atomic.Int64
	block   atomic.Pointer[block]

	// Run's goroutine only:
	spare      []Item[W]       // the mailbox's other slice
	callsCtx   context.Context //nolint:containedctx // outlives Run's: calls in flight finish
	acquiring  bool
	settling   int // waiters in Answered
	flying     int // calls whose reply is not in yet
	notBefore  time.Time
	blocked    time.Time // since when no key was usable
	permitStop *block    // what the last WaitError said
	nextSweep  time.Time
	freed      bool // a permit was given back since the last Acquire began
	stopping   bool
}

// mailbox is what other goroutines leave for the loop.
type mailbox[W any] struct {
	sync.Mutex
	items   []Item[W]
	landed  []*flight[W]
	granted []acquired
	late    []delivery
	settled int
	money   bool // what waits for money is to be tried again
}

// acquired is what came of asking for a permit.
type acquired struct {
	grant Grant
	err   error
}

// NewLoop makes the packer of one provider; Run starts it.
func NewLoop[W any](cfg Config[W]) *Loop[W] {
	cfg = cfg.withDefaults()
	l := &Loop[W]{cfg: cfg, wake: make(chan struct{}, 1)}
	l.faults.first, l.faults.most, l.faults.rand = cfg.Retry.Initial, cfg.Retry.Max, cfg.Rand
	core := coreConfig[W]{
		maxBatch: cfg.MaxBatch, shareGroups: cfg.ShareGroups, linger: cfg.Linger, retry: cfg.Retry,
		recentCount: cfg.RecentCount, recentAge: cfg.RecentAge, live: cfg.Live, rand: cfg.Rand,
	}
	if cfg.Afford != nil {
		core.samePurse = cfg.SamePurse
	}
	if p, ok := cfg.Provider.(providers.PartitionLimiter); ok {
		core.limit = p.PartitionLimit
	}
	l.core = newCore(time.Now(), core)
	return l
}

// Add admits items, always; they are copied. It may be called in parallel and
// does not wait. Items added after Run returned are only seen by Rest.
func (l *Loop[W]) Add(items []Item[W]) {
	if len(items) == 0 {
		return
	}
	for i := range items {
		l.arrived[items[i].Priority].Add(1)
	}
	l.mail.Lock()
	l.mail.items = append(l.mail.items, items...)
	l.mail.Unlock()
	l.rouse()
}

// Waiting is how many numbers of priority p and above wait to be sent; those that wait
// for money are left out. Cheap, in parallel.
func (l *Loop[W]) Waiting(p names.Priority) int {
	n := int64(0)
	for i := p; i < names.Priorities; i++ {
		n += l.waiting[i].Load() + l.arrived[i].Load()
	}
	return int(n)
}

// OnWire is how many numbers are being asked now. Cheap, in parallel.
func (l *Loop[W]) OnWire() int { return int(l.wired.Load()) }

// Calls is how many calls are in flight. Cheap, in parallel.
func (l *Loop[W]) Calls() int { return int(l.calls.Load()) }

// Run packs and calls until ctx ends; then it starts no more calls, waits for
// those in flight and for their answers to be taken, and returns nil. It does not
// wait for tickets. Call it once.
func (l *Loop[W]) Run(ctx context.Context) error {
	l.callsCtx = context.WithoutCancel(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.readMail(time.Now())
		timer.Reset(time.Until(l.turn(ctx, time.Now())))
		select {
		case <-ctx.Done():
			l.finish()
			return nil
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// finish waits for what was started. Its results need the loop until every call has landed.
func (l *Loop[W]) finish() {
	l.stopping = true
	l.readMail(time.Now())
	for l.flying > 0 || l.acquiring {
		l.publish(time.Now())
		<-l.wake
		l.readMail(time.Now())
	}
	l.deliver()
	l.tasks.Wait()
	l.publish(time.Now())
}

// Rest returns the waiters that were never sent, wait to be sent again or wait
// for a ticket. Call it once, after Run has returned and nobody adds any more.
func (l *Loop[W]) Rest() []W {
	l.mail.Lock()
	l.mail.late = nil // nobody is left to settle them; the tickets know them
	l.mail.Unlock()
	l.readMail(time.Now())
	rest := l.core.rest()
	for _, a := range l.core.take() {
		rest = append(rest, a.Waiter) // nobody is left to settle what ended just now
	}
	l.publish(time.Now())
	return rest
}

// turn does what is due and returns when to look again.
func (l *Loop[W]) turn(ctx context.Context, now time.Time) time.Time {
	if !now.Before(l.nextSweep) {
		l.core.sweep(now)
		l.nextSweep = now.Add(sweepEvery)
	}
	next := l.ask(ctx, now)
	l.tellParked()
	l.deliver()
	l.publish(now)
	if len(l.core.parts) > 0 && l.nextSweep.Before(next) {
		next = l.nextSweep
	}
	return next
}

// farOff is the timer of a loop with nothing to do.
const farOff = time.Hour

// ask asks for a permit, if a batch is worth one and one may be had. It returns
// when to try again.
func (l *Loop[W]) ask(ctx context.Context, now time.Time) time.Time {
	far := now.Add(farOff)
	if l.acquiring || l.settling > l.cfg.SettleAhead || ctx.Err() != nil {
		return far // mail will come
	}
	n, at := l.core.want(l.core.at(now))
	if at < l.core.at(far) {
		far = l.core.epoch.Add(at)
	}
	if n == 0 {
		return far
	}
	if now.Before(l.notBefore) {
		return l.notBefore
	}
	l.acquiring, l.freed = true, false
	l.tasks.Go(func() {
		grant, err := l.cfg.Permits.Acquire(ctx, n)
		l.mail.Lock()
		l.mail.granted = append(l.mail.granted, acquired{grant, err})
		l.mail.Unlock()
		l.rouse()
	})
	return far
}

// readMail hands the core what has come.
func (l *Loop[W]) readMail(now time.Time) {
	m := &l.mail
	m.Lock()
	items, landed, granted, late, settled, money := m.items, m.landed, m.granted, m.late, m.settled, m.money
	m.items, m.landed, m.granted, m.late, m.settled, m.money = l.spare[:0], nil, nil, nil, 0, false
	m.Unlock()
	l.spare = nil
	l.settling -= settled
	if len(items) > 0 {
		l.core.add(now, items)
		l.unarrive(items)
	}
	for _, f := range landed {
		l.land(now, f)
	}
	for i := range late {
		l.core.late(now, late[i].ticket, late[i].outcomes)
	}
	l.judgeLate(now)
	if money {
		l.core.reconsider()
	}
	for _, a := range granted {
		l.granted(now, a)
	}
}

// maxSpareItems bounds the memory that a burst of items leaves behind.
const maxSpareItems = 16 << 10

// unarrive counts the items as units of the core, which they are now, and keeps
// their slice for the next ones.
func (l *Loop[W]) unarrive(items []Item[W]) {
	var n [names.Priorities]int64
	for i := range items {
		n[items[i].Priority]++
	}
	for p := range n {
		l.waiting[p].Store(int64(l.core.unsent[p] - l.core.broke[p]))
		l.arrived[p].Add(-n[p])
	}
	if cap(items) <= maxSpareItems {
		clear(items)
		l.spare = items
	}
}

// granted cuts a batch for a permit and sends it off, or gives the permit back.
func (l *Loop[W]) granted(now time.Time, a acquired) {
	l.acquiring = false
	if a.err != nil {
		if !l.stopping {
			l.refused(now, a.err)
		}
		return
	}
	l.unblock()
	var b *packed[W]
	if !l.stopping {
		b = l.core.cut(now, a.grant.N)
	}
	if b == nil {
		l.tasks.Go(func() {
			a.grant.Refund(a.grant.N)
			a.grant.Release()
		})
		return
	}
	f := &flight[W]{batch: b, grant: a.grant, answers: make(chan []Answered[W], 1)}
	l.flying++
	l.calls.Add(1)
	l.tasks.Go(func() { l.fly(f) })
}

// land gives a reply to the core and the answers to the call's goroutine.
func (l *Loop[W]) land(now time.Time, f *flight[W]) {
	l.flying--
	l.calls.Add(-1)
	l.notBefore, l.freed = time.Time{}, true // a permit is free: do not wait for the hint
	if f.stall > 0 {
		l.stall(now, f.stall)
	}
	answers := l.core.resolve(now, f.batch, f.grant.Key.Name, &f.reply)
	l.settling += len(answers)
	f.answers <- answers
}

// deliver hands out what ended without a call.
func (l *Loop[W]) deliver() {
	if len(l.core.out) == 0 {
		return
	}
	answers := l.core.take()
	l.settling += len(answers)
	l.tasks.Go(func() { l.settle(answers) })
}

// settle hands answers over, and reports when they are taken.
func (l *Loop[W]) settle(answers []Answered[W]) {
	if len(answers) == 0 {
		return
	}
	l.cfg.Answered(answers)
	l.mail.Lock()
	l.mail.settled += len(answers)
	l.mail.Unlock()
	l.rouse()
}

func (l *Loop[W]) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
