package worker

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
)

// static is the status page: it draws what /v1/status says.
//
//go:embed static
var static embed.FS

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	// answerTimeout bounds what a status or readiness question may ask of NATS and Redis.
	answerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
)

// HTTPOptions is what the worker's HTTP server serves.
type HTTPOptions struct {
	// Listen is host:port; port 0 is any free one, "" serves nothing.
	Listen string
	// Status is encoded as JSON for /v1/status. Called in parallel.
	Status func(ctx context.Context) any
	// Ready are the conditions of /readyz; all must hold. Called in parallel.
	Ready func(ctx context.Context) []Check
	// Metrics serves /metrics.
	Metrics http.Handler
	Log     zerolog.Logger
}

// HTTPServer serves health, readiness, metrics and status until Close.
type HTTPServer struct {
	srv  *http.Server
	addr string
	done chan error // the serving goroutine's end
}

// StartHTTP listens and serves. It outlives ctx, so that a stopping worker still
// tells its state; Close ends it. A busy address is an error that says so.
func StartHTTP(ctx context.Context, opt HTTPOptions) (*HTTPServer, error) {
	return serve(ctx, place{"http.listen", opt.Listen}, bounds{idle: idleTimeout}, func() http.Handler { return newMux(opt) }, opt.Log)
}

// bounds are what a server allows its clients; zero is no bound, or Go's own.
type bounds struct {
	connections, headerBytes int
	idle, write              time.Duration
}

// place is where a server listens: an address ("" is nowhere), and the field of the
// configuration that names it.
type place struct{ field, listen string }

// exposed are the bounds of a server that anybody can reach: receipts are small
// and come from few clients. File descriptors are also needed for NATS and Redis.
func exposed() bounds {
	return bounds{connections: 512, headerBytes: 16 << 10, idle: 10 * time.Second, write: 15 * time.Second}
}

// serve listens, and serves what handler makes.
func serve(ctx context.Context, at place, b bounds, handler func() http.Handler, log zerolog.Logger) (*HTTPServer, error) {
	field, listen := at.field, at.listen
	if listen == "" {
		return &HTTPServer{}, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf(`%s: %s is in use; stop what listens there, or set %s to another address ("" for none)`, field, listen, field)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if b.connections > 0 {
		l = netutil.LimitListener(l, b.connections)
	}
	life := context.WithoutCancel(ctx)
	s := &HTTPServer{
		addr: l.Addr().String(),
		done: make(chan error, 1),
		srv: &http.Server{
			Handler:           handler(),
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      b.write,
			IdleTimeout:       b.idle,
			MaxHeaderBytes:    b.headerBytes,
			BaseContext:       func(net.Listener) context.Context { return life },
		},
	}
	go func() { s.done <- s.srv.Serve(l) }()
	log.Info().Str("address", s.addr).Str("for", field).Msg("http listening")
	return s, nil
}

// Addr is host:port, "" if nothing is served.
func (s *HTTPServer) Addr() string { return s.addr }

// Close lets requests finish until ctx ends, and waits for the server.
func (s *HTTPServer) Close(ctx context.Context) error {
	if s.srv == nil {
		return nil
	}
	err := s.srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.srv.Close())
	}
	if end := <-s.done; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// newMux is every address of http.listen.
func newMux(opt HTTPOptions) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", opt.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		// The process runs and answers: restarting it would mend nothing else.
		writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		defer cancel()
		writeReady(w, opt.Ready(ctx))
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		defer cancel()
		writeJSON(w, http.StatusOK, opt.Status(ctx))
	})
	mux.HandleFunc("GET /{$}", page("status.html"))
	mux.HandleFunc("GET /static/status.css", page("status.css"))
	mux.HandleFunc("GET /static/status.js", page("status.js"))
	return mux
}

// writeReady answers 200 if every check holds, else 503, with all of them.
func writeReady(w http.ResponseWriter, checks []Check) {
	code := http.StatusOK
	for _, c := range checks {
		if !c.OK {
			code = http.StatusServiceUnavailable
		}
	}
	writeJSON(w, code, map[string]any{"ready": code == http.StatusOK, "checks": checks})
}

// writeJSON encodes v first, so that a failure is a 500 and not half an answer.
func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "status cannot be encoded: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a reader that left needs no answer
}

// page serves one file of the status page.
func page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, static, "static/"+name)
	}
}
