package jobs

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
)

const (
	soon  = 10 * time.Second
	often = 20 * time.Millisecond
)

// startWorker announces a worker; stop withdraws it and waits.
func startWorker(t *testing.T, nc *nats.Conn, id string, routes ...string) (r *Registry, stop func()) {
	t.Helper()
	r = NewRegistry(newJS(t, nc), RegistryConfig{
		Names: names.Default(), Self: Worker{ID: id, Routes: routes, StartedAt: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)},
		Every: 100 * time.Millisecond, TTL: time.Second, Log: zerolog.Nop(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return r, stop
}

func newWorkersBucket(t *testing.T) (*embeddedtest.NATS, *nats.Conn) {
	t.Helper()
	server := embeddedtest.RunNATS(t)
	nc := server.Connect()
	require.NoError(t, EnsureStreams(t.Context(), newJS(t, nc), names.Default(), StreamOptions{}))
	return server, nc
}

func knows(r *Registry, ids ...string) func() bool {
	return func() bool {
		var got []string
		for _, w := range r.Live() {
			got = append(got, w.ID)
		}
		return slices.Equal(ids, got)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	_, nc := newWorkersBucket(t)
	_, err := NewRegistry(newJS(t, nc), RegistryConfig{Names: names.Default()}).HashKey(t.Context())
	require.NoError(t, err, "the hash key is no worker")

	a, _ := startWorker(t, nc, "A", "offline")
	require.True(t, knows(a, "A")(), "a worker knows itself before anything is read")
	require.True(t, a.Serves("offline"))
	require.False(t, a.Serves("carrier-cn"))

	b, stopB := startWorker(t, nc, "B", "offline", "carrier-cn")
	require.Eventually(t, knows(a, "A", "B"), soon, often)
	require.Eventually(t, knows(b, "A", "B"), soon, often)
	require.True(t, a.Serves("carrier-cn"))
	require.Equal(t, Worker{ID: "B", Routes: []string{"offline", "carrier-cn"}, StartedAt: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}, a.Live()[1])

	stopB()
	require.Eventually(t, knows(a, "A"), soon, often)
	require.False(t, a.Serves("carrier-cn"))
	require.True(t, a.Serves("offline"))
}

// TestRegistryDeadWorker: who is killed withdraws nothing and is gone all the same.
func TestRegistryDeadWorker(t *testing.T) {
	t.Parallel()
	_, nc := newWorkersBucket(t)
	a, _ := startWorker(t, nc, "A", "offline")
	killed := NewRegistry(newJS(t, nc), RegistryConfig{
		Names: names.Default(), Self: Worker{ID: "K", Routes: []string{"carrier-cn"}}, Every: time.Second, TTL: time.Second,
	})
	kv, err := killed.bucket(t.Context())
	require.NoError(t, err)
	require.NoError(t, killed.round(t.Context(), kv))
	require.Eventually(t, knows(a, "A", "K"), soon, often)
	require.Eventually(t, knows(a, "A"), soon, often)
	require.False(t, a.Serves("carrier-cn"))
}

// TestRegistryStrangers: what another version or hand has put there does no harm.
func TestRegistryStrangers(t *testing.T) {
	t.Parallel()
	_, nc := newWorkersBucket(t)
	kv, err := newJS(t, nc).KeyValue(t.Context(), names.Default().WorkersBucket())
	require.NoError(t, err)
	for key, value := range map[string]string{
		"junk": "{", "empty": "", "other": `{"id":"A","routes":["x"]}`, "N": `{"id":"N","routes":["next"],"new":{"a":1}}`,
	} {
		_, err = kv.PutString(t.Context(), key, value)
		require.NoError(t, err)
	}
	a, _ := startWorker(t, nc, "A")
	require.Eventually(t, knows(a, "A", "N"), soon, often)
	require.True(t, a.Serves("next"))
	require.False(t, a.Serves("x"))
}

func TestRegistryOutlastsNATS(t *testing.T) {
	t.Parallel()
	server, nc := newWorkersBucket(t)
	a, _ := startWorker(t, nc, "A", "offline")
	b, _ := startWorker(t, server.Connect(), "B", "carrier-cn")
	require.Eventually(t, knows(a, "A", "B"), soon, often)
	server.Stop()
	require.True(t, a.Serves("carrier-cn"), "what was last known holds")
	server.Start()
	_, _ = startWorker(t, server.Connect(), "C")
	require.Eventually(t, knows(a, "A", "B", "C"), soon, often)
	require.Eventually(t, knows(b, "A", "B", "C"), soon, often)
}

func TestRegistryWithoutBucket(t *testing.T) {
	t.Parallel()
	nc := embeddedtest.RunNATS(t).Connect()
	r := NewRegistry(newJS(t, nc), RegistryConfig{Names: names.Default(), Self: Worker{ID: "A"}})
	err := r.Run(t.Context())
	require.ErrorIs(t, err, jetstream.ErrBucketNotFound)
	require.ErrorContains(t, err, "bucket LOOKUP_WORKERS")
	_, err = r.HashKey(t.Context())
	require.ErrorIs(t, err, jetstream.ErrBucketNotFound)
}

func TestHashKey(t *testing.T) {
	t.Parallel()
	server, nc := newWorkersBucket(t)
	keys := make([][32]byte, 8)
	var g errgroup.Group
	for i := range keys {
		r := NewRegistry(newJS(t, server.Connect()), RegistryConfig{Names: names.Default(), Self: Worker{ID: "A"}})
		g.Go(func() (err error) {
			keys[i], err = r.HashKey(t.Context())
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.NotZero(t, keys[0])
	for _, k := range keys {
		require.Equal(t, keys[0], k)
	}
	r := NewRegistry(newJS(t, nc), RegistryConfig{Names: names.Default(), Self: Worker{ID: "A"}})
	server.Restart()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		k, err := r.HashKey(ctx)
		return err == nil && k == keys[0]
	}, soon, often, "the key must outlive a restart: cached answers hang on it")

	kv, err := newJS(t, nc).KeyValue(t.Context(), names.Default().WorkersBucket())
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), hashKeyName, "c2hvcnQ=")
	require.NoError(t, err)
	_, err = r.HashKey(t.Context())
	require.ErrorContains(t, err, "damaged: delete _hash_key")
	require.NotContains(t, err.Error(), "c2hvcnQ")
}
