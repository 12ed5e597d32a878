package worker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys"
)

// scriptedPermits answers each Acquire with the next error.
type scriptedPermits struct {
	batch.Permits
	errs []error
}

func (p *scriptedPermits) Acquire(context.Context, int) (batch.Grant, error) {
	err := p.errs[0]
	p.errs = p.errs[1:]
	return batch.Grant{}, err
}

func TestWaitsForPermitsAreTimed(t *testing.T) {
	t.Parallel()
	refuse := func(reason string) error { return &batch.WaitError{Reason: reason} }
	now := time.Unix(0, 0)
	type wait struct {
		reason string
		took   time.Duration
	}
	var waits []wait
	p := &timedPermits{
		Permits: &scriptedPermits{errs: []error{nil, refuse("rate"), refuse("concurrency"), context.Canceled, nil, nil, refuse("quarantined (no_balance)"), nil}},
		waited:  func(reason string, d time.Duration) { waits = append(waits, wait{reason, d}) },
		now:     func() time.Time { now = now.Add(time.Second); return now },
	}
	for range 8 {
		_, _ = p.Acquire(t.Context(), 1)
	}
	require.Equal(t, []wait{{"concurrency", time.Second}, {"quarantined", time.Second}}, waits)
}

// A key that rests for a moment is no reason to stop, nor to ask another provider.
func TestARestingKeyIsNoFault(t *testing.T) {
	t.Parallel()
	w := waitError(&keys.WaitError{Reason: keys.WaitPaused, Cause: batch.SlowDown, After: time.Second})
	require.Equal(t, &batch.WaitError{After: time.Second, Reason: "paused (slow_down)"}, w)
	w = waitError(&keys.WaitError{Reason: keys.WaitPaused, Cause: "throttled", After: time.Second})
	require.True(t, w.Stop)
	require.Equal(t, providers.KindThrottled, w.Fault.Kind)
}
