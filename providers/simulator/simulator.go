// Package simulator is the upstreams' wire protocols as a server: what a client
// may meet in a night (limits, latency, error mixes, poison, balance, outages,
// receipts that come late or never) in seconds and for nothing. In comes a
// Profile, out go answers, receipts, and a Ledger of everything that was asked.
// Close stops it and waits for its calls and receipts.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Where the upstreams stand: the base_url of each is URL() and its path.
const (
	QXTPath       = "/qxt"
	PortcheckPath = "/portcheck"
	TelnyxPath    = "/telnyx/v2"
	NXCloudPath   = "/nxcloud"
)

// Server is a running simulator.
type Server struct {
	http      *http.Server
	url       string
	served    chan error
	closing   chan struct{} // ends calls that hang or are slow
	upstreams map[Upstream]*upstream
	pusher    *pusher

	mu      sync.Mutex
	profile *Profile // never changed, only replaced
	epoch   time.Time
}

// Start serves profile on listen ("127.0.0.1:0" picks a port) until Close. It
// outlives ctx.
func Start(ctx context.Context, listen string, profile Profile) (*Server, error) {
	if err := profile.validate(); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("simulator: cannot listen on %s: %w; choose another with --listen", listen, err)
	}
	s := &Server{
		url:    "http://" + ln.Addr().String(),
		served: make(chan error, 1), closing: make(chan struct{}), upstreams: map[Upstream]*upstream{},
	}
	mux := http.NewServeMux()
	s.controlRoutes(mux)
	s.qxtRoutes(mux)
	s.portcheckRoutes(mux)
	s.telnyxRoutes(mux)
	s.nxcloudRoutes(context.WithoutCancel(ctx), mux)
	s.SetProfile(profile)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.http.Serve(ln) }()
	return s, nil
}

// add makes one of the upstreams, which takes maxBatch numbers a call.
func (s *Server) add(name Upstream, maxBatch int) *upstream {
	u := &upstream{name: name, server: s, ledger: newLedger(maxBatch, prefixOf(name))}
	s.upstreams[name] = u
	return u
}

// URL is the server's address, without a path.
func (s *Server) URL() string { return s.url }

// BaseURL is the address that a provider of u is configured with.
func (s *Server) BaseURL(u Upstream) string {
	switch u {
	case UpstreamQXT:
		return s.url + QXTPath
	case UpstreamPortcheck:
		return s.url + PortcheckPath
	case UpstreamTelnyx:
		return s.url + TelnyxPath
	case UpstreamNXCloud:
		return s.url + NXCloudPath
	}
	return s.url
}

// Ledger is what the simulated QXT saw.
func (s *Server) Ledger() *Ledger { return s.LedgerOf(UpstreamQXT) }

// LedgerOf is what one of Upstreams saw.
func (s *Server) LedgerOf(u Upstream) *Ledger { return s.upstreams[u].ledger }

// SetProfile changes the behaviour for the calls to come. Balances, limits and
// the clock of outages and bursts start anew; ledgers and submitted batches stay.
func (s *Server) SetProfile(p Profile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profile = &p
	s.epoch = time.Now()
	for _, u := range s.upstreams {
		u.set(&p)
	}
}

// Reset empties the ledgers and starts the clock of outages and bursts anew.
// Balances, limits and submitted batches stay.
func (s *Server) Reset() {
	s.mu.Lock()
	s.epoch = time.Now()
	s.mu.Unlock()
	for _, u := range s.upstreams {
		u.ledger.Reset()
	}
}

// Close ends open calls and receipts and waits until the server has stopped.
func (s *Server) Close(ctx context.Context) error {
	close(s.closing)
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if serr := <-s.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	s.pusher.close()
	return err
}

func (s *Server) snapshot() *Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.profile
}

// elapsed is the time that outages and bursts are told in.
func (s *Server) elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.epoch)
}

// wait lets d pass; false if the server closes meanwhile. A client that leaves
// does not end it: an upstream goes on working, and charges.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closing:
		return false
	}
}

// hang holds the call until the client gives up or the server closes.
func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closing:
	}
}
