package batch

import (
	"sync"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// Late is what a deferred provider said of one number after its call.
type Late struct {
	// Number is in E.164 with '+'.
	Number string
	// Outcome is of kind Found, NotFound, Invalid or Failed; others are ignored.
	Outcome providers.Outcome
	// Key is the name of the key that the number was submitted with. A Failure
	// that accuses the key is held against it; "" is none.
	Key string
	// At is when the upstream's word came in; the zero time is now.
	At time.Time
}

// delivery is outcomes for one ticket.
type delivery struct {
	ticket   string
	outcomes []Late
}

// Pending is how many numbers wait for tickets; they count neither as waiting
// nor as on the wire. Cheap, in parallel.
func (l *Loop[W]) Pending() int { return int(l.pending.Load()) }

// Deliver brings outcomes of numbers that wait for ticket, in any order and as
// often as it likes: numbers that nobody waits for are ignored. It may be called
// in parallel and does not wait. The slice must not be changed afterwards.
func (l *Loop[W]) Deliver(ticket string, outcomes []Late) {
	if len(outcomes) == 0 {
		return
	}
	l.mail.Lock()
	l.mail.late = append(l.mail.late, delivery{ticket, outcomes})
	l.mail.Unlock()
	l.rouse()
}

// tellParked tells the receiver of tickets which numbers wait for them now.
func (l *Loop[W]) tellParked() {
	for _, n := range l.core.takeNews() {
		if l.cfg.Parked != nil {
			l.cfg.Parked(n.ticket, n.numbers)
		}
	}
}

// judgeLate tells the fleet of the keys that late outcomes accuse, as judgeKey
// does for those that calls accuse.
func (l *Loop[W]) judgeLate(now time.Time) {
	for _, a := range l.core.takeAccused() {
		if !l.judged.claim(now, a) {
			continue
		}
		l.tasks.Go(func() {
			if _, err := l.punish(a.key, a.failure); err != nil {
				l.judged.forget(a) // the next outcome, or call, tries again
				l.cfg.Log.Warn().Str("provider", l.cfg.Name).Str("key", a.key).Err(err).
					Msg("the pause of a key accused by a late answer could not be stored")
			}
		})
	}
}

// judgedFor is how long a key that a late outcome accused is not accused by
// others: those of a batch come in one by one over minutes.
const judgedFor = time.Minute

// judged is the keys that late outcomes accused lately.
type judged struct {
	mu   sync.Mutex
	keys map[judgement]time.Time
}

type judgement struct {
	key    string
	action action
}

// claim reports whether something is to be done about a; the caller does it.
func (j *judged) claim(now time.Time, a accusation) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	what := judgement{a.key, actionFor(a.failure)}
	if last, ok := j.keys[what]; ok && now.Sub(last) < judgedFor {
		return false
	}
	if j.keys == nil {
		j.keys = make(map[judgement]time.Time, 1)
	}
	j.keys[what] = now
	return true
}

func (j *judged) forget(a accusation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.keys, judgement{a.key, actionFor(a.failure)})
}
