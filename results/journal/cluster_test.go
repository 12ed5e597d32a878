package journal_test

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

// runCluster starts a Redis Cluster of one node, which refuses what would not
// work on several.
func runCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	bin, err := redisproc.Find(t.Context())
	if err != nil {
		t.Skip("needs redis-server on PATH: the in-process one is no cluster")
	}
	addr, bus := embeddedtest.FreeAddr(t), embeddedtest.FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	_, busPort, err := net.SplitHostPort(bus)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), bin.Path, "--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes",
		"--cluster-port", busPort, "--dir", t.TempDir(), "--save", "", "--cluster-announce-ip", "127.0.0.1")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has ended it

	node := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = node.Close() }()
	args := []any{"cluster", "addslots"}
	for slot := range 16384 {
		args = append(args, slot)
	}
	require.Eventually(t, func() bool { return node.Ping(t.Context()).Err() == nil }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, node.Do(t.Context(), args...).Err())
	require.Eventually(t, func() bool {
		return node.Set(t.Context(), "x", 1, 0).Err() == nil
	}, 10*time.Second, 50*time.Millisecond)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// flushCluster empties every node.
func flushCluster(t *testing.T, rdb *redis.ClusterClient) {
	t.Helper()
	require.NoError(t, rdb.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }))
}
