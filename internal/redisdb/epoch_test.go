package redisdb_test

import (
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/redisdb"
)

const epochKey = "lookupq:{x}:epoch"

func syncEpoch(t *testing.T, rdb redis.UniversalClient) redisdb.Epoch {
	t.Helper()
	e, err := redisdb.SyncEpoch(t.Context(), rdb, epochKey)
	require.NoError(t, err)
	return e
}

// TestSyncEpoch: one epoch for all who ask, on Redis's clock, until the data is lost.
func TestSyncEpoch(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]*embeddedtest.Redis{
		"real": embeddedtest.RunRedis(t), "mini": embeddedtest.RunMiniRedis(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := server.Client()
			now, err := rdb.Time(t.Context()).Result()
			require.NoError(t, err)
			var wg sync.WaitGroup
			seen := make([]redisdb.Epoch, 8)
			for i := range seen {
				wg.Go(func() { seen[i], _ = redisdb.SyncEpoch(t.Context(), rdb, epochKey) })
			}
			wg.Wait()
			first := seen[0]
			require.Len(t, first.ID, 16)
			require.WithinDuration(t, now, first.Created, 5*time.Second)
			for _, e := range seen {
				require.Equal(t, first, e)
			}

			value, err := rdb.Get(t.Context(), epochKey).Result()
			require.NoError(t, err)
			parsed, err := redisdb.ParseEpoch(value)
			require.NoError(t, err)
			require.Equal(t, first, parsed)

			server.FlushAll()
			second := syncEpoch(t, rdb)
			require.NotEqual(t, first.ID, second.ID)
			require.False(t, second.Created.Before(first.Created))
			require.Equal(t, second, syncEpoch(t, rdb))
		})
	}
}

// TestSyncEpochAfterRestart: another process with the same data is a new epoch,
// for its last writes may be missing.
func TestSyncEpochAfterRestart(t *testing.T) {
	t.Parallel()
	server := embeddedtest.RunRedis(t)
	if !server.Real() {
		t.Skip("needs redis-server on PATH: the in-process one has no run_id")
	}
	rdb := server.Client()
	first := syncEpoch(t, rdb)
	require.NoError(t, rdb.Set(t.Context(), "kept", 1, 0).Err())
	server.Restart()
	require.Equal(t, int64(1), rdb.Exists(t.Context(), "kept").Val(), "the data came back")
	second := syncEpoch(t, rdb)
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, second, syncEpoch(t, rdb))
}

func TestSyncEpochFaults(t *testing.T) {
	t.Parallel()
	rdb := embeddedtest.RunMiniRedis(t).Client()
	// Not an epoch: replaced, as a missing one is.
	require.NoError(t, rdb.Set(t.Context(), epochKey, "garbage", 0).Err())
	require.NotEmpty(t, syncEpoch(t, rdb).ID)
	require.NoError(t, rdb.Del(t.Context(), epochKey).Err())
	require.NoError(t, rdb.SAdd(t.Context(), epochKey, "a set").Err())
	_, err := redisdb.SyncEpoch(t.Context(), rdb, epochKey)
	require.ErrorContains(t, err, "read the epoch of Redis")

	for _, v := range []string{"", "id", "id 12", "id twelve run", "a b c d"} {
		_, err := redisdb.ParseEpoch(v)
		require.Error(t, err, v)
	}
}
