package keys

import (
	"errors"
	"fmt"
	"time"
)

// Reason says what an Acquire waits for. The enum is closed; it is a metric label.
type Reason string

// The reasons.
const (
	// WaitConcurrency: as many calls as allowed are on the wire.
	WaitConcurrency Reason = "concurrency"
	// WaitRate and WaitNumberRate: the next call is due later.
	WaitRate       Reason = "rate"
	WaitNumberRate Reason = "number_rate"
	// WaitPaused: the upstream asked for a pause.
	WaitPaused Reason = "paused"
	// WaitQuarantined: the key does not work; a probe is let through now and then.
	WaitQuarantined Reason = "quarantined"
	// WaitGuard: Redis may have lost leases; nothing is granted until their holders
	// have put them back or cannot trust them any more.
	WaitGuard Reason = "guard"
	// WaitRedisAway: without Redis no limit can be kept, so no call is made.
	WaitRedisAway Reason = "redis_away"
	// WaitNoKey: the provider has no key.
	WaitNoKey Reason = "no_key"
)

// WaitError says that no permit is free now, and when to ask again.
type WaitError struct {
	// After is how long to wait. Asking sooner does no harm; after a Release of
	// this pool it is worth it.
	After  time.Duration
	Reason Reason
	// Cause is, for WaitPaused and WaitQuarantined, what the keys were paused or
	// quarantined for ("no_balance"), if it is the same for all of them.
	Cause string
	// Err is what went wrong, for WaitRedisAway.
	Err error
}

// Error implements error.
func (w *WaitError) Error() string {
	s := fmt.Sprintf("no permit for %v: %s", w.After, w.Reason)
	if w.Cause != "" {
		s += " (" + w.Cause + ")"
	}
	if w.Err != nil {
		s += ": " + w.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (w *WaitError) Unwrap() error { return w.Err }

// ErrClosed is the answer of a pool that was closed.
var ErrClosed = errors.New("key pool is closed")

// poll is how often a free permit is looked for that another process gave back:
// no wake-up crosses processes yet. It is spread by ±50 % so that waiting
// workers do not ask in step.
const poll = 20 * time.Millisecond

// noKeyWait is how long to wait for a key that only a restart can bring.
const noKeyWait = time.Minute

// longestWait bounds what a caller sleeps on one answer: pauses may be lifted.
const longestWait = 5 * time.Second

// pollAfter is poll with its spread.
func (p *Pool) pollAfter() time.Duration {
	return time.Duration((0.5 + p.cfg.Rand()) * float64(poll))
}

// refused turns the script's words into an error. missing says that a permit is
// missing too, which another process may give back at any time; free is when one
// ends by itself.
func (p *Pool) refused(reason Reason, wait time.Duration, missing bool, free time.Duration) *WaitError {
	if missing {
		next := p.pollAfter()
		if free > 0 {
			next = min(next, free)
		}
		wait = max(wait, next)
	}
	return &WaitError{Reason: reason, After: min(wait, longestWait)}
}
