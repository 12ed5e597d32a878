// Package redisdbtest runs Redis in the shapes that only some tests need: a
// cluster and a sentinel with its master. Everything it starts ends with the
// test. A machine without redis-server skips such a test and says so.
package redisdbtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// startTimeout is for a server on a busy machine; it takes about 0.1 s.
const startTimeout = 20 * time.Second

// RunCluster starts a cluster of one node that owns every slot, and returns its
// URL. One node is enough to refuse keys of different slots.
func RunCluster(t *testing.T) string {
	t.Helper()
	port, bus := freePort(t), freePort(t)
	addr := run(t, port, "cluster-enabled yes\ncluster-port "+strconv.Itoa(bus)+"\n")
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	await(t, func(ctx context.Context) bool {
		info, err := c.ClusterInfo(ctx).Result()
		return err == nil && len(info) > 16 && info[:16] == "cluster_state:ok"
	})
	return "redis-cluster://" + addr
}

// RunSentinel starts a master called "main" and one sentinel that watches it, and
// returns their URL.
func RunSentinel(t *testing.T) string {
	t.Helper()
	master := freePort(t)
	run(t, master, "")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	port := freePort(t)
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %d 1\n", port, master)
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	spawn(t, "", conf, "--sentinel")
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	awaitPong(t, addr)
	return "redis-sentinel://" + addr + "/0?master=main"
}

// run starts a server on a TCP port and waits for it.
func run(t *testing.T, port int, more string) string {
	t.Helper()
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsave \"\"\nloglevel warning\n%s", port, t.TempDir(), more)
	spawn(t, conf, "-")
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	awaitPong(t, addr)
	return addr
}

// spawn starts redis-server; the test's end kills it.
func spawn(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("needs redis-server on PATH")
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...) //nolint:gosec // a test's own server
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, err = io.WriteString(in, stdin)
	require.NoError(t, err)
	require.NoError(t, in.Close())
}

// awaitPong waits until the server at addr answers.
func awaitPong(t *testing.T, addr string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = c.Close() }()
	await(t, func(ctx context.Context) bool { return c.Ping(ctx).Err() == nil })
}

// await polls until ready.
func await(t *testing.T, ready func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, "redis-server does not get ready")
		}
	}
}

// freePort asks the kernel for a port that nobody uses.
func freePort(t *testing.T) int {
	t.Helper()
	var conf net.ListenConfig
	l, err := conf.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return addr.Port
}
