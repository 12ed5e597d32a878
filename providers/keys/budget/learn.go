package budget

import (
	"context"
	"time"
)

// Prepare has the budgets learned that this ledger does not know yet, so that Reserve
// need not wait. Cheap.
func (l *Ledger) Prepare(ids ...string) {
	for _, id := range ids {
		if _, known := l.Spent(id); !known {
			l.learn(id)
		}
	}
}

// learn has Run find out what was spent of a budget.
func (l *Ledger) learn(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learning[id] {
		return
	}
	l.learning[id] = true
	l.asked = append(l.asked, id)
	l.rouse()
}

// startLearning learns what was asked for, each budget in a goroutine of its own.
func (l *Ledger) startLearning(ctx context.Context) {
	for _, id := range l.takeAsked() {
		l.tasks.Go(func() {
			select {
			case l.slots <- struct{}{}:
				l.learnOne(ctx, id)
				<-l.slots
			case <-ctx.Done():
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.learning, id)
		})
	}
}

func (l *Ledger) takeAsked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.asked
	l.asked = nil
	return ids
}

// learnOne asks what is known, and tells Redis. After a failure it keeps others from
// trying for a moment.
func (l *Ledger) learnOne(ctx context.Context, id string) {
	past, err := l.cfg.Learn(ctx, id)
	if err == nil {
		err = l.seed(ctx, []string{id}, []Mark{past.Last}, past.Results)
	}
	if err != nil {
		const pause = time.Second
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// notLooked is the floor of who has not looked at the results.
const notLooked = -1

// seed tells Redis what was spent before its epoch.
func (l *Ledger) seed(ctx context.Context, ids []string, marks []Mark, floor int64) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	_, err := l.tellMarks(ctx, ids, marks, floor)
	return err
}

// tellMarks is seed with the wire held; it returns the epoch that was told.
func (l *Ledger) tellMarks(ctx context.Context, ids []string, marks []Mark, floor int64) (string, error) {
	args := []any{len(ids)}
	for _, m := range marks {
		args = append(args, m.Spent, m.Epoch, m.N, floor)
	}
	a := l.run(ctx, l.scripts.seed, ids, args...)
	if a.err != nil {
		return "", a.err
	}
	epoch := a.text()
	l.marks(a, a.number(), ids)
	return epoch, a.err
}

// resync tells a new life of Redis all that this ledger remembers; with the wire held.
// Until it is done nothing is reserved or settled in that epoch.
func (l *Ledger) resync(ctx context.Context, epoch string) error {
	ids, marks := l.memories()
	const most = 200
	for len(ids) > 0 {
		n := min(len(ids), most)
		told, err := l.tellMarks(ctx, ids[:n], marks[:n], notLooked)
		if err != nil {
			return err
		}
		if told != epoch {
			return nil // another one by now: the next trip says so
		}
		ids, marks = ids[n:], marks[n:]
	}
	l.epoch = epoch
	return nil
}
