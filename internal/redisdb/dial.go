package redisdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// firstPause and longestPause bound how often a dead address is dialled:
	// after a failure at least 100 ms pass, and in the long run one second.
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
)

// dialFunc is the dialer as go-redis calls it, in parallel.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// netDialer connects over TCP, unix sockets or TLS.
func netDialer(conf *tls.Config) dialFunc {
	plain := &net.Dialer{Timeout: dialTimeout}
	if conf == nil {
		return plain.DialContext
	}
	secure := &tls.Dialer{NetDialer: plain, Config: conf}
	return secure.DialContext
}

// gate keeps dead addresses from being dialled by every caller at once: after a
// failure one attempt a pause is made, and everyone else gets its error at once.
type gate struct {
	next dialFunc

	mu    sync.Mutex
	addrs map[string]*door // only addresses whose last attempt failed
}

// door is the state of one failing address, under gate.mu.
type door struct {
	until  time.Time
	pause  time.Duration
	trying bool
	err    error
}

// newGate wraps next.
func newGate(next dialFunc) *gate {
	return &gate{next: next, addrs: map[string]*door{}}
}

// dial connects, or fails at once while the address is known to be dead.
func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := g.enter(addr); err != nil {
		return nil, err
	}
	conn, err := g.next(ctx, network, addr)
	g.leave(addr, err)
	return conn, err
}

// enter admits the caller, or tells why the address is not tried now.
func (g *gate) enter(addr string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.addrs[addr]
	if d == nil {
		return nil
	}
	if d.trying || time.Now().Before(d.until) {
		return fmt.Errorf("%w (not tried again yet)", d.err)
	}
	d.trying = true
	return nil
}

// leave notes how the attempt ended.
func (g *gate) leave(addr string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		delete(g.addrs, addr)
		return
	}
	d := g.addrs[addr]
	if d == nil {
		d = &door{pause: firstPause}
		g.addrs[addr] = d
	} else if d.trying {
		d.pause = min(2*d.pause, longestPause)
	}
	d.trying, d.err, d.until = false, err, time.Now().Add(d.pause)
}
