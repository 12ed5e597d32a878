package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded"
	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

// patience bounds every wait; it is far above what any step takes.
const patience = 15 * time.Second

// needBinary skips what only a real server can show; `make test` installs one
// where it may and says in its last lines when it could not.
func needBinary(t *testing.T) redisproc.Binary {
	t.Helper()
	bin, err := redisproc.Find(t.Context())
	if errors.Is(err, redisproc.ErrNotFound) {
		t.Skip("needs valkey-server or redis-server on PATH: run `make test`, or install one")
	}
	require.NoError(t, err)
	return bin
}

// startRedis starts an embedded Redis in dir. The test closes it.
func startRedis(t *testing.T, dir string) *embedded.Redis {
	t.Helper()
	r, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{Dir: dir, Log: zerolog.Nop()})
	require.NoError(t, err)
	return r
}

// client opens a client to a redis-socket or redis URL.
func client(t *testing.T, raw string) *redis.Client {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	opt := &redis.Options{Network: "unix", Addr: u.Path}
	if u.Scheme == "redis" {
		opt, err = redis.ParseURL(raw)
		require.NoError(t, err)
	}
	opt.MaxRetries, opt.DialerRetries = -1, 1 // a retried SHUTDOWN would end the next child too
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestChildKeepsDataOverCloseAndStart(t *testing.T) {
	t.Parallel()
	bin := needBinary(t)
	dir := t.TempDir()
	r := startRedis(t, dir)
	require.Equal(t, bin.String(), r.Kind())
	require.True(t, r.Fresh())
	_, ephemeral := r.Ephemeral()
	require.False(t, ephemeral)
	require.NoError(t, client(t, r.URL()).Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, r.Close())
	u, err := url.Parse(r.URL())
	require.NoError(t, err)
	require.NoFileExists(t, u.Path, "Close must take the socket with it")

	r = startRedis(t, dir)
	require.False(t, r.Fresh())
	require.Equal(t, "v", client(t, r.URL()).Get(t.Context(), "k").Val())
	require.NoError(t, r.Close())
}

// Leases, journal and cache must not be evicted, and the server must have an
// append-only file; both are what design and README promise.
func TestChildConfiguration(t *testing.T) {
	t.Parallel()
	needBinary(t)
	r := startRedis(t, t.TempDir())
	c := client(t, r.URL())
	for name, want := range map[string]string{"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "port": "0"} {
		require.Equal(t, want, c.ConfigGet(t.Context(), name).Val()[name], name)
	}
	require.NoError(t, r.Close())
}

func TestDirectoryHasOneUser(t *testing.T) {
	t.Parallel()
	needBinary(t)
	dir := t.TempDir()
	r := startRedis(t, dir)
	_, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{Dir: dir, Log: zerolog.Nop()})
	require.ErrorContains(t, err, "in use by another process (pid ")
	require.ErrorContains(t, err, "--data-dir")
	require.NoError(t, r.Close())
	require.NoError(t, startRedis(t, dir).Close(), "Close must free the directory")
}

func TestChildThatDiesComesBackWithItsData(t *testing.T) {
	t.Parallel()
	needBinary(t)
	r := startRedis(t, t.TempDir())
	c := client(t, r.URL())
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	_ = c.ShutdownNoSave(t.Context()).Err() // the reply is the connection's end
	require.Eventually(t, func() bool { return r.Restarts() == 1 && c.Get(t.Context(), "k").Val() == "v" },
		patience, 10*time.Millisecond)
	require.NoError(t, r.Close())
}

// Close while the supervisor waits to start a child again must not hang or leave one.
func TestCloseDuringRestart(t *testing.T) {
	t.Parallel()
	needBinary(t)
	r := startRedis(t, t.TempDir())
	c := client(t, r.URL())
	_ = c.ShutdownNoSave(t.Context()).Err()
	require.NoError(t, r.Close())
	require.Error(t, c.Ping(t.Context()).Err())
}

// SIGKILL of the worker must end its Redis, or the next worker meets two servers
// on one append-only file.
func TestKilledParentTakesTheChildAlong(t *testing.T) {
	t.Parallel()
	needBinary(t)
	dir := t.TempDir()
	c, kill := redisInAnotherProcess(t, dir)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	kill()
	require.Eventually(t, func() bool { return c.Ping(t.Context()).Err() != nil }, patience, 10*time.Millisecond)

	r := startRedis(t, dir)
	require.Equal(t, "v", client(t, r.URL()).Get(t.Context(), "k").Val(), "data must outlive the kill")
	require.NoError(t, r.Close())
}

// redisInAnotherProcess runs this test binary as the parent of a Redis; kill is SIGKILL.
func redisInAnotherProcess(t *testing.T, dir string) (c *redis.Client, kill func()) {
	t.Helper()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), helperDir+"="+dir)
	parent.Stderr = os.Stderr
	_, err := parent.StdinPipe()
	require.NoError(t, err)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	kill = func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the parent process did not come up")
	return client(t, strings.TrimSpace(line)), kill
}

// An orphan of a parent that died where no parent-death signal exists.
func TestOrphanIsEvicted(t *testing.T) {
	t.Parallel()
	bin := needBinary(t)
	dir := t.TempDir()
	own := filepath.Join(dir, "redis")
	require.NoError(t, os.MkdirAll(own, 0o700))
	socket, err := redisproc.SocketPath(own)
	require.NoError(t, err)
	orphan, err := redisproc.Start(t.Context(), redisproc.Options{Binary: bin.Path, Dir: own, Socket: socket})
	require.NoError(t, err)
	t.Cleanup(orphan.Kill)

	r := startRedis(t, dir)
	select {
	case <-orphan.Done():
	case <-time.After(patience):
		require.Fail(t, "the orphan still runs")
	}
	require.NoError(t, client(t, r.URL()).Ping(t.Context()).Err())
	require.NoError(t, r.Close())
}

// A unix socket's path ends at about 100 characters; the data directory may be deeper.
func TestDeepDirectory(t *testing.T) {
	t.Parallel()
	needBinary(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	r := startRedis(t, dir)
	u, err := url.Parse(r.URL())
	require.NoError(t, err)
	require.LessOrEqual(t, len(u.Path), 100)
	info, err := os.Stat(filepath.Dir(u.Path))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "nobody else may reach the socket")
	require.NoError(t, client(t, r.URL()).Ping(t.Context()).Err())
	require.NoError(t, r.Close())
	require.NoDirExists(t, filepath.Dir(u.Path), "the short folder goes with the server")
}

func TestBrokenFileIsAnErrorWithARemedy(t *testing.T) {
	t.Parallel()
	needBinary(t)
	dir := t.TempDir()
	aof := filepath.Join(dir, "redis", "appendonlydir")
	require.NoError(t, os.MkdirAll(aof, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(aof, "appendonly.aof.manifest"), []byte("rubbish\n"), 0o600))
	_, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{Dir: dir, Log: zerolog.Nop()})
	require.ErrorContains(t, err, "ended at start")
	require.ErrorContains(t, err, "move "+filepath.Join(dir, "redis")+" away")
	require.NoError(t, os.RemoveAll(aof))
	require.NoError(t, startRedis(t, dir).Close(), "the failed start must free the directory")
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	needBinary(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := embedded.StartRedis(ctx, embedded.RedisOptions{Dir: t.TempDir(), Log: zerolog.Nop()})
	require.ErrorIs(t, err, context.Canceled)
}

func TestInProcessRedis(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	r, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{InProcess: true, Log: zerolog.New(&log)})
	require.NoError(t, err)
	why, ephemeral := r.Ephemeral()
	require.True(t, ephemeral)
	require.False(t, r.Fresh(), "the one before may have forgotten anything")
	require.NotEmpty(t, why)
	require.Contains(t, log.String(), "ephemeral")
	c := client(t, r.URL())
	require.NoError(t, c.Set(t.Context(), "k", "v", 20*time.Millisecond).Err())
	require.Eventually(t, func() bool { return errors.Is(c.Get(t.Context(), "k").Err(), redis.Nil) }, patience, 5*time.Millisecond)

	u, err := url.Parse(r.URL())
	require.NoError(t, err)
	require.NotContains(t, log.String(), u.User.String(), "the log shows the password")
	require.Error(t, client(t, "redis://"+u.Host).Ping(t.Context()).Err(), "other users of this machine must not get in")
	require.NoError(t, r.Close())
}

// Without a usable binary the worker still starts; an outdated one is not used.
func TestFallsBackInProcess(t *testing.T) {
	old := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(old, "redis-server"), []byte("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0'\n"), 0o700))
	for name, path := range map[string]string{"none": t.TempDir(), "too old": old} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", path)
			r := startRedis(t, t.TempDir())
			why, ephemeral := r.Ephemeral()
			require.True(t, ephemeral)
			require.Contains(t, why, "6.2")
			require.NoError(t, client(t, r.URL()).Ping(t.Context()).Err())
			require.NoError(t, r.Close())
		})
	}
}
