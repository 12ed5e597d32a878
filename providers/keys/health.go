package keys

import (
	"sync"
	"time"
)

// retryAway is how often Redis is tried while it is away, give or take a quarter.
const retryAway = 250 * time.Millisecond

// health knows whether Redis answers. While it does not, one attempt each
// retryAway is made.
//
// A pool that comes back need not wait, however long it was cut off. If the data are
// intact they are right: Redis counts each lease for longer than its holder trusts
// it, whoever was away meanwhile, and this pool's first trip renews its own before it
// asks for more. If data were lost, Redis knows: its epoch is new, and nobody is
// granted anything for a lease.
//
// Only a server that hides its run_id cannot tell that it is another, for example a
// replica that took over without the last writes of its master. Who was away for
// longer than Renew, as a takeover lasts, suspects that. What the master granted, it
// granted before it was found dead: a lease after the outage began all that is over.
type health struct {
	rand func() float64

	mu         sync.Mutex
	since      time.Time // first failure of this outage, zero while Redis answers
	retryAt    time.Time // when to try again
	guardUntil time.Time
	err        error // what the last failure was
}

// failed notes a failed trip and returns what to tell the caller.
func (h *health) failed(now time.Time, err error) *WaitError {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		h.since = now
	}
	h.err = err
	h.retryAt = now.Add(time.Duration((0.75 + h.rand()/2) * float64(retryAway)))
	return h.away(now)
}

// answered notes that Redis answers.
func (h *health) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.err = time.Time{}, nil
}

// awaySince is when this outage began, zero while Redis answers.
func (h *health) awaySince() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since
}

// guard has nothing acquired until then.
func (h *health) guard(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guardUntil = until
}

// blocked says that it is no use to try now, or returns nil. back reports that
// the next trip is the first after a failure: it must be a renewal.
func (h *health) blocked(now time.Time) (w *WaitError, back bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		return nil, false
	}
	if now.Before(h.retryAt) {
		return h.away(now), true
	}
	return nil, true
}

// guarded says that Redis may be another since it was away, or returns nil.
func (h *health) guarded(now time.Time) *WaitError {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.guardUntil.Sub(now); d > 0 {
		return &WaitError{After: d, Reason: WaitGuard}
	}
	return nil
}

// nextTry is when to try again, zero while Redis answers.
func (h *health) nextTry() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		return time.Time{}
	}
	return h.retryAt
}

// away builds the error of an outage, under mu.
func (h *health) away(now time.Time) *WaitError {
	return &WaitError{After: max(h.retryAt.Sub(now), time.Millisecond), Reason: WaitRedisAway, Err: h.err}
}
