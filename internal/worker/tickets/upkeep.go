package tickets

import (
	"context"
	"slices"
	"sync"
	"time"
)

// plan is what is to be done about the tickets now.
type plan struct {
	saves    []*ticket // what is known is not stored
	adopts   []*ticket // their owner is gone
	clears   []*ticket // closed for long enough
	discards []string
	sweeps   map[string][]*ticket // to be asked for, by key
}

// upkeep does what is due about tickets until ctx ends: writes again what could
// not be written, takes over, asks, gives up, clears away.
func (d *Desk) upkeep(ctx context.Context) {
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	tick := time.NewTicker(d.tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.roused:
		}
		p := d.due(d.cfg.Now())
		for key, due := range p.sweeps {
			sweeps.Go(func() { d.sweepKey(ctx, key, due) })
		}
		d.carryOut(ctx, p)
	}
}

// carryOut does what needs no question.
func (d *Desk) carryOut(ctx context.Context, p plan) {
	for _, id := range p.discards {
		d.sendDiscard(ctx, id)
	}
	for _, t := range p.saves {
		d.save(ctx, t)
	}
	for _, t := range p.adopts {
		d.adoptTicket(ctx, t)
	}
	d.clearAll(ctx, p.clears)
}

// clearAll clears tickets away, unless somebody took them over meanwhile: a
// worker that was stopped for a while must not take them from a living owner.
func (d *Desk) clearAll(ctx context.Context, all []*ticket) {
	if len(all) == 0 {
		return
	}
	if d.catchUp(ctx) != nil {
		d.clearLater(all)
		return
	}
	for i, t := range all {
		// The watcher then forgets the ticket.
		if d.owns(t) && d.clear(ctx, t) != nil {
			d.clearLater(all[i:])
			return
		}
	}
}

func (d *Desk) owns(t *ticket) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return t.owner == d.cfg.WorkerID
}

// clearLater lets tickets that could not be cleared away be due again.
func (d *Desk) clearLater(all []*ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range all {
		t.clearing, t.since = false, d.cfg.Now().Add(maxTick-d.keepOf(t)) // in a moment
	}
}

// keepOf is how long t is kept once it is closed. d.mu is held.
func (d *Desk) keepOf(t *ticket) time.Duration {
	if t.settled() {
		return d.keep
	}
	return d.keepLong
}

// due finds out what is due now.
func (d *Desk) due(now time.Time) plan {
	p := plan{sweeps: make(map[string][]*ticket)}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, sent := range d.discards {
		if !sent {
			d.discards[id] = true
			p.discards = append(p.discards, id)
		}
	}
	if !d.view.complete {
		return p // what is read so far may be older than what follows
	}
	for _, t := range d.index.tickets {
		switch {
		case now.Sub(t.created) > ticketTTL:
			d.forget(t) // JetStream does the same
		case t.writing || t.calling:
		case t.want != noState:
			p.saves = append(p.saves, t)
		case t.owner == d.cfg.WorkerID:
			d.dueOwn(t, now, &p)
		case d.dueForeign(t, now):
			p.adopts = append(p.adopts, t)
		}
	}
	for key, due := range p.sweeps {
		d.sweeping[key] = true
		slices.SortFunc(due, func(a, b *ticket) int { return a.nextSweep.Compare(b.nextSweep) })
	}
	return p
}

// dueForeign tells whether t is to be taken over. d.mu is held.
func (d *Desk) dueForeign(t *ticket, now time.Time) bool {
	if d.cfg.Alive(t.owner) {
		t.adoptAt = time.Time{}
		return false
	}
	if t.adoptAt.IsZero() {
		t.adoptAt = now.Add(d.adopt + time.Duration(2*d.cfg.Rand()*float64(d.adopt)))
	}
	return !now.Before(t.adoptAt)
}

// dueOwn plans a stored ticket of this worker. d.mu is held.
func (d *Desk) dueOwn(t *ticket, now time.Time, p *plan) {
	switch {
	case t.state.closed():
		if !t.clearing && now.Sub(t.since) >= d.keepOf(t) && len(p.clears) < purgesPerTick {
			t.clearing = true
			p.clears = append(p.clears, t)
		}
	case t.unanswered() == 0:
		t.turn(done)
		d.index.recount(t)
		p.saves = append(p.saves, t)
	case t.sweeping:
	case t.nextSweep.IsZero():
		t.nextSweep = d.firstSweep(t, now)
	case !now.Before(t.nextSweep) && !d.sweeping[t.key]:
		p.sweeps[t.key] = append(p.sweeps[t.key], t)
	}
}

// firstSweep is when a ticket that was taken over is asked for. What is late
// already is spread, so that a dead worker's tickets do not come all at once.
func (d *Desk) firstSweep(t *ticket, now time.Time) time.Time {
	due := t.created.Add(d.pace.PollAfter)
	if t.state != submitted {
		due = t.created.Add(min(unsureAfter, d.pace.PollEvery))
	}
	if due.After(now) {
		return due
	}
	return now.Add(time.Duration(d.cfg.Rand() * float64(min(maxTick, d.pace.PollEvery))))
}

// close decides that nothing more will come of t, and has it stored; those who
// wait are told when it is.
func (d *Desk) close(ctx context.Context, t *ticket, s state) {
	d.mu.Lock()
	t.turn(s)
	d.index.recount(t)
	d.mu.Unlock()
	d.save(ctx, t)
}
