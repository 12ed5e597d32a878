package redisdb_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/internal/redisdb/redisdbtest"
)

// servers are the kinds of Redis that each test should run on.
func servers(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"real": embeddedtest.RunRedis(t).URL(),
		"mini": embeddedtest.RunMiniRedis(t).URL(),
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	all := servers(t)
	all["cluster"] = redisdbtest.RunCluster(t)
	all["sentinel"] = redisdbtest.RunSentinel(t)
	for name, url := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, err := redisdb.Open(t.Context(), url)
			require.NoError(t, err)
			defer func() { require.NoError(t, rdb.Close()) }()
			require.NoError(t, rdb.Set(t.Context(), "a", "b", 0).Err())
			require.Equal(t, "b", rdb.Get(t.Context(), "a").Val())
		})
	}
}

func TestOpenFaults(t *testing.T) {
	t.Parallel()
	locked := embeddedtest.RunRedis(t)
	require.NoError(t, locked.Client().ConfigSet(t.Context(), "requirepass", "hush").Err())
	tests := []struct{ name, url, want string }{
		{"nobody there", "redis://:hush@127.0.0.1:1/0", "cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused; start Redis"},
		{"no socket", "redis-socket://" + filepath.Join(t.TempDir(), "none"), "no such file"},
		{"not a URL", "127.0.0.1:6379", "use one of redis://"},
		{"no password", locked.URL(), "put the user and password into the URL"},
		{"no such database", embeddedtest.RunRedis(t).URL() + "?db=999", "choose a database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := redisdb.Open(ctx, tt.url)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "redis.url")
			require.NotContains(t, err.Error(), "hush")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	server := embeddedtest.RunRedis(t)
	if !server.Real() {
		t.Skip("needs redis-server on PATH")
	}
	rdb := server.Client()
	got, err := redisdb.Inspect(t.Context(), rdb)
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+`, got.Version)
	require.Equal(t, "noeviction", got.Policy)
	require.True(t, got.Persistent)
	require.Empty(t, got.Warnings)

	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	require.NoError(t, rdb.ConfigSet(t.Context(), "appendonly", "no").Err())
	got, err = redisdb.Inspect(t.Context(), rdb)
	require.NoError(t, err)
	require.Len(t, got.Warnings, 2)
	require.Contains(t, got.Warnings[0], "set maxmemory-policy noeviction")
	require.Contains(t, got.Warnings[1], "set appendonly yes")

	server.Kill()
	_, err = redisdb.Inspect(t.Context(), rdb)
	require.Error(t, err)
}

// TestInspectToleratesSilence: miniredis tells next to nothing, and that is no fault.
func TestInspectToleratesSilence(t *testing.T) {
	t.Parallel()
	got, err := redisdb.Inspect(t.Context(), embeddedtest.RunMiniRedis(t).Client())
	require.NoError(t, err)
	require.Empty(t, got.Version)
	require.Empty(t, got.Warnings)
}
