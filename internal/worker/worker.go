// Package worker joins what jobs, providers and results do into one process: its
// configuration, the main path (pipeline.go: start reading there), and what
// operators see of it over HTTP. What comes in is a Config; what goes out are
// results on JetStream. New builds in the order of dependency, Run works until its
// context ends and stops cleanly, Close takes everything down in reverse.
package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded"
	"github.com/lookupq/lookupq/jobs"
)

// Options of a Worker besides its Config.
type Options struct {
	Config  *Config
	Log     zerolog.Logger
	Version string
	// ID tells this worker from the others of the fleet, and from its own last life.
	ID string
	// Embedded starts NATS and, where no Redis is configured, Redis in this process.
	Embedded *EmbeddedOptions
	// Grace bounds a clean stop (default 30 s).
	Grace time.Duration
	// AckWait is how long JetStream waits for a sign of life of a claimed job: how
	// long the jobs of a worker that died rest (default 30 s). Lease is how long
	// its permits outlive it (default 15 s). Unserved is after how long jobs of a
	// route that nobody serves are dead (default 10 min), with an event after a
	// tenth of it. The same for the whole fleet; fault tests shorten them.
	AckWait, Lease, Unserved time.Duration
}

// EmbeddedOptions say where the embedded servers keep their data.
type EmbeddedOptions struct {
	DataDir string
	// SyncInterval is how long stored messages may be in the page cache only; 0
	// syncs each before it is acknowledged.
	SyncInterval time.Duration
}

const (
	defaultGrace    = 30 * time.Second
	defaultAckWait  = 30 * time.Second
	defaultUnserved = 10 * time.Minute
)

// Worker is one process of the fleet.
type Worker struct {
	opt  Options
	cfg  *Config
	log  zerolog.Logger
	born time.Time

	nc        *nats.Conn
	js        jetstream.JetStream
	rdb       redis.UniversalClient
	natsKind  string
	storage   int64           // bytes that the embedded NATS may store; 0 if it is not ours
	fresh     bool            // the embedded NATS has just been created
	redis     *embedded.Redis // nil if it is not ours
	confirm   *confirm.Confirmer
	registry  *jobs.Registry
	claimer   *jobs.Claimer
	providers []*provider // in the order of their names
	desks     []*desk     // of deferred providers
	pipeline  *pipeline
	metrics   *Metrics
	http      *HTTPServer
	public    *HTTPServer // for receipts
	state     stateWord

	undo []cleanup // taken down in reverse
}

// cleanup is one thing to take down.
type cleanup struct {
	name string
	f    func(ctx context.Context) error
}

// New builds a worker; nothing is claimed before Run. What it has built is taken
// down again if it fails. The error is one line that names the remedy.
func New(ctx context.Context, opt Options) (*Worker, error) {
	if opt.Grace == 0 {
		opt.Grace = defaultGrace
	}
	if opt.AckWait == 0 {
		opt.AckWait = defaultAckWait
	}
	if opt.Unserved == 0 {
		opt.Unserved = defaultUnserved
	}
	w := &Worker{opt: opt, cfg: opt.Config, log: opt.Log, born: time.Now()}
	w.state.set("starting")
	w.metrics = NewMetrics(w.cfg, opt.Version)
	steps := []func(context.Context) error{
		w.openNATS, w.openRedis, w.openStreams, w.buildPipeline, w.openBudgets, w.buildProviders, w.buildClaimer, w.openHTTP, w.openPublic,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, w.Close(ctx))
		}
	}
	w.gauges()
	return w, nil
}

// onClose has f called by Close, before everything that was there before it.
func (w *Worker) onClose(name string, f func(ctx context.Context) error) {
	w.undo = append(w.undo, cleanup{name, f})
}

// Close takes down what New has built, after Run has returned.
func (w *Worker) Close(ctx context.Context) error {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var errs []error
	for _, c := range slices.Backward(w.undo) {
		if err := c.f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
	}
	w.undo = nil
	return errors.Join(errs...)
}

// HTTPAddr is where health, metrics and status are served, "" if nowhere.
func (w *Worker) HTTPAddr() string { return w.http.Addr() }

// NATSURL is where the worker's NATS is reached.
func (w *Worker) NATSURL() string { return w.nc.ConnectedUrl() }

// Run claims and answers jobs until ctx ends, then stops cleanly: no more pulls,
// calls in flight are finished and settled, partial parts published, the rest is
// handed back. The error tells what could not be done in the grace time.
func (w *Worker) Run(ctx context.Context) error {
	// Everything but claiming outlives ctx.
	ctx, stopping := context.WithCancel(ctx)
	defer stopping()
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	calls, endCalls := context.WithCancel(work)
	defer endCalls()

	var background, packers sync.WaitGroup
	w.pipeline.work = work
	w.pipeline.start(ctx)
	failed := make(chan error, 1+len(w.providers)+len(w.desks))
	for _, prov := range w.providers {
		if prov.pool != nil {
			background.Go(func() { prov.pool.Run(work) })
			background.Go(func() { w.newKeyWatch(prov).run(work) })
		}
		packers.Go(func() {
			if err := prov.loop.Run(calls); err != nil {
				failed <- fmt.Errorf("packer of %s: %w", prov.name, err)
			}
		})
	}
	for _, d := range w.desks {
		background.Go(func() {
			if err := d.run(work); err != nil {
				failed <- fmt.Errorf("tickets of %s: %w", d.name, err)
			}
		})
	}
	background.Go(func() {
		if err := w.registry.Run(work); err != nil {
			failed <- fmt.Errorf("registry of workers: %w", err)
		}
	})
	background.Go(func() { w.watchFleet(work) })
	background.Go(func() { w.pipeline.budgets.run(work) })

	w.state.set("running")
	w.log.Info().Str("worker", w.opt.ID).Strs("routes", w.cfg.RouteNames()).Msg("running")
	err := w.claim(ctx, failed)

	w.state.set("stopping")
	w.log.Info().Msg("stopping: calls in flight are finished, the rest is handed back")
	stopping()
	grace, cancel := context.WithTimeout(work, w.opt.Grace)
	defer cancel()
	defer context.AfterFunc(grace, endWork)() // nothing outlasts the grace time
	w.pipeline.stop(grace, func() {
		endCalls()
		waitUntil(grace, &packers)
	})
	err = errors.Join(err, w.claimer.Close(grace), context.Cause(grace))
	endWork()
	background.Wait()
	return err
}

// claim runs the claimer until ctx ends or a part of the worker has failed.
func (w *Worker) claim(ctx context.Context, failed <-chan error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case err := <-failed:
			cancel(err)
		case <-ctx.Done():
		}
	})
	err := w.claimer.Run(ctx, w.pipeline.claimed)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	cancel(nil)
	watch.Wait()
	return err
}

// waitUntil waits for the group, or until ctx ends.
func waitUntil(ctx context.Context, g *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		g.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// watchFleet tells the key pools how many workers share them.
func (w *Worker) watchFleet(ctx context.Context) {
	const look = time.Second
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		n := len(w.registry.Live())
		for _, prov := range w.providers {
			if prov.pool != nil {
				prov.pool.SetWorkers(n)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
