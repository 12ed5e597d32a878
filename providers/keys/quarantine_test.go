package keys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers/keys"
)

func TestPause(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{}), key("b", keys.Limits{}))
		p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
		require.NoError(t, p.Pause(t.Context(), "a", time.Minute, "429"))
		for range 3 {
			g := mustAcquire(t, other, 1)
			require.Equal(t, "b", g.Key.Name, "the others carry on")
		}
		require.NoError(t, other.Pause(t.Context(), "b", 400*time.Millisecond, "429"))
		w := mustWait(t, p, 1, keys.WaitPaused)
		require.LessOrEqual(t, w.After, 400*time.Millisecond)
		// A shorter pause does not end a longer one.
		require.NoError(t, p.Pause(t.Context(), "a", time.Millisecond, "429"))
		require.NoError(t, p.Pause(t.Context(), "b", time.Millisecond, "429"))
		mustWait(t, other, 1, keys.WaitPaused)
		require.Equal(t, "b", await(t, other, 1).Key.Name)
		// The whole provider.
		require.NoError(t, p.Pause(t.Context(), "", time.Minute, "it is down"))
		w = mustWait(t, other, 1, keys.WaitPaused)
		require.LessOrEqual(t, w.After, 5*time.Second, "a long pause is looked at again")
		s, err := other.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, keys.StatePaused, s[0].State)
		require.Equal(t, "it is down", s[0].Reason)
	})
}

// quarantineWait is how long until the key may be probed, as Status tells.
func quarantineWait(t *testing.T, p *keys.Pool) time.Duration {
	t.Helper()
	s, err := p.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys.StateQuarantined, s[1].State)
	return time.Until(s[1].Until).Round(100 * time.Millisecond)
}

// TestOneKeyPausedOneBusy: a pause is the reason only where it keeps every key from
// being used; a busy key is none to stop the pulling of work.
func TestOneKeyPausedOneBusy(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1}), key("b", keys.Limits{Concurrency: 1}))
		p, stop := bubblePool(t, w.client(), cfg)
		defer stop()
		pause(t, cfg.Lease) // the guard
		require.NoError(t, p.Pause(t.Context(), "b", 10*time.Millisecond, "throttled"))
		g := await(t, p, 10)
		require.Equal(t, "a", g.Key.Name)
		mustWait(t, p, 10, keys.WaitConcurrency)
		require.NoError(t, p.Pause(t.Context(), "a", time.Minute, "throttled"))
		require.NoError(t, p.Pause(t.Context(), "b", time.Minute, "throttled"))
		g.Release()
		pause(t, time.Second)
		mustWait(t, p, 10, keys.WaitPaused)
	})
}

// TestQuarantine: one probe after a minute, then two, four … up to an hour.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 4}))
		cfg.Lease, cfg.Renew = 20*time.Minute, 10*time.Minute // fewer renewals in four hours
		p, stop := bubblePool(t, w.client(), cfg)
		defer stop()
		other, stopOther := bubblePool(t, w.client(), cfg)
		defer stopOther()
		pause(t, cfg.Lease) // the guard
		g := await(t, p, 10)
		require.False(t, g.Probe)
		// Four calls were on the wire and all fail: that is one failure.
		for _, pool := range []*keys.Pool{p, other, p, other} {
			require.NoError(t, pool.Quarantine(t.Context(), "a", "no_balance"))
		}
		g.Release()
		want := time.Minute
		for range 7 {
			require.Equal(t, want, quarantineWait(t, p))
			pause(t, want-time.Second)
			mustWait(t, other, 10, keys.WaitQuarantined)
			pause(t, time.Second)
			probe := mustAcquire(t, other, 10)
			require.True(t, probe.Probe)
			mustWait(t, p, 10, keys.WaitQuarantined)
			require.NoError(t, other.Quarantine(t.Context(), "a", "no_balance"))
			probe.Release()
			want = min(2*want, time.Hour)
		}
		pause(t, want)
		probe := mustAcquire(t, p, 10)
		other.Succeeded("a") // not its probe: a call from before, perhaps
		mustWait(t, other, 10, keys.WaitQuarantined)
		p.Succeeded("a")
		probe.Release()
		require.False(t, mustAcquire(t, p, 10).Probe)
		mustAcquire(t, other, 10)
	})
}

// TestLateProbe: only the probe that is out ends the quarantine.
func TestLateProbe(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 4}))
		p, other := w.pool(cfg), w.pool(cfg)
		await(t, p, 10)
		require.NoError(t, p.Quarantine(t.Context(), "a", "unauthorized"))
		pause(t, time.Minute)
		require.True(t, mustAcquire(t, p, 10).Probe)
		pause(t, time.Minute)
		require.True(t, mustAcquire(t, other, 10).Probe)
		p.Succeeded("a")
		pause(t, time.Second)
		mustWait(t, p, 10, keys.WaitQuarantined)
		other.Succeeded("a")
		pause(t, time.Second)
		require.False(t, mustAcquire(t, p, 10).Probe)
	})
}

// TestProbeWithoutVerdict: a probe that ends in neither, say by a timeout, is
// repeated after the same time; one that was not used at once.
func TestProbeWithoutVerdict(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		p, stop := bubblePool(t, w.client(), bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 4})))
		defer stop()
		await(t, p, 10)
		require.NoError(t, p.Quarantine(t.Context(), "a", "unauthorized"))
		pause(t, time.Minute)
		probe := mustAcquire(t, p, 10)
		probe.Refund(10)
		probe.Release()
		probe = mustAcquire(t, p, 10)
		require.True(t, probe.Probe)
		probe.Release()
		require.Equal(t, time.Minute, quarantineWait(t, p))
		pause(t, time.Minute)
		require.True(t, mustAcquire(t, p, 10).Probe)
	})
}

// TestWaitCause: a pool tells what its keys are out of use for, where that is one thing.
func TestWaitCause(t *testing.T) {
	t.Parallel()
	type fault struct{ key, what, cause string }
	tests := []struct {
		name   string
		faults []fault
		why    keys.Reason
		cause  string
	}{
		{"all without money", []fault{{"a", "quarantine", "no_balance"}, {"b", "quarantine", "no_balance"}}, keys.WaitQuarantined, "no_balance"},
		{"all forbidden", []fault{{"a", "quarantine", "forbidden"}, {"b", "quarantine", "forbidden"}}, keys.WaitQuarantined, "forbidden"},
		{"each for its own reason", []fault{{"a", "quarantine", "no_balance"}, {"b", "quarantine", "unauthorized"}}, keys.WaitQuarantined, ""},
		{"paused too long to be probed", []fault{{"a", "quarantine", "no_balance"}, {"b", "pause", "throttled"}}, keys.WaitQuarantined, ""},
		{"all paused", []fault{{"a", "pause", "throttled"}, {"b", "pause", "throttled"}}, keys.WaitPaused, "throttled"},
		{"the provider is paused", []fault{{"", "pause", "unavailable"}, {"b", "quarantine", "forbidden"}}, keys.WaitPaused, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(e env) {
				t, r := e.t, e.r
				rdb := open(t, r.URL())
				ageEpoch(t, rdb)
				cfg := config(keys.Limits{}, key("a", keys.Limits{}), key("b", keys.Limits{}))
				p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
				for _, f := range tt.faults {
					if f.what == "pause" {
						require.NoError(t, p.Pause(t.Context(), f.key, time.Hour, f.cause))
					} else {
						require.NoError(t, p.Quarantine(t.Context(), f.key, f.cause))
					}
				}
				w := mustWait(t, other, 1, tt.why)
				require.Equal(t, tt.cause, w.Cause)
				if tt.cause != "" {
					require.ErrorContains(t, w, "("+tt.cause+")")
				}
			})
		})
	}
}

// TestResume: it ends what it names, over the fleet, and nothing else.
func TestResume(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{}))
		p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
		ctx := t.Context()
		require.NoError(t, p.Quarantine(ctx, "a", "unauthorized"))
		require.NoError(t, p.Pause(ctx, "a", time.Hour, "no_balance"))
		require.NoError(t, other.Resume(ctx, "a", "forbidden"))
		require.Equal(t, "quarantined unauthorized", stateOf(t, p))
		require.NoError(t, other.Resume(ctx, "a", "unauthorized"))
		require.Equal(t, "paused no_balance", stateOf(t, p))
		require.NoError(t, other.Resume(ctx, "a", "no_balance"))
		require.Equal(t, keys.StateReady, stateOf(t, p))
		mustAcquire(t, p, 1)
		require.ErrorContains(t, p.Resume(ctx, "x", "no_balance"), `no key called "x"`)
		require.ErrorContains(t, p.Resume(ctx, "", "no_balance"), "no key named")
	})
}
