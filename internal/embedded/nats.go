package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// readyStep is how often a starting server is asked whether it is ready.
const readyStep = 50 * time.Millisecond

// NATSOptions says where the embedded nats-server stores and listens.
type NATSOptions struct {
	// Dir is the data directory; JetStream stores under Dir/nats.
	Dir string
	// Listen is nats.url or host:port. Port 0 is any free port (tests). A user
	// and password, or a token, in the URL are asked of every client.
	Listen string
	// SyncInterval is how often streams are synced to disk; 0 is before every
	// acknowledgement, which costs single-number jobs most of their speed.
	SyncInterval time.Duration
	// Log gets the server's notices (debug), warnings and errors.
	Log zerolog.Logger
}

// NATS is a running nats-server with JetStream.
type NATS struct {
	srv  *server.Server
	addr string
	user *url.Userinfo

	claim claim
}

// StartNATS starts the server and returns when it accepts clients and JetStream
// has recovered its streams, however long that takes; ctx ends the wait. The
// error names the remedy: busy port, directory in use, no disk.
func StartNATS(ctx context.Context, opt NATSOptions) (*NATS, error) {
	at, err := parseEndpoint(opt.Listen)
	if err != nil {
		return nil, err
	}
	if err := at.probe(); err != nil {
		return nil, err
	}
	c, err := claimDir(opt.Dir, "nats")
	if err != nil {
		return nil, err
	}
	n, err := startServer(ctx, serverOptions(at, c.path, opt.SyncInterval), opt.Log)
	if err != nil {
		_ = c.lock.release()
		return nil, fmt.Errorf("embedded NATS in %s: %w", c.path, err)
	}
	n.claim, n.user = c, at.userinfo()
	return n, nil
}

// serverOptions is the whole configuration of the embedded server.
func serverOptions(at endpoint, dir string, interval time.Duration) *server.Options {
	o := &server.Options{
		ServerName:   "lookupq-embedded",
		JetStream:    true,
		StoreDir:     dir,
		SyncAlways:   interval <= 0,
		SyncInterval: interval,
		NoSigs:       true, // signals are the worker's
	}
	at.apply(o)
	return o
}

// startServer runs the server and waits until it is ready. On an error nothing
// of it is left running.
func startServer(ctx context.Context, o *server.Options, log zerolog.Logger) (*NATS, error) {
	srv, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	out := newNATSLog(log)
	srv.SetLogger(out, false, false)
	srv.Start()
	n := &NATS{srv: srv}
	if err := waitReady(ctx, srv, out.fatal); err != nil {
		n.stop()
		return nil, err
	}
	n.addr = clientAddr(srv)
	return n, nil
}

// waitReady returns when the server is ready, has failed or ctx ends.
func waitReady(ctx context.Context, srv *server.Server, fatal <-chan string) error {
	for {
		select {
		case why := <-fatal:
			return errors.New(why)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", context.Cause(ctx))
		default:
		}
		if srv.ReadyForConnections(readyStep) {
			return nil
		}
	}
}

// clientAddr is where clients connect: the bound port, on loopback if the server
// listens on every interface.
func clientAddr(srv *server.Server) string {
	host, port, err := net.SplitHostPort(srv.Addr().String())
	if err != nil {
		return srv.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Fresh reports whether this start made the directory: there was no stream before.
func (n *NATS) Fresh() bool { return n.claim.fresh }

// ClientURL is what to connect to, with the credentials that Listen had: redact it
// before showing it.
func (n *NATS) ClientURL() string {
	return (&url.URL{Scheme: "nats", User: n.user, Host: n.addr}).String()
}

// MaxStore is how many bytes JetStream may store: three quarters of the free
// disk. The account says "unlimited", so streams are sized by this.
func (n *NATS) MaxStore() int64 {
	if c := n.srv.JetStreamConfig(); c != nil {
		return c.MaxStore
	}
	return 0
}

// Close stops the server cleanly and waits for it: about 10 ms for each durable
// consumer. The data directory is free afterwards.
func (n *NATS) Close() error {
	n.stop()
	return n.claim.lock.release()
}

// stop shuts the server down and waits for its goroutines.
func (n *NATS) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}
