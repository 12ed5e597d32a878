// Package simulator is the upstreams' wire protocols as a server: what a client
// may meet in a night (limits, latency, error mixes, poison, balance, outages) in
// seconds and for nothing. In comes a Profile, out go answers and a Ledger of
// everything that was asked. Close stops it and waits for its calls.
package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// QXTPath is where the simulated QXT stands: its base_url is URL() + QXTPath.
const QXTPath = "/qxt"

// Server is a running simulator.
type Server struct {
	http    *http.Server
	url     string
	started time.Time
	ledger  *Ledger
	served  chan error
	closing chan struct{} // ends calls that hang or are slow

	mu       sync.Mutex
	rng      *rand.Rand
	profile  Profile
	limiters map[string]*limiter
	balances map[string]*account
}

type account struct {
	key   Key
	calls int64
	spent int64
}

// Start serves profile on listen ("127.0.0.1:0" picks a port) until Close.
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
		url: "http://" + ln.Addr().String(), started: time.Now(), ledger: newLedger(),
		served: make(chan error, 1), closing: make(chan struct{}),
	}
	s.SetProfile(profile)
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.http.Serve(ln) }()
	return s, nil
}

// URL is the server's address, without a path.
func (s *Server) URL() string { return s.url }

// Ledger is what the server saw.
func (s *Server) Ledger() *Ledger { return s.ledger }

// SetProfile changes the behaviour for the calls to come. Balances and limits start anew.
func (s *Server) SetProfile(p Profile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profile = p
	s.rng = rand.New(rand.NewPCG(p.Seed, 1)) //nolint:gosec // repeatable faults, no secrets
	s.limiters = map[string]*limiter{}
	s.balances = map[string]*account{}
	for _, k := range p.QXT.Keys {
		s.balances[k.Key] = &account{key: k}
	}
}

// Close ends open calls and waits until the server has stopped.
func (s *Server) Close(ctx context.Context) error {
	close(s.closing)
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if serr := <-s.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.qxtRoutes(mux)
	mux.HandleFunc("GET /sim/ledger", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.ledger.Summary())
	})
	mux.HandleFunc("GET /sim/numbers", func(w http.ResponseWriter, r *http.Request) {
		least, err := strconv.ParseUint(r.FormValue("at_least"), 10, 32)
		if err != nil {
			least = 1
		}
		reply(w, s.ledger.Numbers(uint32(least)))
	})
	mux.HandleFunc("POST /sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.ledger.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /sim/profile", s.postProfile)
	return mux
}

func (s *Server) postProfile(w http.ResponseWriter, r *http.Request) {
	const maxProfile = 1 << 20
	body := make([]byte, 0, 4096)
	buf := make([]byte, 4096)
	for len(body) < maxProfile {
		n, err := r.Body.Read(buf)
		body = append(body, buf[:n]...)
		if err != nil {
			break
		}
	}
	p, err := ParseProfile(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetProfile(p)
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the client is gone: nobody to tell
}

// random draws one share in [0,1).
func (s *Server) random() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64()
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

// limiterOf returns the limiter of a key, made on first use.
func (s *Server) limiterOf(key string) *limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[key]
	if l == nil {
		limits := s.profile.QXT.Limits
		if a := s.balances[key]; a != nil {
			limits = merge(a.key.Limits, limits)
		}
		l = &limiter{limits: limits}
		s.limiters[key] = l
	}
	return l
}

func merge(l, base Limits) Limits {
	if l.Concurrency == 0 {
		l.Concurrency = base.Concurrency
	}
	if l.Rate == 0 {
		l.Rate = base.Rate
	}
	if l.NumberRate == 0 {
		l.NumberRate = base.NumberRate
	}
	if l.RetryAfter == 0 {
		l.RetryAfter = base.RetryAfter
	}
	if l.RetryAfterForm == "" {
		l.RetryAfterForm = base.RetryAfterForm
	}
	return l
}

// tooMany answers 429 in the form that the limits say.
func tooMany(w http.ResponseWriter, l Limits) {
	d := l.RetryAfter
	if d == 0 {
		d = time.Second
	}
	switch l.RetryAfterForm {
	case "", "seconds":
		w.Header().Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	case "date":
		w.Header().Set("Retry-After", time.Now().Add(d).UTC().Format(http.TimeFormat))
	case "ms":
		w.Header().Set("Retry-After-Ms", strconv.FormatInt(d.Milliseconds(), 10))
	}
	http.Error(w, "too many requests", http.StatusTooManyRequests)
}

// reset breaks the connection off.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// page is what a broken gateway says instead of JSON.
func page(size int) string {
	return "<html><body>" + strings.Repeat("upstream error ", max(1, size/15)) + "</body></html>"
}
