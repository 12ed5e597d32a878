package keys_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers/keys"
)

// TestRedisAway: nothing is granted, it is said fast, Redis is hardly asked, what
// was released in between is told afterwards, and all goes on by itself.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		g := mustAcquire(t, p, 1)
		r.Stop()
		w := mustWait(t, p, 1, keys.WaitRedisAway)
		require.Error(t, errors.Unwrap(w))
		require.LessOrEqual(t, w.After, time.Second)
		g.Release()
		start := time.Now()
		for range 100 {
			mustWait(t, p, 1, keys.WaitRedisAway)
		}
		require.Less(t, time.Since(start), 3*time.Second)
		require.ErrorContains(t, p.Pause(t.Context(), "a", time.Nanosecond, "429"), "pause key a: permits in Redis")
		_, err := p.Status(t.Context())
		require.Error(t, err)
		r.Start()
		await(t, p, 1)
	})
}

// noticed is how long it takes at most until a Redis that is back is noticed: go-redis
// looks once a second, the pool every quarter.
const noticed = 1400 * time.Millisecond

// TestOutageInBubble: with the data intact all goes on as soon as Redis is back.
func TestOutageInBubble(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		w.named()
		p := w.pool(bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		g := await(t, p, 1)
		require.NoError(t, p.Pause(t.Context(), "a", time.Millisecond, "x"))

		// A release is the first to notice, and is told afterwards.
		w.setDown(true)
		g.Release()
		pause(t, time.Second)
		w.setDown(false)
		pause(t, noticed)
		g = mustAcquire(t, p, 1)

		for _, d := range []time.Duration{2 * time.Second, keys.DefaultRenew + time.Second, keys.DefaultLease - 2*time.Second} {
			pause(t, 30*time.Millisecond) // until then it is known that all permits are taken
			w.setDown(true)
			mustWait(t, p, 1, keys.WaitRedisAway)
			pause(t, d-keys.DefaultRenew/5)
			mustWait(t, p, 1, keys.WaitRedisAway)
			g.Release()
			w.setDown(false)
			pause(t, noticed)
			g = mustAcquire(t, p, 1)
		}

		// For longer than the lease: the holder learns it before Redis frees it.
		w.setDown(true)
		down := time.Now()
		<-g.Lost()
		require.Less(t, time.Since(down), keys.DefaultLease)
		require.GreaterOrEqual(t, time.Since(down), keys.DefaultLease-2*keys.DefaultRenew)
		g.Release()
		attempts := w.dials()
		pause(t, 10*time.Second)
		require.LessOrEqual(t, w.dials()-attempts, 60, "a few attempts a second")
		w.setDown(false)
		pause(t, noticed)
		mustAcquire(t, p, 1)
	})
}

// TestOneCutOff: a pool without Redis loses its permits to others only after it
// has been told, and its calls count until then.
func TestOneCutOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 1}))
		c := w.client()
		p, stop := bubblePool(t, c, cfg)
		defer stop()
		other, stopOther := bubblePool(t, w.client(), cfg)
		defer stopOther()
		g := await(t, p, 1)
		pause(t, 7*time.Second)
		c.setCut(true)
		got := await(t, other, 1)
		select {
		case <-g.Lost():
		default:
			require.Fail(t, "two hold the one permit")
		}
		c.setCut(false)
		pause(t, 10*time.Second)
		mustWait(t, p, 1, keys.WaitConcurrency)
		got.Release()
	})
}

// TestAnswerLost: a permit that was granted, but whose answer did not arrive, is
// given back as soon as Redis is reached again.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for _, patient := range []bool{true, false} {
		inBubble(t, func(w *world) {
			t := w.test
			c := w.client()
			p, stop := bubblePool(t, c, bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
			defer stop()
			g := await(t, p, 1)
			g.Release()
			pause(t, time.Second) // nothing is pending
			start := time.Now()
			c.swallow(true)
			if patient {
				mustWait(t, p, 1, keys.WaitRedisAway)
				require.LessOrEqual(t, time.Since(start), time.Second, "a frozen Redis is not waited for")
			} else {
				// The caller's own end is no outage.
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_, err := p.Acquire(ctx, 1)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			c.swallow(false)
			require.True(t, w.holds(1), "it was granted")
			if patient {
				pause(t, noticed)
			}
			mustAcquire(t, p, 1)
		})
	}
}

// TestFirstTripRenews: after an outage a pool puts its leases right before it asks
// for more, whether or not Run has come to it.
func TestFirstTripRenews(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		p, err := keys.NewPool(w.client(), bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 3})))
		require.NoError(t, err)
		await(t, p, 1)
		w.setDown(true)
		mustWait(t, p, 1, keys.WaitRedisAway)
		w.mini.FlushAll()
		w.setDown(false)
		pause(t, noticed)
		mustWait(t, p, 1, keys.WaitGuard)
		require.True(t, w.holds(1))

		w.setDown(true)
		mustWait(t, p, 1, keys.WaitRedisAway)
		pause(t, 6*time.Second)
		w.setDown(false)
		mustWait(t, p, 1, keys.WaitGuard)
	})
}

// TestCloseTells: what was released just before the end is free at once.
func TestCloseTells(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1}))
		p, other := newPool(t, rdb, cfg), newPool(t, rdb, cfg)
		g := mustAcquire(t, p, 1)
		pause(t, 100*time.Millisecond) // Run has nothing to do
		g.Release()
		p.Close()
		mustAcquire(t, other, 1)
	})
}

// TestClockBreaks: when Redis's clock jumps, the ends of leases mean nothing.
func TestClockBreaks(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 2, Rate: 100, NumberRate: 5000}))
				p, stop := bubblePool(t, w.client(), cfg)
				defer stop()
				other, stopOther := bubblePool(t, w.client(), cfg)
				defer stopOther()
				await(t, p, 1000)
				gone, err := keys.NewPool(w.client(), cfg)
				require.NoError(t, err)
				await(t, gone, 1000) // of a worker that died
				w.jump(jump)
				mustWait(t, other, 1000, keys.WaitGuard)
				start := time.Now()
				await(t, other, 1000)
				require.LessOrEqual(t, time.Since(start), keys.DefaultLease+time.Second)
				pause(t, time.Second) // the rates
				mustWait(t, p, 1000, keys.WaitConcurrency)
			})
		})
	}
}
