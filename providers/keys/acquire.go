package keys

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// Acquire takes a permit for one call of 1 to most numbers with the key that has
// most room, or returns a *WaitError at once; it never waits for a permit. Other
// errors: ErrClosed, and ctx's own. A release of this pool before the call is
// taken into account. Calls are answered one after the other; one Redis trip each.
func (p *Pool) Acquire(ctx context.Context, most int) (Grant, error) {
	if len(p.keys) == 0 {
		return Grant{}, &WaitError{After: noKeyWait, Reason: WaitNoKey}
	}
	if most < 1 {
		return Grant{}, errors.New("acquire: a batch has one number at least")
	}
	if err := p.lock(ctx); err != nil {
		return Grant{}, err
	}
	defer p.unlock()
	if p.isClosed() {
		return Grant{}, ErrClosed
	}
	if err := p.ready(ctx); err != nil {
		return Grant{}, err
	}
	if w := p.health.guarded(time.Now()); w != nil {
		return Grant{}, w
	}
	if w := p.knownFull(); w != nil {
		return Grant{}, w
	}
	return p.acquire(ctx, most)
}

// acquire does the trip, with the wire held.
func (p *Pool) acquire(ctx context.Context, most int) (Grant, error) {
	id := p.id + "-" + strconv.FormatUint(p.seq.Add(1), 36)
	args := make([]any, 0, 7+len(p.limits))
	args = append(args, redisdb.NewEpochID(), id, p.id,
		p.cfg.Lease.Milliseconds(), most, p.holding(), p.cfg.MaxBatch)
	args = append(args, p.limits...)
	sent := time.Now()
	v, err := p.send(ctx, call{p.scripts.acquire, args})
	if err != nil {
		// It may have been granted all the same.
		p.enqueueUnsure(id, sent)
		return Grant{}, err
	}
	r := newReply(v)
	word := r.text()
	if word != "ok" {
		return Grant{}, p.acquireRefused(ctx, Reason(word), r)
	}
	entity, n, at, probe, last := r.number(), r.number(), r.number(), r.number(), r.number()
	if r.err != nil || entity < 1 || int(entity) > len(p.keys) || n < 1 || int(n) > most {
		p.enqueueUnsure(id, sent)
		return Grant{}, p.health.failed(time.Now(), errors.Join(errors.New("permits in Redis: a grant that makes no sense"), r.err))
	}
	if time.Since(sent) > p.safeLease() {
		// This process was stopped in between, and the permit may be another's by now.
		p.enqueueUnsure(id, sent)
		return Grant{}, p.refused(WaitConcurrency, 0, true, 0)
	}
	if last == 1 {
		p.noteFull(p.pollAfter())
	}
	return p.newGrant(&lease{id: id, entity: int(entity), granted: int(n), at: at}, probe == 1, sent), nil
}

// knownFull says that all permits are taken, as far as this pool knows: Redis
// said so a moment ago and nothing was given back since. That saves a trip
// which would be in the way of the next release.
func (p *Pool) knownFull() *WaitError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := time.Until(p.fullUntil); left > 0 {
		return &WaitError{After: left, Reason: WaitConcurrency}
	}
	return nil
}

// noteFull says that Redis need not be asked for d, unless something is given back.
func (p *Pool) noteFull(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) == 0 {
		p.fullUntil = time.Now().Add(d)
	}
}

// acquireRefused reads the rest of a refusal.
func (p *Pool) acquireRefused(ctx context.Context, why Reason, r *reply) error {
	wait, missing, free, epoch, cause := r.number(), r.number(), r.number(), r.text(), r.text()
	if r.err != nil {
		return p.health.failed(time.Now(), r.err)
	}
	if why == WaitGuard && epoch != p.epoch {
		// Put back at once what this pool holds: no need to wait for the next renewal.
		if err := p.renew(ctx); err != nil {
			return err
		}
	}
	w := p.refused(why, micros(wait), missing == 1, micros(free))
	w.Cause = cause
	if why == WaitConcurrency {
		p.noteFull(w.After)
	}
	return w
}

// micros is n microseconds.
func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
