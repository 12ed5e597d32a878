package jobs

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// loop is the state of Claimer.Run: only its goroutine touches it.
type loop struct {
	c          *Claimer
	out        func([]*Held)
	spawn      func(func(context.Context)) // starts a helper that Run waits for
	inbox      string
	jobsPrefix string
	routes     []string

	lanes   map[string]*lane // by key
	byID    map[uint64]*lane
	laneIDs uint64
	turns   turns

	arrived    arrived
	batch      []*Held // received, not yet given to out
	batchSince int64
	batchDue   bool // a pull has ended since

	pulling    map[*lane]struct{} // lanes with a pull under way
	pullIDs    uint64
	creating   int // durables being made
	onStream   int // durables at the last poll
	reconnects uint64
	muteUntil  int64
	sweptAt    int64
	stopping   bool

	createFails                           bool // and it was logged
	pollErr                               string
	polledAt                              time.Time
	pulls, emptyPulls, jobs, redeliveries uint64
}

// Times of the loop.
const (
	// muteWakes is how long wake-ups do not wake the loop after some did: at
	// tens of thousands of jobs a second each would cost a turn of the loop.
	muteWakes = 500 * time.Microsecond
	// gather is how long a job waits for the others of its pull.
	gather = 3 * time.Millisecond
	// tick is how often pulls that get no answer are looked for.
	tick = 25 * time.Millisecond
	idle = 250 * time.Millisecond
)

func newLoop(c *Claimer, inbox string, out func([]*Held)) *loop {
	cfg := c.cfg
	wildcard := cfg.Names.JobsWildcard()
	// With so long a turn the lanes that rest leave a quarter of the durables free.
	spare := max(cfg.LanesMax-cfg.LanesActive, 1)
	minTurn := cfg.inactive * time.Duration(cfg.LanesActive) * 4 / time.Duration(3*spare)
	return &loop{
		c: c, out: out, inbox: inbox, jobsPrefix: wildcard[:len(wildcard)-1], routes: cfg.Demand.Routes(),
		lanes: make(map[string]*lane), byID: make(map[uint64]*lane), pulling: make(map[*lane]struct{}),
		turns: turns{
			slots: cfg.LanesActive, maxDurables: cfg.LanesMax, minTurn: min(minTurn, 2*cfg.inactive),
			idleAfter: time.Second, forgets: cfg.inactive * 4 / 5, classes: make(map[classKey]*class),
		},
		reconnects: c.nc.Stats().Reconnects,
	}
}

// run claims until ctx ends.
func (lp *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-lp.c.in.signal:
		case <-timer.C:
		}
		now := lp.c.now()
		lp.unmute(now)
		lp.receive(now)
		lp.expirePulls(now)
		if now-lp.sweptAt >= int64(lp.c.cfg.Poll) {
			lp.sweep(now)
		}
		lp.deliver(now)
		lp.schedule(now)
		timer.Reset(lp.pause(now))
	}
}

// receive books what has arrived since the last time.
func (lp *loop) receive(now int64) {
	lp.arrived = lp.c.in.take(lp.arrived)
	for _, m := range lp.arrived.msgs {
		lp.message(m, now)
	}
	for key, w := range lp.arrived.wakes {
		lp.woken(key, w, now)
	}
	if len(lp.arrived.wakes) > 0 {
		lp.c.in.muted.Store(true)
		lp.muteUntil = now + int64(muteWakes)
	}
	for _, cr := range lp.arrived.created {
		lp.answered(cr, now)
	}
	for _, r := range lp.arrived.polls {
		lp.polled(r, now)
		lp.sweep(now)
	}
}

func (lp *loop) unmute(now int64) {
	if lp.muteUntil != 0 && now >= lp.muteUntil {
		lp.muteUntil = 0
		lp.c.in.muted.Store(false) // before looking, so that nothing is overlooked
	}
}

// deliver hands out what was received, when a pull has ended or it has waited
// for long enough.
func (lp *loop) deliver(now int64) {
	if len(lp.batch) == 0 || !lp.batchDue && now-lp.batchSince < int64(gather) {
		return
	}
	batch := lp.batch
	lp.batch, lp.batchDue = nil, false
	lp.jobs += uint64(len(batch))
	lp.out(batch)
	for _, h := range batch {
		h.lane.class.inflight -= float64(h.Items)
	}
}

// schedule starts pulls for what is wanted: route by route, the highest
// priority first, and inside it whose turn it is.
func (lp *loop) schedule(now int64) {
	if !lp.c.nc.IsConnected() {
		return
	}
	for _, route := range lp.routes {
		var higher float64 // on its way for this priority and above
		for p := names.High; ; p-- {
			c := lp.turns.class(route, p)
			higher += c.inflight
			if len(c.ring) > 0 {
				room := float64(lp.c.cfg.Demand.Room(route, p)) - higher
				higher += lp.fill(c, room, now) + c.coming(now)
			}
			if p == names.Bulk {
				break
			}
		}
	}
	if strays := lp.turns.class("", names.Bulk); len(strays.ring) > 0 {
		lp.fill(strays, strayRoom-strays.inflight-float64(strays.held.Load()), now)
	}
}

// strayRoom bounds the items held of jobs that can only be made dead.
const strayRoom = 256

// fill pulls for up to room items and returns how many it asked for.
func (lp *loop) fill(c *class, room float64, now int64) float64 {
	quantum := lp.quantum(c.route)
	if c.inflight > 0 && room < quantum/16 {
		return 0 // More is coming; better one large pull than many small ones.
	}
	var asked float64
	for room > asked {
		l := lp.turns.next(c, quantum, now)
		if l == nil {
			break
		}
		asked += lp.fetch(l, room-asked, now)
	}
	return asked
}

func (lp *loop) quantum(route string) float64 {
	if route == "" {
		return 64
	}
	return float64(max(lp.c.cfg.Demand.Quantum(route), 1))
}

// pause is how long the loop may sleep if nothing arrives.
func (lp *loop) pause(now int64) time.Duration {
	d := idle
	if len(lp.pulling) > 0 || lp.turns.active > 0 {
		d = tick
	}
	if len(lp.batch) > 0 {
		d = min(d, time.Duration(lp.batchSince+int64(gather)-now))
	}
	if lp.muteUntil != 0 {
		d = min(d, time.Duration(lp.muteUntil-now))
	}
	return max(d, 0)
}

// awaitPulls waits for the answers of pulls under way: a pull is never
// cancelled, or what is on its way would be held by nobody until AckWait.
func (lp *loop) awaitPulls() {
	lp.stopping = true
	timer := time.NewTimer(0)
	defer timer.Stop()
	for end := lp.c.now() + int64(stopPatience); ; {
		now := lp.c.now()
		lp.receive(now)
		lp.expirePulls(now)
		if len(lp.pulling) == 0 || now >= end || !lp.c.nc.IsConnected() {
			return
		}
		timer.Reset(tick)
		select {
		case <-lp.c.in.signal:
		case <-timer.C:
		}
	}
}

// stopPatience is how long a stop waits for answers; a server that takes longer
// sees the end of the subscription and redelivers after AckWait.
const stopPatience = 2 * time.Second

// handBack returns to the server what was received and not handed out.
func (lp *loop) handBack() {
	lp.receive(lp.c.now())
	for _, h := range lp.batch {
		h.Release()
	}
	lp.batch = nil
	lp.publishStatus()
}
