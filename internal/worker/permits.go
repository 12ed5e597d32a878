package worker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys"
)

// poolPermits gives a packer the permits of a key pool, as long as the worker is
// sure of the jobs it holds: after standing still it must not pay for what
// others have taken over.
type poolPermits struct {
	*keys.Pool
	sure func() bool
}

// Acquire implements batch.Permits.
func (p poolPermits) Acquire(ctx context.Context, n int) (batch.Grant, error) {
	if !p.sure() {
		return batch.Grant{}, &batch.WaitError{After: watchTick, Reason: "heartbeats", Stop: true}
	}
	g, err := p.Pool.Acquire(ctx, n)
	if err != nil {
		if w, ok := errors.AsType[*keys.WaitError](err); ok {
			err = waitError(w)
		}
		return batch.Grant{}, err
	}
	return batch.Grant{Key: g.Key, N: g.N, Lease: &g}, nil
}

// timedPermits tell how long a packer waits for permits, and why: each wait by the
// reason it was refused for last. A packer asks for one permit at a time.
type timedPermits struct {
	batch.Permits
	waited func(reason string, d time.Duration)
	now    func() time.Time

	since  time.Time // of the wait that is on; zero if none is
	reason string
}

// Acquire implements batch.Permits.
func (p *timedPermits) Acquire(ctx context.Context, n int) (batch.Grant, error) {
	g, err := p.Permits.Acquire(ctx, n)
	w, refused := errors.AsType[*batch.WaitError](err)
	switch {
	case refused:
		if p.since.IsZero() {
			p.since = p.now()
		}
		p.reason, _, _ = strings.Cut(w.Reason, " ") // the cause is no label
	case err == nil && !p.since.IsZero():
		p.waited(p.reason, p.now().Sub(p.since))
		p.since = time.Time{}
	}
	return g, err
}

// waitError says in the packer's words why there is no permit. Only keys that do
// not work are a reason to ask another provider; a Redis that is away is none.
func waitError(w *keys.WaitError) *batch.WaitError {
	out := &batch.WaitError{After: w.After, Reason: string(w.Reason)}
	if w.Cause != "" {
		out.Reason += " (" + w.Cause + ")"
	}
	switch w.Reason {
	case keys.WaitPaused:
		if w.Cause == batch.SlowDown {
			break // a moment's rest: nothing is wrong, and work goes on being pulled
		}
		out.Stop, out.Fault = true, &providers.Failure{Kind: kindOf(w.Cause, providers.KindThrottled), Message: "every key is paused"}
	case keys.WaitQuarantined, keys.WaitNoKey:
		out.Stop, out.Fault = true, &providers.Failure{Kind: kindOf(w.Cause, providers.KindUnauthorized), Message: "no key can be used"}
	case keys.WaitGuard, keys.WaitRedisAway:
		out.Stop = true
	case keys.WaitConcurrency, keys.WaitRate, keys.WaitNumberRate:
	}
	return out
}

// kindOf is the failure that keys were taken out of use for, otherwise where they
// were for different ones.
func kindOf(cause string, otherwise providers.Kind) providers.Kind {
	for k := range providers.Kind(providers.Kinds) {
		if k.String() == cause {
			return k
		}
	}
	return otherwise
}

// localPermits bounds the calls of a provider that has no key and pays nothing:
// only this worker's processors are to be spared.
type localPermits struct{ free chan struct{} }

func newLocalPermits(calls int) localPermits {
	p := localPermits{make(chan struct{}, calls)}
	for range calls {
		p.free <- struct{}{}
	}
	return p
}

// Acquire implements batch.Permits.
func (p localPermits) Acquire(_ context.Context, n int) (batch.Grant, error) {
	select {
	case <-p.free:
		return batch.Grant{N: n, Lease: localLease{p.free}}, nil
	default:
		// A release of this packer tries again at once.
		return batch.Grant{}, &batch.WaitError{After: time.Second, Reason: string(keys.WaitConcurrency)}
	}
}

// Pause implements batch.Permits: there is no key to pause.
func (localPermits) Pause(context.Context, string, time.Duration, string) error { return nil }

// Quarantine implements batch.Permits.
func (localPermits) Quarantine(context.Context, string, string) error { return nil }

// Succeeded implements batch.Permits.
func (localPermits) Succeeded(string) {}

// localLease is one call of a provider without keys.
type localLease struct{ free chan<- struct{} }

// Refund implements batch.Lease.
func (localLease) Refund(int) {}

// Release implements batch.Lease.
func (l localLease) Release() { l.free <- struct{}{} }

// Abandon implements batch.Lease: the work ends with the call.
func (l localLease) Abandon() { l.free <- struct{}{} }

// Lost implements batch.Lease; a local permit is never lost.
func (localLease) Lost() <-chan struct{} { return nil }
