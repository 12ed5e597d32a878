package keys_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers/keys"
)

// world is a Redis on the clock of a synctest bubble. Each client can be cut off.
type world struct {
	t    tb
	test *testing.T // in inBubble
	mini *miniredis.Miniredis
	// runID is which server it says it is; not set, it hides that.
	runID atomic.Value

	mu       sync.Mutex
	down     bool
	attempts int // to connect
	clients  []*client
	ends     []func() // called by close, the last first
}

// client is one process' way to Redis.
type client struct {
	redis.UniversalClient
	w     *world
	cut   bool
	deaf  atomic.Bool // sends, but hears no answer
	conns []net.Conn
}

// deafConn drops what is received while its client is deaf, until the read times out.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

// Read implements net.Conn.
func (c deafConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

// inBubble runs a test in a bubble with fake time.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.test = t
		defer w.close()
		test(w)
	})
}

func newWorld(t tb) *world {
	t.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	return &world{t: t, mini: m}
}

// info answers INFO as Redis does, which miniredis does not.
func (w *world) info(c *server.Peer, cmd string, _ ...string) bool {
	id, told := w.runID.Load().(string)
	if cmd != "INFO" || !told {
		return false
	}
	c.WriteBulk("# Server\r\nrun_id:" + id + "\r\n")
	return true
}

// named has another server process answer from now on, as it says.
func (w *world) named() { w.runID.Store(redisdb.NewEpochID()) }

// takeover has a replica answer that got nothing but the epoch.
func (w *world) takeover() {
	for _, name := range w.mini.Keys() {
		if !strings.HasSuffix(name, ":epoch") {
			w.mini.Del(name)
		}
	}
	w.named()
}

// close ends all; nothing of it may be left when the bubble ends.
func (w *world) close() {
	for _, end := range slices.Backward(w.ends) {
		end()
	}
	for _, c := range w.clients {
		_ = c.Close()
	}
	w.mini.Close()
	pause(w.t, 2*time.Second) // go-redis looks once a second whether it was closed
}

// client makes another way to Redis.
func (w *world) client() *client {
	c := &client{w: w}
	c.UniversalClient = redis.NewClient(&redis.Options{
		Addr: "mini", Dialer: c.dial, Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	w.clients = append(w.clients, c)
	return c
}

func (c *client) dial(context.Context, string, string) (net.Conn, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.attempts++
	if c.cut || c.w.down {
		return nil, errors.New("connection refused")
	}
	conn, err := c.w.mini.Dial()
	if err != nil {
		return nil, err
	}
	c.w.mini.Server().SetPreHook(c.w.info) // there is a server since the first Dial
	c.conns = append(c.conns, conn)
	return deafConn{conn, &c.deaf}, nil
}

// swallow makes the client lose the answers to what it sends.
func (c *client) swallow(on bool) { c.deaf.Store(on) }

// dials counts attempts to connect.
func (w *world) dials() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attempts
}

// holds reports whether Redis counts n leases of the provider.
func (w *world) holds(n int) bool {
	w.t.Helper()
	members, err := w.mini.ZMembers("lookupq:keys:{px}:provider:px:leases")
	return err == nil && len(members) == n
}

// jump sets Redis's clock off by d from the bubble's, for good.
func (w *world) jump(d time.Duration) {
	w.mini.ClockTTL(false) // TTLs are for cleaning up only
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	w.mini.SetTime(time.Now().Add(d))
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				w.mini.SetTime(now.Add(d))
			}
		}
	})
	w.ends = append(w.ends, func() {
		cancel()
		wg.Wait()
	})
}

// setCut breaks the client's connections and refuses new ones, or heals that.
func (c *client) setCut(cut bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.cut = cut
	c.breakConns()
}

func (c *client) breakConns() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// setDown takes Redis away from all, or brings it back.
func (w *world) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	for _, c := range w.clients {
		c.breakConns()
	}
}

// pool starts a pool with its own way to Redis, which ends with the world.
func (w *world) pool(cfg keys.Config) *keys.Pool {
	p, stop := bubblePool(w.t, w.client(), cfg)
	w.ends = append(w.ends, stop)
	return p
}

// bubblePool starts a pool in a bubble; stop ends it.
func bubblePool(t tb, rdb redis.UniversalClient, cfg keys.Config) (p *keys.Pool, stop func()) {
	t.Helper()
	p, err := keys.NewPool(rdb, cfg)
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(context.WithoutCancel(t.Context())) })
	return p, func() {
		p.Close()
		wg.Wait()
	}
}
