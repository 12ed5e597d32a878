package main

import (
	"context"
	"io"
	"net"
	"sync"
)

// link is the network between one worker and Redis, which can be cut: Redis
// itself lives on and forgets nothing.
type link struct {
	redis string // its socket
	ln    net.Listener
	wg    sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// startLink serves on a free port until close.
func startLink(ctx context.Context, socket string) (*link, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{redis: socket, ln: ln}
	k.wg.Go(k.accept)
	return k, nil
}

// url is how the worker reaches Redis through the link.
func (k *link) url() string { return "redis://" + k.ln.Addr().String() + "/0" }

func (k *link) close() error {
	err := k.ln.Close()
	k.set(true)
	k.wg.Wait()
	return err
}

func (k *link) accept() {
	for {
		c, err := k.ln.Accept()
		if err != nil {
			return
		}
		d, err := net.Dial("unix", k.redis) //nolint:noctx // a socket on this machine
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

// set cuts the link, or mends it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	for _, c := range k.conns {
		_ = c.Close()
	}
	k.conns = nil
}
