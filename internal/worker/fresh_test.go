package worker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

// TestFirstRunEver: only who has just made all that the fleet keeps knows that no call
// was made before.
func TestFirstRunEver(t *testing.T) {
	const epoch = "lookupq:keys:{qxt}:epoch"
	dir := t.TempDir()
	declared := func() bool {
		w := &Worker{
			opt: Options{Embedded: &EmbeddedOptions{DataDir: dir}}, log: zerolog.Nop(),
			cfg: &Config{NATS: NATSConfig{URL: "nats://127.0.0.1:0"}, Providers: map[string]Provider{"px": {Type: "qxt"}}},
		}
		defer func() {
			for _, c := range slices.Backward(w.undo) {
				require.NoError(t, c.f(t.Context()))
			}
		}()
		require.NoError(t, w.openNATS(t.Context()))
		require.NoError(t, w.openRedis(t.Context()))
		_, err := w.rdb.GetDel(t.Context(), epoch).Result()
		if !errors.Is(err, redis.Nil) {
			require.NoError(t, err)
		}
		return err == nil
	}
	_, err := redisproc.Find(t.Context())
	require.Equal(t, err == nil, declared(), "a first run, and a Redis that keeps its data")
	require.False(t, declared(), "the second run")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "redis")))
	require.False(t, declared(), "only Redis is new")

	dir = t.TempDir()
	t.Setenv("PATH", t.TempDir())
	require.False(t, declared(), "a Redis that forgets")
}
