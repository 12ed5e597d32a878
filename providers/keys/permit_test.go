package keys_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/redisdb/redisdbtest"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
)

func TestConcurrencyOverTheFleet(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 3}))
		p, other := newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)
		first := mustAcquire(t, p, 1000)
		require.Equal(t, "a", first.Key.Name)
		require.Equal(t, "secret-of-a", first.Key.Secret.Reveal())
		require.Equal(t, 1000, first.N)
		second, third := mustAcquire(t, other, 5), mustAcquire(t, p, 1)
		require.Equal(t, 5, second.N)
		for _, pool := range []*keys.Pool{p, other} {
			w := mustWait(t, pool, 10, keys.WaitConcurrency)
			require.GreaterOrEqual(t, w.After, 10*time.Millisecond)
			require.LessOrEqual(t, w.After, 30*time.Millisecond)
		}
		// A release counts for the next Acquire of the same pool, at once.
		for range 20 {
			first.Release()
			first.Release()
			first = mustAcquire(t, p, 7)
		}
		mustWait(t, p, 10, keys.WaitConcurrency)
		// And for others when Redis knows, without any Acquire of this pool.
		third.Release()
		got := await(t, other, 1)
		for _, g := range []keys.Grant{first, second, got} {
			g.Release()
		}
		eventually(t, func() bool { return inFlight(t, p)[0] == 0 }, "all released")
	})
}

func TestProviderLimitAndMostRoom(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{Concurrency: 6},
			key("small", keys.Limits{Concurrency: 2}), key("big", keys.Limits{Concurrency: 5})))
		names := ""
		for range 6 {
			names += mustAcquire(t, p, 10).Key.Name[:1]
		}
		// The one with most room; the least recently used of equals.
		require.Equal(t, "bbbsbs", names)
		mustWait(t, p, 10, keys.WaitConcurrency)
		require.Equal(t, []int{6, 2, 4}, inFlight(t, p))
	})
}

func TestSameSecretIsOneKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		one := key("one", keys.Limits{Concurrency: 5})
		two := key("two", keys.Limits{Concurrency: 2})
		two.Key.Secret = one.Key.Secret
		p := newPool(t, rdb, config(keys.Limits{}, one, two))
		require.Equal(t, "one", mustAcquire(t, p, 1).Key.Name)
		// Another provider of the same type shares it too.
		cfg := config(keys.Limits{}, two)
		cfg.Provider, cfg.Type = "px-second", "px"
		mustAcquire(t, newPool(t, rdb, cfg), 1)
		mustWait(t, p, 1, keys.WaitConcurrency)
		require.NoError(t, p.Pause(t.Context(), "two", time.Minute, "by its other name"))
		mustWait(t, p, 1, keys.WaitPaused)
	})
}

// TestLowerLimitHolds: while workers with different limits run, the lower holds for all.
func TestLowerLimitHolds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		before, err := keys.NewPool(rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 2})))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			before.Run(ctx)
		}()
		after := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 4})))
		eventually(t, func() bool {
			s, err := after.Status(t.Context())
			return err == nil && s[1].Limit == 2
		}, "the lower limit is announced")
		mustAcquire(t, after, 1)
		mustAcquire(t, after, 1)
		mustWait(t, after, 1, keys.WaitConcurrency)
		// When the last old worker is gone, the higher limit counts.
		cancel()
		<-done
		await(t, after, 1)
		await(t, after, 1)
		mustWait(t, after, 1, keys.WaitConcurrency)
	})
}

func TestAbandonedPermitEndsWithItsLease(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		g := mustAcquire(t, p, 1)
		start := time.Now()
		g.Abandon()
		g.Release() // does nothing any more
		mustWait(t, p, 1, keys.WaitConcurrency)
		await(t, p, 1)
		require.GreaterOrEqual(t, time.Since(start), shortLease-20*time.Millisecond)
		require.Less(t, time.Since(start), shortLease+5*time.Second)
	})
}

// TestLeaseIsRenewed: a call may take many leases' time.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1})))
		g := mustAcquire(t, p, 1)
		pause(t, 3*shortLease/2)
		mustWait(t, p, 1, keys.WaitConcurrency)
		select {
		case <-g.Lost():
			require.Fail(t, "lost")
		default:
		}
	})
}

// TestCrashedHolder: the permits of a worker that died come back within a lease,
// while others go on.
func TestCrashedHolder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 2}))
		crashed, err := keys.NewPool(rdb, cfg) // never run: never renews
		require.NoError(t, err)
		p := newPool(t, rdb, cfg)
		start := time.Now()
		mustAcquire(t, crashed, 1)
		kept := mustAcquire(t, p, 1)
		mustWait(t, p, 1, keys.WaitConcurrency)
		await(t, p, 1)
		require.GreaterOrEqual(t, time.Since(start), shortLease-20*time.Millisecond)
		kept.Release()
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{Concurrency: 9},
			key("a", keys.Limits{Concurrency: 3}), key("b", keys.Limits{}), key("c", keys.Limits{})))
		mustAcquire(t, p, 1) // of b, which has no limit
		require.NoError(t, p.Pause(t.Context(), "a", time.Minute, "429 for 60s"))
		require.NoError(t, p.Quarantine(t.Context(), "c", "unauthorized"))
		s, err := p.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, s, 4)
		require.Equal(t, keys.KeyStatus{State: keys.StateReady, InFlight: 1, Limit: 9}, s[0])
		require.WithinDuration(t, time.Now().Add(time.Minute), s[1].Until, 5*time.Second)
		require.WithinDuration(t, time.Now().Add(time.Minute), s[3].Until, 5*time.Second)
		s[1].Until, s[3].Until = time.Time{}, time.Time{}
		require.Equal(t, []keys.KeyStatus{
			{Name: "a", State: keys.StatePaused, Limit: 3, Reason: "429 for 60s"},
			{Name: "b", State: keys.StateReady, InFlight: 1},
			{Name: "c", State: keys.StateQuarantined, Reason: "unauthorized", Failures: 1},
		}, s[1:])
	})
}

// TestCluster: all names of a provider lie in one slot.
func TestCluster(t *testing.T) {
	t.Parallel()
	rdb := open(t, redisdbtest.RunCluster(t))
	ageEpoch(t, rdb)
	p := newPool(t, rdb, config(keys.Limits{Concurrency: 1, Rate: 1000, NumberRate: 1e6},
		key("a", keys.Limits{Concurrency: 4}), key("b", keys.Limits{Concurrency: 4, Rate: 1000})))
	g := await(t, p, 10)
	require.Equal(t, 1, inFlight(t, p)[0])
	pause(t, shortLease)
	mustWait(t, p, 10, keys.WaitConcurrency)
	g.Refund(3)
	g.Release()
	await(t, p, 10)
	require.NoError(t, p.Pause(t.Context(), "", time.Minute, "down"))
	mustWait(t, p, 10, keys.WaitPaused)
}

// TestSecretsStayHere: no secret in Redis, nor in what is printed.
func TestSecretsStayHere(t *testing.T) {
	t.Parallel()
	m := embeddedtest.RunMiniRedis(t)
	rdb := open(t, m.URL())
	ageEpoch(t, rdb)
	p := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Concurrency: 1, Rate: 5, NumberRate: 100})))
	mustAcquire(t, p, 10)
	require.NoError(t, p.Quarantine(t.Context(), "a", "forbidden"))
	all := strings.Builder{}
	for _, name := range rdb.Keys(t.Context(), "*").Val() {
		require.True(t, strings.HasPrefix(name, "lookupq:keys:{px}:"), name)
		all.WriteString(name)
		switch rdb.Type(t.Context(), name).Val() {
		case "hash":
			for k, v := range rdb.HGetAll(t.Context(), name).Val() {
				all.WriteString(k + v)
			}
			require.Positive(t, rdb.PTTL(t.Context(), name).Val(), "%s must go away by itself", name)
		case "zset":
			all.WriteString(strings.Join(rdb.ZRange(t.Context(), name, 0, -1).Val(), " "))
			require.Positive(t, rdb.PTTL(t.Context(), name).Val(), "%s must go away by itself", name)
		}
	}
	require.NotContains(t, all.String(), "secret-of-a")
	require.Contains(t, all.String(), "forbidden")
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	good := config(keys.Limits{}, key("a", keys.Limits{}))
	tests := []struct {
		name   string
		change func(*keys.Config)
		want   string
	}{
		{"no name", func(c *keys.Config) { c.Provider = "" }, "provider"},
		{"braces", func(c *keys.Config) { c.Type = "a}b" }, "without braces"},
		{"short lease", func(c *keys.Config) { c.Lease = c.Renew }, "two renewals"},
		{"negative renew", func(c *keys.Config) { c.Renew = -1 }, "two renewals"},
		{"name twice", func(c *keys.Config) { c.Keys = append(c.Keys, key("a", keys.Limits{})) }, `"a" is used twice`},
		{"negative limit", func(c *keys.Config) { c.Keys[0].Limits.Rate = -1 }, "key a: limits"},
		{"negative provider limit", func(c *keys.Config) { c.Limits.Concurrency = -1 }, "provider px: limits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			cfg.Keys = append([]keys.KeyConfig(nil), good.Keys...)
			tt.change(&cfg)
			_, err := keys.NewPool(nil, cfg)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "secret-of")
		})
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		provider keys.Limits
		perKey   []int
		workers  int
		want     int
	}{
		{"alone", keys.Limits{}, []int{4, 3}, 1, 7},
		{"rounded up", keys.Limits{}, []int{4, 3}, 3, 3},
		{"more workers than permits", keys.Limits{}, []int{1}, 5, 1},
		{"provider's limit", keys.Limits{Concurrency: 2}, []int{4, 3}, 1, 2},
		{"no limit", keys.Limits{}, []int{4, 0}, 2, 32},
		{"no limit but the provider's", keys.Limits{Concurrency: 8}, []int{0}, 2, 4},
		{"no workers known", keys.Limits{}, []int{4}, 0, 4},
		{"no key", keys.Limits{}, nil, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(tt.provider)
			for i, c := range tt.perKey {
				cfg.Keys = append(cfg.Keys, key(string(rune('a'+i)), keys.Limits{Concurrency: c}))
			}
			p, err := keys.NewPool(nil, cfg)
			require.NoError(t, err)
			p.SetWorkers(tt.workers)
			require.Equal(t, tt.want, p.Share())
		})
	}
}

func TestAcquireFaults(t *testing.T) {
	t.Parallel()
	p, err := keys.NewPool(nil, config(keys.Limits{}))
	require.NoError(t, err)
	mustWait(t, p, 1, keys.WaitNoKey)

	rdb := open(t, embeddedtest.RunMiniRedis(t).URL())
	p, err = keys.NewPool(rdb, config(keys.Limits{}, key("a", keys.Limits{})))
	require.NoError(t, err)
	_, err = p.Acquire(t.Context(), 0)
	require.ErrorContains(t, err, "one number at least")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Acquire(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, p.Pause(t.Context(), "nobody", time.Second, ""), `no key called "nobody"`)
	require.Error(t, p.Quarantine(t.Context(), "", ""))
	p.Succeeded("nobody")
	k, ok := p.Key("a")
	require.True(t, ok)
	require.Equal(t, providers.Key{Name: "a", Secret: providers.NewSecret("secret-of-a")}, k)
	_, ok = p.Key("")
	require.False(t, ok)
	p.Close()
	p.Run(t.Context()) // returns at once
	p.Close()
	_, err = p.Acquire(t.Context(), 1)
	require.ErrorIs(t, err, keys.ErrClosed)
}
