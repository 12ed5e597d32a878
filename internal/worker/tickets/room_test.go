package tickets

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
)

// lease is a permit that counts what is done with it.
type lease struct{ refunded, ended *atomic.Int64 }

func newLease() lease { return lease{new(atomic.Int64), new(atomic.Int64)} }

func (l lease) Refund(n int)          { l.refunded.Add(int64(n)) }
func (l lease) Release()              { l.ended.Add(1) }
func (l lease) Abandon()              { l.ended.Add(1) }
func (l lease) Lost() <-chan struct{} { return nil }

func (w *worker) requireOutstanding(want int) {
	w.fleet.t.Helper()
	now, _ := w.Outstanding()
	require.Equal(w.fleet.t, want, now)
}

func TestRoomIsReservedOnce(t *testing.T) {
	t.Parallel()
	w := newFleet(t, newUpstream(never())).start("w1")
	var got atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if w.Reserve(100) {
				got.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 10, got.Load())
	w.requireOutstanding(1000)
	w.Unreserve(1000)
	w.requireOutstanding(0)
	require.False(t, w.Reserve(1001))
}

func TestRoomOfACall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure *providers.Failure
		want    int
	}{
		"taken":     {nil, 3},
		"refused":   {&providers.Failure{Kind: providers.KindNoBalance}, 0},
		"who knows": {&providers.Failure{Kind: providers.KindTimeout}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, newUpstream(never()))
			w := f.start("w1")
			f.up.setScript(func(_ context.Context, q providers.Query, _ string) providers.Reply {
				w.requireOutstanding(3)
				if c.failure != nil {
					return providers.Reply{Failure: c.failure}
				}
				return providers.Reply{Outcomes: pending(len(q.Numbers))}
			})
			require.True(t, w.Reserve(10))
			w.Unreserve(2)
			l := newLease()
			held := w.Hold(l, 8)
			held.Refund(5)
			w.requireOutstanding(3)
			w.call(numbers(3)...)
			held.Refund(8) // as for a call that was none
			held.Release()
			held.Abandon()
			w.requireOutstanding(c.want)
			require.EqualValues(t, 13, l.refunded.Load())
			require.EqualValues(t, 2, l.ended.Load())
			w.Desk.mu.Lock()
			defer w.Desk.mu.Unlock()
			require.Zero(t, w.reserved)
			require.Zero(t, w.inCalls)
		})
	}
}

// careful are permits that heed Blocked, as a worker's do.
type careful struct{ desk *Desk }

func (p careful) Acquire(_ context.Context, n int) (batch.Grant, error) {
	if reason, blocked := p.desk.Blocked(); blocked {
		return batch.Grant{}, &batch.WaitError{After: 50 * time.Millisecond, Reason: reason, Stop: true}
	}
	return batch.Grant{Key: providers.Key{Name: "main"}, N: n, Lease: newLease()}, nil
}
func (careful) Succeeded(string)                                           {}
func (careful) Pause(context.Context, string, time.Duration, string) error { return nil }
func (careful) Quarantine(context.Context, string, string) error           { return nil }

// setMaxBytes makes the bucket full, or not.
func (w *worker) setMaxBytes(n int64) {
	w.fleet.t.Helper()
	s, err := w.js.Stream(w.fleet.t.Context(), "KV_"+names.Default().TicketsBucket())
	require.NoError(w.fleet.t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = n
	_, err = w.js.UpdateStream(w.fleet.t.Context(), cfg)
	require.NoError(w.fleet.t, err)
}

// TestAFullBucket uses up no attempts, asks nobody, and is over when it is over.
func TestAFullBucket(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	var ends, calls atomic.Int64
	loop := batch.NewLoop(batch.Config[int]{
		Name: "nx", Provider: w.Provider(), Permits: careful{w.Desk}, MaxBatch: 50, Timeout: time.Second,
		Retry: batch.RetryConfig{Initial: 10 * time.Millisecond, Max: 10 * time.Millisecond, Attempts: 1},
		Log:   zerolog.Nop(), ShareGroups: true, Parked: w.Parked,
		Answered: func(all []batch.Answered[int]) { ends.Add(int64(len(all))) },
		Called:   func(batch.Call) { calls.Add(1) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { _ = loop.Run(ctx) })
	items := make([]batch.Item[int], 101)
	for i, n := range numbers(101) {
		items[i] = batch.Item[int]{Number: providers.Number{E164: n}, Tenant: "a", Campaign: "c", Last: true, Waiter: i, ShareGroup: "acme"}
	}
	loop.Add(items[100:]) // the provider works
	require.Eventually(t, func() bool { return loop.Pending() == 1 }, patience, look)
	w.setMaxBytes(1)
	loop.Add(items[:100])
	require.Eventually(t, func() bool { return calls.Load() >= 5 }, patience, look)
	reason, blocked := w.Blocked()
	require.Equal(t, "tickets_unstored", reason)
	require.True(t, blocked)
	require.EqualValues(t, 1, f.up.submits.Load())
	require.Equal(t, 1, loop.Pending())
	w.setMaxBytes(-1)
	require.Eventually(t, func() bool { return loop.Pending() == 101 }, patience, look)
	_, blocked = w.Blocked()
	require.False(t, blocked)
	require.Zero(t, ends.Load(), "no number was given up")
	require.LessOrEqual(t, calls.Load(), int64(20))
	cancel()
	running.Wait()
	loop.Rest()
}

// TestTheCallOutlivesTheStoring: a call that cannot be stored ends well before its
// time does.
func TestTheCallOutlivesTheStoring(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	f.nats.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := time.Now()
	reply := w.Provider().Call(ctx, query(number(1)))
	require.Equal(t, notSent("the ticket could not be stored"), reply.Failure)
	require.Less(t, time.Since(began), 2*time.Second)
	require.NoError(t, ctx.Err())
	f.nats.Start()
}

func TestBlockedUntilEverythingIsRead(t *testing.T) {
	t.Parallel()
	w := newFleet(t, newUpstream(never())).start("w1")
	_, blocked := w.Blocked()
	require.False(t, blocked)
	w.startOver()
	reason, blocked := w.Blocked()
	require.Equal(t, "tickets_unread", reason)
	require.True(t, blocked)
}
