// Package embeddedtest gives tests their own NATS and Redis. A test calls RunNATS
// or RunRedis and gets a server in a temporary directory that ends with the test;
// both can be stopped and started again on the same data and address, which is how
// the fault tests work. Nothing here needs a variable or flag: without a Redis
// binary the tests run on an in-process one, and Redis.Real says which it is.
package embeddedtest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded"
)

// relaxedSync: tests do not pull the plug, and syncing every message would make
// them fifty times slower.
const relaxedSync = 2 * time.Minute

// NATS is a test's own nats-server with JetStream, in process. Its methods are for
// the test's goroutine.
type NATS struct {
	t      testing.TB
	dir    string
	listen string
	server *embedded.NATS // nil while stopped
}

// RunNATS starts a server on a free port of loopback; it stops with the test.
func RunNATS(tb testing.TB) *NATS {
	tb.Helper()
	n := &NATS{t: tb, dir: tb.TempDir(), listen: "127.0.0.1:0"}
	n.Start()
	tb.Cleanup(n.Stop)
	return n
}

// URL is what to connect to; it stays the same over Stop and Start.
func (n *NATS) URL() string { return "nats://" + n.listen }

// Addr is host:port of the server.
func (n *NATS) Addr() string { return n.listen }

// Start starts the server again on the same data and port.
func (n *NATS) Start() {
	n.t.Helper()
	// Cleanups run after t.Context() has ended, and Start may be called in one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.t.Context()), time.Minute)
	defer cancel()
	server, err := embedded.StartNATS(ctx, embedded.NATSOptions{
		Dir: n.dir, Listen: n.listen, SyncInterval: relaxedSync, Log: zerolog.Nop(),
	})
	require.NoError(n.t, err)
	n.server = server
	n.listen = server.ClientURL()[len("nats://"):]
}

// Stop shuts the server down and waits; clients see their connection break.
// Stopping a stopped server does nothing.
func (n *NATS) Stop() {
	n.t.Helper()
	if n.server == nil {
		return
	}
	require.NoError(n.t, n.server.Close())
	n.server = nil
}

// Restart is Stop and Start.
func (n *NATS) Restart() {
	n.t.Helper()
	n.Stop()
	n.Start()
}

// Connect opens a connection that reconnects for ever, fast, and is closed before
// the server is.
func (n *NATS) Connect() *nats.Conn {
	n.t.Helper()
	nc, err := nats.Connect(n.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(n.t, err)
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	n.t.Cleanup(func() {
		nc.Close()
		<-closed // its goroutines are gone, as goleak wants
	})
	return nc
}

// FreeAddr is an address of loopback where nothing listens now. Somebody may take
// it before the caller does: for tests of refused connections and of ports given
// to other processes.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, l.Close())
	return l.Addr().String()
}
