package keys_test

import (
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/internal/redisdb/redisdbtest"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
)

// prepaid and postpaid are balances in queries.
func prepaid(amount float64) providers.Balance {
	return providers.Balance{Amount: amount, Unit: "lookups"}
}

func postpaid(amount float64) providers.Balance {
	return providers.Balance{Amount: amount, Unit: "lookups", Postpaid: true}
}

// note tells a balance of key a.
func note(t tb, p *keys.Pool, b providers.Balance) (low string) {
	t.Helper()
	low, err := p.NoteBalance(t.Context(), "a", b)
	require.NoError(t, err)
	return low
}

// review is what there is to do about key a.
func review(t tb, p *keys.Pool) keys.Review {
	t.Helper()
	all, err := p.Review(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, "a", all[0].Name)
	return all[0]
}

// stateOf is the state of key a, and why.
func stateOf(t tb, p *keys.Pool) string {
	t.Helper()
	s, err := p.Status(t.Context())
	require.NoError(t, err)
	if s[1].State == keys.StateReady {
		return s[1].State
	}
	return s[1].State + " " + s[1].Reason
}

// TestBalanceDecides: what a balance does to a key, and what it must not.
func TestBalanceDecides(t *testing.T) {
	t.Parallel()
	type step struct {
		refused string // the upstream's word on the key
		balance providers.Balance
		want    string
	}
	const ready, spent = keys.StateReady, "quarantined no_balance"
	tests := map[string][]step{
		"spent before it fails":                  {{"", prepaid(5), ready}, {"", prepaid(0), spent}, {"", prepaid(0), spent}, {"", prepaid(5), ready}},
		"below zero and prepaid":                 {{"", prepaid(-3), spent}, {"", prepaid(0.5), ready}},
		"below zero and postpaid":                {{"", postpaid(-2047), ready}, {"", postpaid(-1e9), ready}, {"", postpaid(0), ready}},
		"refused, but there is money":            {{"", prepaid(900), ready}, {"no_balance", prepaid(900), ready}},
		"refused again, and nothing was spent":   {{"no_balance", prepaid(300), ready}, {"no_balance", prepaid(300), spent}, {"", prepaid(300), spent}, {"", prepaid(5000), ready}},
		"refused again, after some was spent":    {{"no_balance", prepaid(300), ready}, {"no_balance", prepaid(200), ready}},
		"topped up with what was left before":    {{"no_balance", prepaid(300), ready}, {"no_balance", prepaid(0), spent}, {"", prepaid(300), ready}},
		"worked on in between":                   {{"no_balance", prepaid(300), ready}, {"", prepaid(100), ready}, {"", prepaid(300), ready}, {"no_balance", prepaid(300), ready}},
		"postpaid, refused, and that is a doubt": {{"no_balance", postpaid(-10), ready}, {"no_balance", postpaid(-10), spent}},
		"out for another reason":                 {{"unauthorized", prepaid(900), "quarantined unauthorized"}, {"", prepaid(0), "quarantined unauthorized"}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(e env) {
				t, r := e.t, e.r
				p := newPool(t, open(t, r.URL()), config(keys.Limits{}, key("a", keys.Limits{})))
				for i, s := range steps {
					if s.refused != "" {
						require.NoError(t, p.Quarantine(t.Context(), "a", s.refused))
					}
					require.Empty(t, note(t, p, s.balance), "no bound is configured")
					require.Equal(t, s.want, stateOf(t, p), "step %d", i)
					all, err := p.Status(t.Context())
					require.NoError(t, err)
					require.Equal(t, s.balance, all[1].Balance.Balance)
					require.WithinDuration(t, time.Now(), all[1].Balance.At, 10*time.Second)
				}
			})
		})
	}
}

// lowConfig has one key whose balance is low below bound.
func lowConfig(bound float64) keys.Config {
	a := key("a", keys.Limits{})
	a.LowBalance = bound
	return config(keys.Limits{}, a)
}

// TestLowBalance: one event for each fall below the bound, also while workers with
// different bounds share the key, and none is lost with the worker that was to tell.
func TestLowBalance(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		p, other := newPool(t, open(t, r.URL()), lowConfig(1000)), newPool(t, open(t, r.URL()), lowConfig(500))
		require.InDelta(t, 1000, p.LowBalance("a"), 0)
		require.Zero(t, p.LowBalance("x"))
		require.Empty(t, note(t, p, prepaid(1000)))
		id := note(t, p, prepaid(999))
		require.NotEmpty(t, id)
		require.Equal(t, id, note(t, other, prepaid(998)), "not told yet: whoever reads next tells the same")
		require.NoError(t, p.Told(t.Context(), "a", "another"))
		require.Equal(t, id, note(t, p, prepaid(998)))
		require.NoError(t, p.Told(t.Context(), "a", id))
		require.Empty(t, note(t, p, prepaid(900)))
		require.Empty(t, note(t, other, prepaid(700)), "above the other's bound, but still below the one it was announced for")
		require.Empty(t, note(t, p, prepaid(700)))
		lower := note(t, other, prepaid(400))
		require.NotEmpty(t, lower, "the other's bound")
		require.NoError(t, other.Told(t.Context(), "a", lower))
		require.Empty(t, note(t, p, prepaid(300)))
		require.True(t, review(t, p).Low)
		require.Empty(t, note(t, p, prepaid(5000)))
		require.False(t, review(t, p).Low)
		require.NotEmpty(t, note(t, p, prepaid(999)), "armed again")
		require.Empty(t, note(t, p, prepaid(1000)), "the event is out of date before it was told")
		_, err := p.NoteBalance(t.Context(), "x", prepaid(1))
		require.ErrorContains(t, err, `no key called "x"`)
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			_, err = p.NoteBalance(t.Context(), "a", prepaid(bad))
			require.ErrorContains(t, err, "no number")
		}
	})
}

// TestLowBalanceOnce: whatever the balance does and whoever reads it, there is an
// event for each fall below the bound, and no other.
func TestLowBalanceOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(quietTB{t}, func(t *rapid.T) {
			w := newWorld(t)
			defer w.close()
			bound := rapid.SampledFrom([]float64{1, 100, 0.5}).Draw(t, "bound")
			pools := []*keys.Pool{w.pool(lowConfig(bound)), w.pool(lowConfig(bound))}
			amounts := rapid.SliceOfN(rapid.SampledFrom([]float64{-50, 0, bound / 2, bound, bound * 2, bound * 3}), 1, 12).Draw(t, "amounts")
			falls, told, low := 0, map[string]bool{}, false
			for _, amount := range amounts {
				if amount < bound && !low {
					falls++
				}
				low = amount < bound
				pause(t, time.Millisecond)
				p := rapid.SampledFrom(pools).Draw(t, "reader")
				id := note(t, p, prepaid(amount))
				if id == "" {
					continue
				}
				require.False(t, told[id], "told twice")
				if rapid.Bool().Draw(t, "another reads before it is told") {
					require.Equal(t, id, note(t, pools[0], prepaid(amount)))
				}
				told[id] = true
				require.NoError(t, p.Told(t.Context(), "a", id))
			}
			require.Len(t, told, falls)
			require.Equal(t, low, review(t, pools[0]).Low)
			require.Equal(t, low && amounts[len(amounts)-1] <= 0, stateOf(t, pools[1]) != keys.StateReady)
		})
	})
}

// TestOneReads: of all workers that look at the same time one gets the turn.
func TestOneReads(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		cfg := config(keys.Limits{}, key("a", keys.Limits{}), key("b", keys.Limits{}))
		var turns [2]atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			p := newPool(t, open(t, r.URL()), cfg)
			wg.Go(func() {
				for range 5 {
					all, err := p.Review(t.Context(), true)
					if err != nil {
						continue // a busy machine
					}
					for i := range all {
						if all[i].Read {
							turns[i].Add(1)
						}
					}
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, turns[0].Load())
		require.EqualValues(t, 1, turns[1].Load())
		p := newPool(t, open(t, r.URL()), cfg)
		r.FlushAll()
		all, err := p.Review(t.Context(), false)
		require.NoError(t, err)
		require.False(t, all[0].Read, "this provider tells no balance")
		require.Nil(t, all[0].Balance)
		require.True(t, review(t, p).Read, "nothing is known any more")
	})
}

// gap is how long until the balance of key a is to be read again, in steps of two seconds.
func gap(t tb, p *keys.Pool) time.Duration {
	t.Helper()
	start := time.Now()
	for !review(t, p).Read {
		pause(t, 2*time.Second)
		require.Less(t, time.Since(start), time.Hour)
	}
	return time.Since(start)
}

// TestReadingIsGentle: how often a balance is read, by the state of the key.
func TestReadingIsGentle(t *testing.T) {
	t.Parallel()
	const second, slack = time.Second, 4 * time.Second
	about := func(t tb, want, got time.Duration) {
		t.Helper()
		require.InDelta(t, want.Seconds(), got.Seconds(), want.Seconds()/10+slack.Seconds())
	}
	inBubble(t, func(w *world) {
		t := w.test
		cfg := lowConfig(100)
		cfg.Lease, cfg.Renew = 20*time.Minute, 10*time.Minute // fewer renewals
		p, other := w.pool(cfg), w.pool(cfg)
		require.Zero(t, gap(t, p), "never read")
		note(t, p, prepaid(5000))
		about(t, 5*time.Minute, gap(t, other))
		about(t, 5*time.Minute, gap(t, p)) // whoever had the turn did not tell
		note(t, p, prepaid(99))
		about(t, 30*second, gap(t, other))
		about(t, 30*second, gap(t, p))
		note(t, p, prepaid(5000))
		about(t, 5*time.Minute, gap(t, p))
		// The upstream says that there is no money: verified soon, then every 30 s.
		pause(t, time.Minute)
		require.NoError(t, other.Quarantine(t.Context(), "a", keys.CauseNoBalance))
		require.Zero(t, gap(t, p))
		about(t, 30*second, gap(t, p))
		note(t, p, prepaid(5000))
		require.Equal(t, keys.StateReady, stateOf(t, p))
		pause(t, time.Millisecond)
		require.NoError(t, other.Quarantine(t.Context(), "a", keys.CauseNoBalance))
		about(t, 5*second, gap(t, p))
		require.NoError(t, p.Resume(t.Context(), "a", keys.CauseNoBalance))
		about(t, 5*time.Minute, gap(t, p))
		// The upstream asks to be left alone.
		require.NoError(t, p.Postpone(t.Context(), "a", 10*time.Minute))
		about(t, 10*time.Minute, gap(t, p))
		require.NoError(t, p.Pause(t.Context(), "a", 10*time.Minute, "throttled"))
		about(t, 10*time.Minute, gap(t, p))
		require.NoError(t, p.Pause(t.Context(), "", 10*time.Minute, "unavailable"))
		about(t, 10*time.Minute, gap(t, p))
	})
}

// TestRevokedKeyIsReadWithItsProbes: no more often than it is tried.
func TestRevokedKeyIsReadWithItsProbes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := lowConfig(100)
		cfg.Lease, cfg.Renew = 20*time.Minute, 10*time.Minute
		p := w.pool(cfg)
		pause(t, cfg.Lease) // the guard
		require.Zero(t, gap(t, p))
		note(t, p, prepaid(10)) // low: every 30 s, were it not for the quarantine
		wait := time.Minute
		for range 7 {
			require.NoError(t, p.Quarantine(t.Context(), "a", "unauthorized"))
			pause(t, wait-2*time.Second)
			require.False(t, review(t, p).Read)
			require.LessOrEqual(t, gap(t, p), 4*time.Second)
			g := mustAcquire(t, p, 1)
			require.True(t, g.Probe)
			g.Release()
			wait = min(2*wait, time.Hour)
		}
	})
}

// TestChangesAreToldOnce: one worker of the fleet is told of each change of a key.
func TestChangesAreToldOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{}))
		p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
		changed := func(from, to string) {
			t.Helper()
			x := review(t, other)
			require.True(t, x.Changed)
			require.Equal(t, [2]string{from, to}, [2]string{x.From, x.To})
			require.False(t, review(t, p).Changed)
			require.False(t, review(t, other).Changed)
		}
		require.False(t, review(t, p).Changed)
		note(t, p, prepaid(0))
		changed("", "no_balance")
		note(t, p, prepaid(7))
		changed("no_balance", "")
		require.NoError(t, p.Quarantine(t.Context(), "a", "forbidden"))
		changed("", "forbidden")
	})
}

// TestBalanceInCluster: the scripts stay in one slot.
func TestBalanceInCluster(t *testing.T) {
	t.Parallel()
	p := newPool(t, open(t, redisdbtest.RunCluster(t)), lowConfig(100))
	require.True(t, review(t, p).Read)
	require.NotEmpty(t, note(t, p, prepaid(0)))
	require.Equal(t, "quarantined no_balance", stateOf(t, p))
	require.NoError(t, p.Resume(t.Context(), "a", keys.CauseNoBalance))
	require.Equal(t, keys.StateReady, stateOf(t, p))
}

// TestBalanceWithoutRedis: nothing is known and nothing is lost.
func TestBalanceWithoutRedis(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		p := newPool(t, open(t, r.URL()), lowConfig(100))
		note(t, p, prepaid(50))
		r.Stop()
		_, err := p.Review(t.Context(), true)
		require.Error(t, err)
		_, err = p.NoteBalance(t.Context(), "a", prepaid(1))
		require.Error(t, err)
		var w *keys.WaitError
		require.NotErrorAs(t, err, &w, "no permit was asked for")
	})
}

// TestAmountsAreExact: what was read is what every worker shows.
func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		p := newPool(t, open(t, r.URL()), lowConfig(0))
		for _, amount := range []float64{0.1, 12048, -2047, 3788.32, 1e15, 1.0 / 3} {
			note(t, p, postpaid(amount))
			require.Equal(t, strconv.FormatFloat(amount, 'g', -1, 64), strconv.FormatFloat(review(t, p).Balance.Amount, 'g', -1, 64))
		}
	})
}
