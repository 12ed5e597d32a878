package keys_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/providers/keys"
)

// TestGuardOnFreshRedis: it cannot be told from one that forgot everything.
func TestGuardOnFreshRedis(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		p := newPool(t, open(t, r.URL()), config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		start := time.Now()
		w := mustWait(t, p, 1, keys.WaitGuard)
		require.LessOrEqual(t, w.After, shortLease)
		await(t, p, 1)
		require.GreaterOrEqual(t, time.Since(start), shortLease-100*time.Millisecond)
	})
}

// TestDeclareUnused: what was never used is free at once, rates included; but only
// once, and only if Redis does not know better.
func TestDeclareUnused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		require.NoError(t, keys.DeclareUnused(t.Context(), rdb, "px", "other"))
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 2, Rate: 0.1, NumberRate: 10, NumberPer: time.Minute}))
		p := newPool(t, rdb, cfg)
		mustAcquire(t, p, 1)
		r.FlushAll()
		mustWait(t, p, 1, keys.WaitGuard)
		require.NoError(t, keys.DeclareUnused(t.Context(), rdb, "px"))
		mustWait(t, p, 1, keys.WaitGuard)
	})
}

// TestDeclaredUnusedAndRestarted: the declaration is about one server's life.
func TestDeclaredUnusedAndRestarted(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		w.named()
		require.NoError(t, keys.DeclareUnused(t.Context(), w.client(), "px"))
		w.takeover()
		p := w.pool(bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		mustWait(t, p, 1, keys.WaitGuard)
		w.setDown(true)
		require.ErrorContains(t, keys.DeclareUnused(t.Context(), w.client(), "px"), "declare keys of type px unused")
	})
}

// TestLostData: nothing is granted until every lease from before is put back or over;
// right after it is.
func TestLostData(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*embeddedtest.Redis){
		"flush":   (*embeddedtest.Redis).FlushAll,
		"restart": (*embeddedtest.Redis).Restart,
		"killed and emptied": func(r *embeddedtest.Redis) {
			r.Kill()
			r.Start()
			r.FlushAll()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(e env) {
				t, r := e.t, e.r
				rdb := open(t, r.URL())
				ageEpoch(t, rdb)
				cfg := config(keys.Limits{Concurrency: 5}, key("a", keys.Limits{Concurrency: 3}), key("b", keys.Limits{Concurrency: 3}))
				p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
				for range 2 {
					mustAcquire(t, p, 1)
				}
				abandoned := mustAcquire(t, p, 1)
				mustAcquire(t, other, 1)
				abandoned.Abandon()
				lose(r)
				start := time.Now()
				got := await(t, other, 1)
				if name != "restart" || r.Real() { // miniredis comes back as it was, and as itself
					require.GreaterOrEqual(t, time.Since(start), shortLease-100*time.Millisecond)
					require.Less(t, time.Since(start), shortLease+2*time.Second)
					// Three are still held; the abandoned one is over.
					await(t, p, 1)
				}
				require.Equal(t, 5, inFlight(t, p)[0])
				mustWait(t, p, 1, keys.WaitConcurrency)
				got.Release()
				await(t, p, 1)
			})
		})
	}
}

// TestRestartIsGuarded: a restarted server may lack its last writes although it
// kept the rest.
func TestRestartIsGuarded(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	if !r.Real() {
		t.Skip("needs redis-server on PATH")
	}
	rdb := open(t, r.URL())
	ageEpoch(t, rdb)
	cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 2}))
	p := newPool(t, rdb, cfg)
	mustAcquire(t, p, 1)
	r.Restart()
	fresh := newPool(t, open(t, r.URL()), cfg)
	mustWait(t, fresh, 1, keys.WaitGuard)
	await(t, fresh, 1)
	mustWait(t, fresh, 1, keys.WaitConcurrency)
}

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

// TestSuspectServer: one that hides who it is may be another after an outage. What the
// last one granted is over a lease after that began.
func TestSuspectServer(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		p := w.pool(bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		g := await(t, p, 1)
		g.Release()
		for away, rest := range map[time.Duration]time.Duration{
			keys.DefaultRenew - 2*time.Second: 0, // no server takes over so fast
			keys.DefaultRenew + time.Second:   keys.DefaultLease - keys.DefaultRenew - time.Second,
			keys.DefaultLease + time.Second:   0,
		} {
			pause(t, 30*time.Millisecond)
			w.setDown(true)
			mustWait(t, p, 1, keys.WaitRedisAway)
			pause(t, away)
			w.setDown(false)
			back := time.Now()
			pause(t, noticed)
			if rest > 0 {
				mustWait(t, p, 1, keys.WaitGuard)
			}
			g = await(t, p, 1)
			g.Release()
			require.InDelta(t, max(rest, noticed).Seconds(), time.Since(back).Seconds(), 0.1)
		}
	})
}

// TestCutOffAndLost: a worker that is cut off trusts its permit although Redis lost
// it. It is nobody else's until that is over, and somebody's right after; but if the
// worker is back before, it keeps it.
func TestCutOffAndLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world){
		"flush":    func(w *world) { w.mini.FlushAll() },
		"takeover": func(w *world) { w.takeover() },
	} {
		for _, back := range []time.Duration{0, 6 * time.Second, 13 * time.Second} { // 0: never
			t.Run(fmt.Sprint(name, " back after ", back), func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(w *world) {
					t := w.test
					w.named()
					cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 2}))
					c := w.client()
					p, stop := bubblePool(t, c, cfg)
					defer stop()
					other := w.pool(cfg)
					g, late := await(t, p, 1), mustAcquire(t, p, 1)
					c.setCut(true)
					late.Abandon() // its call goes on all the same
					lose(w)
					lost := time.Now()
					mustWait(t, other, 1, keys.WaitGuard)
					if back > 0 {
						// The connection is noticed to be up within a second and a half.
						pause(t, back-noticed)
						c.setCut(false)
					}
					got := await(t, other, 1)
					require.GreaterOrEqual(t, time.Since(lost), keys.DefaultLease)
					require.LessOrEqual(t, time.Since(lost), keys.DefaultLease+50*time.Millisecond)
					select {
					case <-g.Lost():
						require.Zero(t, back, "it was there in time")
						mustAcquire(t, other, 1)
					default:
						require.NotZero(t, back, "two hold one permit")
						pause(t, 30*time.Millisecond)
						mustWait(t, other, 1, keys.WaitConcurrency)
						got.Release()
					}
				})
			})
		}
	}
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
