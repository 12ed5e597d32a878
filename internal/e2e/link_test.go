package e2e

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// link is a network between the workers and Redis that can be cut: Redis itself
// lives on and forgets nothing.
type link struct {
	redis string // its socket
	wg    sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// linkRedis has the workers to come reach Redis through a link.
func (r *rig) linkRedis() *link {
	r.t.Helper()
	path, unix := strings.CutPrefix(r.redis.URL(), "redis-socket://")
	if !unix {
		path = strings.TrimSuffix(strings.TrimPrefix(r.redis.URL(), "redis://"), "/0")
	}
	l, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(r.t, err)
	k := &link{redis: path}
	k.wg.Go(func() { k.accept(l) })
	r.t.Cleanup(func() {
		require.NoError(r.t, l.Close())
		k.set(true)
		k.wg.Wait()
	})
	text, err := os.ReadFile(r.file)
	require.NoError(r.t, err)
	writeFile(r.t, r.file, strings.Replace(string(text), r.redis.URL(), "redis://"+l.Addr().String()+"/0", 1))
	return k
}

func (k *link) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		network := "tcp"
		if strings.HasPrefix(k.redis, "/") {
			network = "unix"
		}
		d, err := net.Dial(network, k.redis)
		if err != nil || !k.join(c, d) {
			_ = c.Close()
			continue
		}
		k.wg.Go(func() { _, _ = io.Copy(c, d); _ = c.Close() })
		k.wg.Go(func() { _, _ = io.Copy(d, c); _ = d.Close() })
	}
}

// join keeps the two ends of a connection, unless the link is cut.
func (k *link) join(c, d net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cut {
		_ = d.Close()
		return false
	}
	k.conns = append(k.conns, c, d)
	return true
}

func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	for _, c := range k.conns {
		_ = c.Close()
	}
	k.conns = nil
}

// TestCutOffFromRedis: what a worker published while the journal could not be told
// is neither published nor paid for again by its successor.
func TestCutOffFromRedis(t *testing.T) {
	for name, leave := range map[string]func(*process){
		"clean stop": (*process).terminate,
		"killed":     (*process).kill,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ackWait)
			k := r.linkRedis()
			r.publish(12_000, 500)
			first := r.startWorker()
			r.asked(3_000)
			k.set(true)
			<-time.After(2 * time.Second) // what was on the wire is published
			leave(first)
			k.set(false)
			second := r.startWorker()
			r.drained(time.Minute)
			second.terminate()
			r.verify(0)
		})
	}
}
