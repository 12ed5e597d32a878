package keys_test

import (
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
	r := embeddedtest.RunRedis(t)
	p := newPool(t, open(t, r.URL()), config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
	start := time.Now()
	w := mustWait(t, p, 1, keys.WaitGuard)
	require.LessOrEqual(t, w.After, shortLease)
	await(t, p, 1)
	require.GreaterOrEqual(t, time.Since(start), shortLease-100*time.Millisecond)
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
				if !r.Real() && name != "flush" && name != "restart" {
					return // a miniredis that is killed is one that is flushed
				}
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
