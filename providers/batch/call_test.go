package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func TestLoopTimeoutKeepsThePermit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, c *Config[int]) {
			b.provider.latency = time.Hour
			b.permits.limit = 100
			c.Timeout = 5 * time.Second
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 1, nil))
		pass(time.Minute)
		require.Equal(t, maxDoubtful, b.permits.seen().abandoned)
		require.Zero(t, b.permits.seen().released)
		require.Equal(t, 1, b.count(NextProvider))
		require.Equal(t, providers.KindTimeout, b.get(1).Failure.Kind)
		require.Equal(t, maxDoubtful, b.get(1).Attempts)
	})
}

func TestLoopLostLeaseEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cause error
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.permits.lost = make(chan struct{})
			b.provider.latency = 0
			b.provider.reply = func(ctx context.Context, q providers.Query) providers.Reply {
				if cause != nil {
					return found(len(q.Numbers))
				}
				<-ctx.Done()
				cause = context.Cause(ctx)
				return providers.Reply{Failure: &providers.Failure{Kind: providers.KindCutOff}}
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 5, nil))
		pass(time.Second)
		b.permits.set(func(p *fakePermits) { close(p.lost); p.lost = nil })
		pass(time.Minute)
		require.ErrorIs(t, cause, errLost)
		require.Equal(t, 1, b.permits.seen().abandoned)
		require.Equal(t, 5, b.count(Answer))
	})
}

func TestLoopTellsTheFleetOfBadKeys(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		failure providers.Failure
		log     string
		pauses  []time.Duration
	}{
		"throttled":    {providers.Failure{Kind: providers.KindThrottled}, "pause main throttled", []time.Duration{200 * time.Millisecond}},
		"retry after":  {providers.Failure{Kind: providers.KindThrottled, RetryAfter: 7 * time.Second}, "pause main throttled", []time.Duration{7 * time.Second}},
		"overloaded":   {providers.Failure{Kind: providers.KindUnavailable, RetryAfter: time.Minute}, "pause main unavailable", []time.Duration{time.Minute}},
		"for ever":     {providers.Failure{Kind: providers.KindThrottled, RetryAfter: 999 * time.Hour}, "pause main throttled", []time.Duration{time.Hour}},
		"unauthorized": {providers.Failure{Kind: providers.KindUnauthorized}, "quarantine main unauthorized", nil},
		"forbidden":    {providers.Failure{Kind: providers.KindForbidden}, "quarantine main forbidden", nil},
		"no balance":   {providers.Failure{Kind: providers.KindNoBalance}, "quarantine main no_balance", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				times := 0
				b := newBed(t, func(b *bed, _ *Config[int]) {
					b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
						times++
						if times == 1 {
							return providers.Reply{Failure: &c.failure}
						}
						return found(len(q.Numbers))
					}
				}).begin()
				defer b.end()
				b.loop.Add(items(1, 100, nil))
				pass(10 * time.Second)
				require.Equal(t, []string{c.log, "release", "release"}, b.permits.seen().log, "before the permit is free")
				require.Equal(t, c.pauses, b.permits.seen().pauses)
				require.Equal(t, 100, b.count(Answer))
			})
		})
	}
}

func TestLoopWaitsByItselfWhenThePauseIsNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.permits.pauseErr = errors.New("redis is away")
			b.provider.reply = func(context.Context, providers.Query) providers.Reply {
				return providers.Reply{Failure: &providers.Failure{Kind: providers.KindThrottled, RetryAfter: 5 * time.Second}}
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, nil))
		pass(4 * time.Second)
		require.Len(t, b.provider.sizes(), 1)
		usable, why := b.loop.Usable()
		require.False(t, usable)
		require.Equal(t, "key fault not stored", why)
		pass(2 * time.Second)
		require.Len(t, b.provider.sizes(), 2)
	})
}

func TestLoopPausesAFailingProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		var mu sync.Mutex
		var calls []Call
		b := newBed(t, func(b *bed, c *Config[int]) {
			b.provider.latency = 0
			b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
				if down.Load() {
					return providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnavailable}}
				}
				return found(len(q.Numbers))
			}
			c.Called = func(x Call) {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, x)
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, func(it *Item[int]) { it.Last = true }))
		pass(500 * time.Millisecond)
		usable, why := b.loop.Usable()
		require.False(t, usable)
		require.Equal(t, "provider unavailable", why)
		pass(600 * time.Millisecond)
		require.Equal(t, []int{100, 1}, b.provider.sizes())
		mu.Lock()
		require.True(t, calls[1].Probe)
		require.Equal(t, providers.KindUnavailable, calls[1].Failure.Kind)
		mu.Unlock()
		down.Store(false)
		pass(3 * time.Second)
		require.Equal(t, 100, b.count(Answer))
		mu.Lock()
		require.True(t, slices.ContainsFunc(calls, func(c Call) bool { return c.Answered == 99 && !c.Probe }))
		mu.Unlock()
		usable, _ = b.loop.Usable()
		require.True(t, usable)
	})
}

func TestLoopSurvivesAPanickingProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.provider.latency = 0
			b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
				for _, n := range q.Numbers {
					if n.E164 == number(7) {
						panic("index out of range")
					}
				}
				return found(len(q.Numbers))
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(100, 1, nil))
		pass(time.Second)
		b.loop.Add(items(1, 100, func(it *Item[int]) { it.Waiter += 1000 }))
		pass(time.Minute)
		require.Equal(t, 1, b.count(NextProvider))
		require.Equal(t, providers.KindInternal, b.get(1007).Failure.Kind)
		require.Equal(t, 100, b.count(Answer))
	})
}

func TestThrottlingDoublesOncePerPause(t *testing.T) {
	t.Parallel()
	f := faults{first: 200 * time.Millisecond, most: time.Second, rand: func() float64 { return 0 }}
	now := start()
	require.Equal(t, 200*time.Millisecond, f.pause(now, "main", 0))
	require.Equal(t, 200*time.Millisecond, f.pause(now, "main", 0), "calls throttled together count once")
	require.Equal(t, 200*time.Millisecond, f.pause(now, "other", 0))
	for _, want := range []int{400, 800, 1000, 1000} {
		now = now.Add(time.Minute)
		require.Equal(t, time.Duration(want)*time.Millisecond, f.pause(now, "main", 0))
	}
	f.clear("main")
	require.Equal(t, 200*time.Millisecond, f.pause(now, "main", 0))
}

// What was certainly not sent is no timeout, however late that is known: the
// permit is free at once, and the number has lost nothing.
func TestLoopNothingWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.provider.latency = 0
			b.provider.reply = func(ctx context.Context, q providers.Query) providers.Reply {
				calls++
				if calls > maxDoubtful {
					return found(len(q.Numbers))
				}
				<-ctx.Done()
				return providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnavailable, Message: "not sent"}}
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 5, func(it *Item[int]) { it.Last = true }))
		pass(5 * time.Minute)
		require.Zero(t, b.permits.seen().abandoned)
		require.Equal(t, 5, b.count(Answer))
	})
}
