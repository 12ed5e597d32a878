package embeddedtest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNATSKeepsDataAndPortOverRestart(t *testing.T) {
	t.Parallel()
	n := embeddedtest.RunNATS(t)
	js, err := jetstream.New(n.Connect())
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s", []byte("kept"))
	require.NoError(t, err)

	before := n.URL()
	n.Restart()
	require.Equal(t, before, n.URL())

	// A second connection: the first may still be on its way back.
	js, err = jetstream.New(n.Connect())
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
}

func TestRedisKeepsData(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(testing.TB) *embeddedtest.Redis{
		"real if installed": embeddedtest.RunRedis, "in process": embeddedtest.RunMiniRedis,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t)
			c := r.Client()
			require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
			r.Restart()
			require.Equal(t, "v", get(t, c, "k"))
			r.Kill()
			require.Error(t, c.Ping(t.Context()).Err(), "a killed server must not answer")
			r.Start()
			require.Equal(t, "v", get(t, c, "k"), "data must outlive a kill")
			r.FlushAll()
			require.Empty(t, get(t, c, "k"))
		})
	}
}

// In-process keys must expire by the clock: leases rest on it.
func TestInProcessRedisExpiresKeys(t *testing.T) {
	t.Parallel()
	c := embeddedtest.RunMiniRedis(t).Client()
	require.NoError(t, c.Set(t.Context(), "k", "v", 50*time.Millisecond).Err())
	require.Eventually(t, func() bool { return errors.Is(c.Get(t.Context(), "k").Err(), redis.Nil) }, 5*time.Second, 10*time.Millisecond)
}

// get reads a key; a missing one is "".
func get(t *testing.T, c *redis.Client, key string) string {
	t.Helper()
	v, err := c.Get(t.Context(), key).Result()
	if err != nil {
		require.ErrorIs(t, err, redis.Nil)
	}
	return v
}
