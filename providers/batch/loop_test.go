package batch

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// pass lets d of the bubble's time go by and everything that follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestLoopCallsFullBatchesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil).begin()
		defer b.end()
		b.loop.Add(items(1, 250, nil))
		pass(50 * time.Millisecond)
		require.Equal(t, []int{100, 100}, b.provider.sizes())
		require.Equal(t, 50, b.loop.Waiting(names.Bulk))
		require.Zero(t, b.loop.Waiting(names.High))
		require.Equal(t, 200, b.loop.OnWire())
		require.Equal(t, 2, b.loop.Calls())
		pass(51 * time.Millisecond)
		require.Equal(t, []int{100, 100, 50}, b.provider.sizes(), "the rest has waited linger")
		pass(time.Second)
		require.Equal(t, 250, b.count(Answer))
		require.Equal(t, 3, b.permits.seen().released)
		require.Equal(t, 3, b.permits.seen().succeeded)
		require.Empty(t, b.permits.seen().refunds)
		require.Equal(t, 3, b.permits.seen().acquires)
		require.Zero(t, b.loop.OnWire()+b.loop.Calls()+b.loop.Waiting(names.Bulk))
	})
}

func TestLoopTakesThePermitFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.permits.enter = func() { <-slow }
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		b.loop.Add(items(500, 3, func(it *Item[int]) { it.Priority = names.High }))
		synctest.Wait()
		close(slow)
		pass(10 * time.Millisecond)
		require.Equal(t, []int{100, 3}, b.provider.sizes())
		first := slices.MaxFunc(b.provider.made(), func(x, y madeCall) int { return len(x.numbers) - len(y.numbers) })
		require.Equal(t, number(500), first.numbers[0].E164, "urgent ones overtake until the cut")
		pass(time.Second)
	})
}

func TestLoopUsesAllPermitsAndNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil).begin()
		defer b.end()
		b.loop.Add(items(1, 4000, nil))
		began := time.Now()
		for b.count(Answer) < 4000 {
			pass(10 * time.Millisecond)
		}
		// 40 calls of 300 ms, 4 at a time: 3 s if a freed permit is taken at once.
		require.LessOrEqual(t, time.Since(began), 3010*time.Millisecond)
		require.Equal(t, 4, b.permits.seen().highest)
		require.Len(t, b.provider.sizes(), 40)
	})
}

func TestLoopDoesNotTrustARefusalThatIsOlderThanARelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		second := make(chan struct{})
		var asked atomic.Int64
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.permits.hint = time.Hour
			b.permits.enter = func() {
				if asked.Add(1) == 2 {
					b.permits.set(func(p *fakePermits) { p.err = &WaitError{After: time.Hour, Reason: "concurrency"} })
					<-second // the answer is decided, and takes its time
				} else {
					b.permits.set(func(p *fakePermits) { p.err = nil })
				}
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 200, nil))
		pass(time.Second) // the first call is over
		close(second)
		pass(time.Second)
		require.Equal(t, 200, b.count(Answer))
	})
}

func TestLoopRefundsWhatItDoesNotUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead := false
		var mu sync.Mutex
		b := newBed(t, func(b *bed, c *Config[int]) {
			b.permits.enter = func() {
				mu.Lock()
				defer mu.Unlock()
				dead = true // all are cancelled while the permit is asked for
			}
			c.Live = func(w int) LiveState {
				mu.Lock()
				defer mu.Unlock()
				if dead && w > 3 {
					return StateCancelled
				}
				return StateLive
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 10, nil))
		pass(time.Second)
		require.Equal(t, []int{3}, b.provider.sizes())
		require.Equal(t, []int{7}, b.permits.seen().refunds)
		b.loop.Add(items(20, 10, nil))
		pass(time.Second)
		require.Equal(t, []int{7, 10}, b.permits.seen().refunds)
		require.Equal(t, 2, b.permits.seen().released)
		require.Equal(t, 17, b.count(Cancelled))
	})
}

func TestLoopHonoursPartialGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) { b.permits.grant = 30 }).begin()
		defer b.end()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		require.Equal(t, []int{30, 30, 30, 10}, b.provider.sizes())
		require.Equal(t, 100, b.count(Answer))
	})
}

func TestLoopSingleCallProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) { b.provider.max = 1 }).begin()
		defer b.end()
		b.loop.Add(items(1, 40, nil))
		pass(3*time.Second + 10*time.Millisecond)
		require.Equal(t, 40, b.count(Answer))
		require.Equal(t, 4, b.permits.seen().highest)
	})
}

func TestLoopSettlingHoldsCallsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := newBed(t, func(b *bed, c *Config[int]) {
			c.SettleAhead = 250
			b.onAnswers = func([]Answered[int]) { <-gate }
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 2000, nil))
		pass(10 * time.Second)
		// Three answered batches are above 250; at most four were on the wire with them.
		calls := len(b.provider.sizes())
		free := b.permits.seen().inUse == 0
		close(gate)
		require.LessOrEqual(t, calls, 3+4)
		require.True(t, free, "settling holds no permit")
		pass(10 * time.Second)
		require.Equal(t, 2000, b.count(Answer))
	})
}

func TestLoopWithoutUsableKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fault := &providers.Failure{Kind: providers.KindNoBalance}
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.permits.err = &WaitError{After: 3 * time.Second, Reason: "paused", Stop: true, Fault: fault}
		}).begin()
		defer b.end()
		usable, _ := b.loop.Usable()
		require.True(t, usable)
		b.loop.Add(items(1, 100, func(it *Item[int]) { it.Last = it.Waiter > 60 }))
		pass(time.Second)
		usable, why := b.loop.Usable()
		require.False(t, usable)
		require.Equal(t, "paused", why)
		pass(5 * time.Second)
		require.Zero(t, b.total(), "a short pause is waited for")
		pass(5 * time.Second)
		require.Equal(t, 60, b.count(NextProvider), "ten seconds are too long for those who can go elsewhere")
		require.Same(t, fault, b.get(1).Failure)
		require.Equal(t, 4, b.permits.seen().acquires)
		b.permits.set(func(p *fakePermits) { p.err = nil })
		pass(4 * time.Second)
		require.Equal(t, 40, b.count(Answer))
		require.Equal(t, 1, b.get(61).Attempts, "waiting used up nothing")
		usable, _ = b.loop.Usable()
		require.True(t, usable)
	})
}

func TestLoopWaitsForItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cancelled := false
		var mu sync.Mutex
		b := newBed(t, func(b *bed, c *Config[int]) {
			b.permits.err = errors.New("redis: connection refused")
			c.Live = func(w int) LiveState {
				mu.Lock()
				defer mu.Unlock()
				if cancelled && w <= 10 {
					return StateCancelled
				}
				return StateLive
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, func(it *Item[int]) {
			if it.Waiter > 90 {
				it.Expires = time.Now().Add(30 * time.Minute)
			}
		}))
		pass(10 * time.Minute)
		require.Zero(t, b.total())
		usable, _ := b.loop.Usable()
		require.False(t, usable)
		mu.Lock()
		cancelled = true
		mu.Unlock()
		pass(sweepEvery)
		require.Equal(t, 10, b.count(Cancelled), "found within seconds, though nothing is cut")
		pass(time.Hour)
		require.Equal(t, 10, b.count(Expired))
		b.permits.set(func(p *fakePermits) { p.err = nil })
		pass(5 * time.Second)
		require.Equal(t, 80, b.count(Answer))
	})
}

func TestLoopStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil).begin()
		b.loop.Add(items(1, 1000, nil))
		pass(10 * time.Millisecond)
		require.Len(t, b.provider.sizes(), 4)
		began := time.Now()
		b.end()
		require.Equal(t, 290*time.Millisecond, time.Since(began), "calls in flight finish")
		require.Len(t, b.provider.sizes(), 4)
		require.Equal(t, 400, b.count(Answer))
		b.loop.Add(items(2000, 5, nil))
		rest := b.loop.Rest()
		require.Len(t, rest, 605)
		for _, w := range rest {
			require.NotContains(t, b.ends, w)
		}
		require.Zero(t, b.loop.Waiting(names.Bulk))
	})
}

func TestLoopStopGivesALatePermitBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		b := newBed(t, func(b *bed, _ *Config[int]) { b.permits.enter = func() { <-slow } }).begin()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		b.stop()
		synctest.Wait()
		close(slow)
		<-b.done
		require.Empty(t, b.provider.sizes())
		require.Equal(t, 1, b.permits.seen().released)
		require.Equal(t, []int{100}, b.permits.seen().refunds)
		require.Len(t, b.loop.Rest(), 100)
	})
}

func TestLoopIdleHasNoTimerToSpeakOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil).begin()
		b.loop.Add(items(1, 10, nil))
		pass(10 * time.Minute)
		b.end()
		require.Empty(t, b.loop.core.parts, "what it knew of the numbers is forgotten")
		require.Equal(t, 1, b.permits.seen().acquires)
	})
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c := Config[int]{Provider: &fakeProvider{max: 100}, MaxBatch: 1000, RecentCount: -1}.withDefaults()
	require.Equal(t, 100, c.MaxBatch, "never above the documented maximum")
	require.Equal(t, 10*time.Second, c.Timeout)
	require.Equal(t, 8, c.Retry.Attempts)
	require.Equal(t, 800, c.SettleAhead)
	require.Zero(t, c.RecentCount)
	require.Equal(t, StateLive, c.Live(1))
	require.Less(t, c.Rand(), 1.0)
	require.Equal(t, 1, Config[int]{Provider: &fakeProvider{}}.withDefaults().MaxBatch)
}

// TestLoopUnderLoad runs for real, in parallel, for the race detector.
func TestLoopUnderLoad(t *testing.T) {
	t.Parallel()
	const adders, each = 4, 5000
	all := make(chan struct{})
	left := adders * each
	var mu sync.Mutex
	b := newBed(t, func(b *bed, c *Config[int]) {
		b.provider.latency = 0
		b.provider.max = 1000
		c.Linger = time.Millisecond
		b.onAnswers = func(a []Answered[int]) {
			mu.Lock()
			defer mu.Unlock()
			if left -= len(a); left == 0 {
				close(all)
			}
		}
	}).begin()
	var adding sync.WaitGroup
	for a := range adders {
		adding.Go(func() {
			for i := 0; i < each; i += 50 {
				b.loop.Add(items(a*each+i, 50, func(it *Item[int]) { it.Priority = names.Priority(it.Waiter % 3) }))
				b.loop.Waiting(names.Bulk)
				b.loop.Usable()
			}
		})
	}
	adding.Wait()
	<-all
	b.end()
	require.Equal(t, adders*each, b.count(Answer))
	require.Empty(t, b.loop.Rest())
	require.Zero(t, b.permits.seen().inUse)
}
