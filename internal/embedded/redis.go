package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

// stopGrace is how long the child may take to sync and end.
const stopGrace = 5 * time.Second

// RedisOptions says where the embedded Redis stores.
type RedisOptions struct {
	// Dir is the data directory; Redis stores under Dir/redis.
	Dir string
	// Log gets restarts of the child and the notice of an ephemeral Redis.
	Log zerolog.Logger
	// InProcess asks for the in-process Redis although a binary may be there.
	InProcess bool
}

// Redis is a running Redis: a supervised child, or in process and ephemeral.
type Redis struct {
	url      string
	kind     string
	why      string // why it is ephemeral; "" for a child
	restarts atomic.Int64

	mini *miniredis.Miniredis // in process only

	// The rest is of the child only.
	cancel context.CancelFunc // asks the supervisor to stop the child
	done   chan struct{}      // closed by the supervisor at its end
	opt    redisproc.Options
	claim  claim
	log    zerolog.Logger
}

// StartRedis starts valkey-server or redis-server as a child and returns when it
// answers; without one on PATH it starts an ephemeral Redis in process, which is
// enough because JetStream is the record: losing it costs decisions and delay,
// never a result. ctx bounds the start only.
func StartRedis(ctx context.Context, opt RedisOptions) (*Redis, error) {
	if opt.InProcess {
		return startInProcess("asked for", opt.Log)
	}
	bin, err := redisproc.Find(ctx)
	if errors.Is(err, redisproc.ErrNotFound) {
		return startInProcess(redisproc.ErrNotFound.Error(), opt.Log)
	}
	if err != nil {
		return nil, err
	}
	return startChild(ctx, bin, opt)
}

// startChild locks the directory, starts the first child and its supervisor.
func startChild(ctx context.Context, bin redisproc.Binary, opt RedisOptions) (*Redis, error) {
	c, err := claimDir(opt.Dir, "redis")
	if err != nil {
		return nil, err
	}
	socket, err := redisproc.SocketPath(c.path)
	if err != nil {
		return nil, errors.Join(err, c.lock.release())
	}
	r := &Redis{
		url:   (&url.URL{Scheme: "redis-socket", Path: socket}).String(),
		kind:  bin.String(),
		done:  make(chan struct{}),
		opt:   redisproc.Options{Binary: bin.Path, Dir: c.path, Socket: socket},
		claim: c,
		log:   opt.Log,
	}
	first, err := redisproc.Start(ctx, r.opt)
	if err != nil {
		err = fmt.Errorf("embedded Redis: %w; if its append-only file is broken, move %s away (results are in NATS, nothing is lost)", err, c.path)
		return nil, errors.Join(err, c.lock.release())
	}
	// The child outlives the start's context; Close ends it.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	go r.supervise(life, first)
	return r, nil
}

// startInProcess runs Redis inside this process, on loopback behind a password
// that only this process knows.
func startInProcess(why string, log zerolog.Logger) (*Redis, error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // keys expire by the clock; by default nothing ever does
	password := rand.Text()
	m.RequireAuth(password)
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("in-process Redis: %w", err)
	}
	u := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: m.Addr(), Path: "/0"}
	log.Warn().Str("why", why).Msg("redis is in process and ephemeral: a restart forgets limits, journal and cache; results are safe in nats")
	return &Redis{url: u.String(), kind: "in-process", why: why, mini: m}, nil
}

// URL is what to connect to. It may hold a password: never log it.
func (r *Redis) URL() string { return r.url }

// Kind is for status pages: "valkey-server 8.0.1" or "in-process".
func (r *Redis) Kind() string { return r.kind }

// Ephemeral reports whether a restart forgets everything, and why that is so.
func (r *Redis) Ephemeral() (why string, ephemeral bool) { return r.why, r.mini != nil }

// Fresh reports whether this start made the directory: no child before kept anything
// there. A Redis in process never is, for it does not know what the last one forgot.
func (r *Redis) Fresh() bool { return r.claim.fresh }

// Restarts counts how often the child had to be started again.
func (r *Redis) Restarts() int64 { return r.restarts.Load() }

// Close stops Redis and waits until it is gone; the data directory is free
// afterwards. Close everything that uses it first.
func (r *Redis) Close() error {
	if r.mini != nil {
		r.mini.Close()
		return nil
	}
	r.cancel()
	<-r.done
	redisproc.RemoveSocket(r.opt.Socket, r.opt.Dir)
	return r.claim.lock.release()
}
