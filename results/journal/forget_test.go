package journal

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
)

// TestForget: an identity that has got a new page meanwhile stays.
func TestForget(t *testing.T) {
	t.Parallel()
	rdb := embeddedtest.RunRedis(t).Client()
	require.NoError(t, rdb.HSet(t.Context(), "cur", "a", "new", "b", "old").Err())
	require.NoError(t, rdb.HSet(t.Context(), "prev", "a", "old").Err())
	s := redis.NewScript(newScripts().forget.source)
	require.NoError(t, s.Run(t.Context(), rdb, []string{"cur", "prev"}, "a", "old", "b", "old").Err())
	require.Equal(t, map[string]string{"a": "new"}, rdb.HGetAll(t.Context(), "cur").Val())
	require.Empty(t, rdb.HGetAll(t.Context(), "prev").Val())
}
