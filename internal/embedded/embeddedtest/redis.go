package embeddedtest

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

// Redis is a test's own Redis. Its methods are for the test's goroutine.
type Redis struct {
	t    testing.TB
	opt  redisproc.Options
	proc *redisproc.Process // nil while stopped; always nil in process

	mini *miniredis.Miniredis // nil with a real server
}

// RunRedis starts a real server on a unix socket where a binary is installed, else
// one in process (with a log line of the test). It stops with the test.
func RunRedis(tb testing.TB) *Redis {
	tb.Helper()
	bin, err := redisproc.Find(tb.Context())
	if errors.Is(err, redisproc.ErrNotFound) {
		tb.Logf("this test runs on an in-process Redis: %v", err)
		return RunMiniRedis(tb)
	}
	require.NoError(tb, err)
	dir := tb.TempDir()
	socket, err := redisproc.SocketPath(dir)
	require.NoError(tb, err)
	r := &Redis{t: tb, opt: redisproc.Options{Binary: bin.Path, Dir: dir, Socket: socket}}
	r.Start()
	tb.Cleanup(func() {
		r.Kill()
		redisproc.RemoveSocket(socket, dir)
	})
	return r
}

// RunMiniRedis starts the in-process Redis, with a clock that moves.
func RunMiniRedis(tb testing.TB) *Redis {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	require.NoError(tb, m.StartAddr("127.0.0.1:0"))
	tb.Cleanup(m.Close)
	return &Redis{t: tb, mini: m}
}

// Real reports whether a real server runs: one that can be killed and keeps its
// data on disk.
func (r *Redis) Real() bool { return r.mini == nil }

// URL is what redisdb.Open wants; it stays the same over restarts.
func (r *Redis) URL() string {
	if r.mini != nil {
		return "redis://" + r.mini.Addr() + "/0"
	}
	return (&url.URL{Scheme: "redis-socket", Path: r.opt.Socket}).String()
}

// Client opens a client that is closed with the test.
func (r *Redis) Client() *redis.Client {
	opt := &redis.Options{Network: "unix", Addr: r.opt.Socket}
	if r.mini != nil {
		opt = &redis.Options{Addr: r.mini.Addr()}
	}
	c := redis.NewClient(opt)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Start starts the server again on the same data and address.
func (r *Redis) Start() {
	r.t.Helper()
	if r.mini != nil {
		require.NoError(r.t, r.mini.Restart())
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), time.Minute)
	defer cancel()
	proc, err := redisproc.Start(ctx, r.opt)
	require.NoError(r.t, err)
	r.proc = proc
}

// Stop ends the server cleanly; clients see their connections break. What was
// written is there again after Start.
func (r *Redis) Stop() {
	r.t.Helper()
	if r.mini != nil {
		r.mini.Close()
		return
	}
	if r.proc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 10*time.Second)
	defer cancel()
	require.NoError(r.t, r.proc.Stop(ctx))
	r.proc = nil
}

// Kill is SIGKILL for a real server, Stop for one in process.
func (r *Redis) Kill() {
	r.t.Helper()
	if r.mini != nil {
		r.mini.Close()
		return
	}
	if r.proc != nil {
		r.proc.Kill()
		r.proc = nil
	}
}

// Restart is Stop and Start.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Stop()
	r.Start()
}

// FlushAll empties the running server, as an operator's mistake would.
func (r *Redis) FlushAll() {
	r.t.Helper()
	if r.mini != nil {
		r.mini.FlushAll()
		return
	}
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: r.opt.Socket})
	defer func() { _ = c.Close() }()
	require.NoError(r.t, c.FlushAll(context.WithoutCancel(r.t.Context())).Err())
}
