package budget

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// Entry is what became of money that was reserved of one budget, in millionths.
type Entry struct {
	ID string
	// Reserved was granted, Actual was spent: the difference goes back, or is added.
	Reserved, Actual int64
}

// change is what is to be done to a budget.
type change struct {
	add, release int64
	told         string
}

// settlement is changes under one number: it is done once, however often it is sent.
type settlement struct {
	number  int64
	undo    int64
	ids     []string
	changes map[string]change
	// sent is the epoch in which it was first sent without an answer.
	sent string
}

// lostCall is a reservation whose answer was lost.
type lostCall struct {
	number int64
	ids    []string
}

// Settle says what calls have cost. It does not wait: Run tells Redis, as soon as that
// answers. What a ledger that dies has not told stays spent.
func (l *Ledger) Settle(entries ...Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		c := l.pending[e.ID]
		c.add += e.Actual - e.Reserved
		c.release += e.Reserved
		l.pending[e.ID] = c
	}
	l.rouse()
}

// Told says that operators were told that a budget is spent at its limit.
func (l *Ledger) Told(id, limit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.pending[id]
	c.told = limit
	l.pending[id] = c
	l.rouse()
}

// lost notes a reservation that may have been made although no answer came; with the
// wire held. A Redis that has lost it does not undo it.
func (l *Ledger) lost(ids []string, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undo = append(l.undo, lostCall{number, ids})
	l.rouse()
}

// rouse makes Run look at what is pending.
func (l *Ledger) rouse() {
	select {
	case l.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// next is what is to be told now, nil if nothing is; with the wire held. What failed
// goes first, so that numbers only rise; then the reservation that may have to be undone,
// which Redis knows until the next one.
func (l *Ledger) next() *settlement {
	if l.batch != nil {
		return l.batch
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.undo) > 0 {
		u := l.undo[0]
		l.undo = l.undo[1:]
		l.number++
		l.batch = &settlement{number: l.number, undo: u.number, ids: u.ids, changes: map[string]change{}}
		return l.batch
	}
	const most = 100
	ids := slices.Sorted(maps.Keys(l.pending))
	if len(ids) == 0 {
		return nil
	}
	ids = ids[:min(len(ids), most)]
	l.number++
	l.batch = &settlement{number: l.number, ids: ids, changes: make(map[string]change, len(ids))}
	for _, id := range ids {
		l.batch.changes[id] = l.pending[id]
		delete(l.pending, id)
	}
	return l.batch
}

// settleLost undoes reservations whose answer was lost, before the next one is made;
// with the wire held.
func (l *Ledger) settleLost(ctx context.Context) error {
	for l.owes() {
		if err := l.tell(ctx, l.next()); err != nil {
			return err
		}
		l.batch = nil
	}
	return nil
}

// owes reports whether a reservation may have to be undone.
func (l *Ledger) owes() bool {
	if l.batch != nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.undo) > 0
}

// Flush tells Redis all that is pending, or says why it cannot.
func (l *Ledger) Flush(ctx context.Context) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	for s := l.next(); s != nil; s = l.next() {
		if err := l.tell(ctx, s); err != nil {
			return err
		}
		l.batch = nil
	}
	return nil
}

// tell sends one settlement until it is done, or fails.
func (l *Ledger) tell(ctx context.Context, s *settlement) error {
	const tries = 3
	for range tries {
		args := []any{s.number, s.undo, len(s.ids)}
		for _, id := range s.ids {
			c := s.changes[id]
			if s.sent != "" && s.sent != l.epoch {
				c.add = max(c.add, 0) // it may have been done, and counted, in the last life of Redis
			}
			args = append(args, c.add, c.release, c.told)
		}
		a := l.run(ctx, l.scripts.settle, s.ids, args...)
		if a.err != nil {
			if s.sent == "" {
				s.sent = l.epoch
			}
			return a.err
		}
		done, err := l.heard(ctx, a, s.ids)
		if done || err != nil {
			return err
		}
	}
	return errors.New("budgets in Redis: another life of Redis with each trip")
}

// heard reads the answer of settle.lua; done is false if it must be asked again, in
// the epoch that this ledger knows now.
func (l *Ledger) heard(ctx context.Context, a *answer, ids []string) (done bool, err error) {
	switch word := a.text(); word {
	case "ok":
		l.marks(a, a.number(), ids)
		return true, a.err
	case "epoch":
		return false, l.resync(ctx, a.text())
	default:
		return false, errors.New("budgets in Redis: " + word)
	}
}

// marks reads spent, n and readiness of each budget. What is not ready is no memory to
// keep: it lacks what was spent before.
func (l *Ledger) marks(a *answer, epoch int64, ids []string) {
	for _, id := range ids {
		m := Mark{Spent: a.number(), Epoch: epoch, N: a.number()}
		if ready := a.number() == 1; ready && a.err == nil {
			l.remember(id, m)
		}
	}
}

// Look asks what is spent of some budgets; Spent tells it afterwards. One Redis trip.
// It makes sure that this ledger's memory reaches a Redis which has lost its own.
func (l *Ledger) Look(ctx context.Context, ids ...string) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	return l.tell(ctx, &settlement{ids: ids})
}

// finish tells what is pending, after ctx has ended. What it cannot tell stays spent.
func (l *Ledger) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestTrip)
	defer cancel()
	_ = l.Flush(ctx)
}

// Run tells Redis what is settled, and what is remembered when it has lost that, until
// ctx ends; then it tells what is pending, within a second, and returns.
func (l *Ledger) Run(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Guard / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.tasks.Wait()
			l.finish(ctx)
			return
		case <-l.kick:
			l.startLearning(ctx)
		case <-tick.C:
			if ids, _ := l.memories(); len(ids) > 0 {
				_ = l.Look(ctx) // tried again with the next tick
			}
		}
		_ = l.Flush(ctx) // tried again with the next tick
	}
}
