package keys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	goleak.VerifyTestMain(m)
}

// quiet drops what go-redis has to say about the outages that the tests make.
type quiet struct{}

// Printf implements go-redis' logger.
func (quiet) Printf(context.Context, string, ...any) {}

const (
	// Tests in real time use leases as short as a busy machine allows.
	shortLease = 3 * time.Second
	shortRenew = time.Second
	// patience is for what must happen, on a busy machine.
	patience = 25 * time.Second
)

// tb is what helpers need of a test, be it *testing.T or *rapid.T.
type tb interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// env is a test with its Redis.
type env struct {
	t *testing.T
	r *embeddedtest.Redis
}

// onBoth runs a test on a real Redis and on miniredis.
func onBoth(t *testing.T, test func(env)) {
	t.Helper()
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		r := embeddedtest.RunRedis(t)
		if !r.Real() {
			t.Skip("needs redis-server on PATH; the same test runs on miniredis")
		}
		test(env{t, r})
	})
	t.Run("mini", func(t *testing.T) {
		t.Parallel()
		test(env{t, embeddedtest.RunMiniRedis(t)})
	})
}

// open connects as the worker does.
func open(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisdb.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// key is a configured key with a secret made from its name.
func key(name string, l keys.Limits) keys.KeyConfig {
	return keys.KeyConfig{Key: providers.Key{Name: name, Secret: providers.NewSecret("secret-of-" + name)}, Limits: l}
}

// config is one provider "px" with short leases.
func config(limits keys.Limits, ks ...keys.KeyConfig) keys.Config {
	return keys.Config{
		Provider: "px", Keys: ks, Limits: limits, WorkerID: "w",
		Lease: shortLease, Renew: shortRenew,
	}
}

// bubbleConfig is config with the leases of production, for fake time.
func bubbleConfig(limits keys.Limits, ks ...keys.KeyConfig) keys.Config {
	cfg := config(limits, ks...)
	cfg.Lease, cfg.Renew = 0, 0
	return cfg
}

// newPool starts a pool that is closed with the test.
func newPool(t testing.TB, rdb redis.UniversalClient, cfg keys.Config) *keys.Pool {
	t.Helper()
	p, err := keys.NewPool(rdb, cfg)
	require.NoError(t, err)
	var wg sync.WaitGroup
	ctx := context.WithoutCancel(t.Context())
	wg.Go(func() { p.Run(ctx) })
	t.Cleanup(func() {
		p.Close()
		wg.Wait()
	})
	return p
}

// ageEpoch makes the epoch of provider type px an old one, so that a test need not wait
// for the guard.
func ageEpoch(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	const name = "lookupq:keys:{px}:epoch"
	_, err := redisdb.SyncEpoch(t.Context(), rdb, name)
	require.NoError(t, err)
	var id, created, run string
	_, err = fmt.Sscan(rdb.Get(t.Context(), name).Val(), &id, &created, &run)
	require.NoError(t, err)
	require.NoError(t, rdb.Set(t.Context(), name, id+" 1000 "+run, 0).Err())
}

// pause waits for d.
func pause(t tb, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// mustWait asserts that no permit is given, for that reason.
func mustWait(t tb, p *keys.Pool, most int, why keys.Reason) *keys.WaitError {
	t.Helper()
	g, err := p.Acquire(t.Context(), most)
	w, ok := errors.AsType[*keys.WaitError](err)
	require.True(t, ok, "want to wait for %s, got %d numbers of %s, %v", why, g.N, g.Key.Name, err)
	require.Equal(t, why, w.Reason, "%v", err)
	require.Positive(t, w.After)
	return w
}

// mustAcquire asserts that a permit is given at once.
func mustAcquire(t tb, p *keys.Pool, most int) keys.Grant {
	t.Helper()
	g, err := p.Acquire(t.Context(), most)
	require.NoError(t, err)
	return g
}

// await asks as often as the pool says until a permit is given.
func await(t tb, p *keys.Pool, most int) keys.Grant {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		g, err := p.Acquire(t.Context(), most)
		if err == nil {
			return g
		}
		w, ok := errors.AsType[*keys.WaitError](err)
		require.True(t, ok, "%v", err)
		pause(t, w.After)
	}
	require.FailNow(t, "no permit in time")
	return keys.Grant{}
}

// eventually waits until ok.
func eventually(t tb, ok func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); pause(t, 5*time.Millisecond) {
		require.True(t, time.Now().Before(end), what)
	}
}

// inFlight is what Redis counts for each entity, the provider first.
func inFlight(t tb, p *keys.Pool) []int {
	t.Helper()
	s, err := p.Status(t.Context())
	require.NoError(t, err)
	out := make([]int, len(s))
	for i := range s {
		out[i] = s[i].InFlight
	}
	return out
}
