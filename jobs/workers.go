package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/names"
)

// Worker is what a live worker tells of itself in the workers bucket.
type Worker struct {
	// ID is a token, new at every start.
	ID string `json:"id"`
	// Routes are what the worker serves.
	Routes    []string  `json:"routes"`
	StartedAt time.Time `json:"started_at"`
}

const (
	defaultAnnounce    = 10 * time.Second
	defaultAnnounceTTL = 3 * defaultAnnounce
	// withdrawTime bounds what a clean stop spends on saying goodbye.
	withdrawTime = 2 * time.Second
	// hashKeyName is no worker: a token does not start with '_'.
	hashKeyName = "_hash_key"
)

// RegistryConfig is what a Registry needs.
type RegistryConfig struct {
	Names names.Names
	Self  Worker
	// Every is how often the worker is announced and the others are read (10 s),
	// TTL how long an announcement is believed (30 s; whole seconds).
	Every, TTL time.Duration
	Log        zerolog.Logger
}

// Registry tells the workers of one prefix from each other: it announces this
// one and knows which others live. What it says is at most Every old, or, while
// NATS is away, the last that was read.
type Registry struct {
	cfg  RegistryConfig
	js   jetstream.JetStream
	live atomic.Pointer[liveWorkers]
}

// liveWorkers is one reading of the bucket, never changed afterwards.
type liveWorkers struct {
	workers []Worker // by ID, this one among them
	routes  map[string]bool
	ids     map[string]bool
}

// NewRegistry makes a Registry that knows only this worker until Run.
func NewRegistry(js jetstream.JetStream, cfg RegistryConfig) *Registry {
	if cfg.Every <= 0 {
		cfg.Every, cfg.TTL = defaultAnnounce, defaultAnnounceTTL
	}
	r := &Registry{cfg: cfg, js: js}
	r.learn(nil)
	return r
}

// Run announces this worker until ctx ends, then withdraws it. It fails at once
// if there is no bucket; later it outlasts NATS being away.
func (r *Registry) Run(ctx context.Context) error {
	kv, err := r.bucket(ctx)
	if err != nil {
		return err
	}
	defer r.withdraw(ctx, kv)
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	away := false
	for {
		err := r.round(ctx, kv)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !away:
			r.cfg.Log.Warn().Err(err).Msg("this worker cannot be announced, others may take its routes for unserved")
		case err == nil && away:
			r.cfg.Log.Info().Msg("this worker is announced again")
		}
		away = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Live returns all workers that live, this one among them, ordered by ID. The
// slice must not be changed. Any goroutine may call it.
func (r *Registry) Live() []Worker { return r.live.Load().workers }

// Serves reports whether a live worker serves route. It is cheap; any goroutine
// may call it.
func (r *Registry) Serves(route string) bool { return r.live.Load().routes[route] }

// Alive reports whether the worker called id has announced itself lately. Cheap,
// in parallel.
func (r *Registry) Alive(id string) bool { return r.live.Load().ids[id] }

// HashKey returns the secret with which the workers hash numbers for Redis. The
// first that asks creates it; it stays the same for as long as the bucket does.
func (r *Registry) HashKey(ctx context.Context) (key [32]byte, err error) {
	kv, err := r.bucket(ctx)
	if err != nil {
		return key, err
	}
	entry, err := kv.Get(ctx, hashKeyName)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		fresh := make([]byte, len(key))
		_, _ = rand.Read(fresh) // never fails
		_, err = kv.Create(ctx, hashKeyName, []byte(base64.StdEncoding.EncodeToString(fresh)))
		if err == nil || errors.Is(err, jetstream.ErrKeyExists) { // whoever was first
			entry, err = kv.Get(ctx, hashKeyName)
		}
	}
	if err != nil {
		return key, fmt.Errorf("hash key in bucket %s: %w", r.cfg.Names.WorkersBucket(), err)
	}
	secret, err := base64.StdEncoding.DecodeString(string(entry.Value()))
	if err != nil || len(secret) != len(key) {
		return key, fmt.Errorf("hash key in bucket %s is damaged: delete %s there and restart all workers (cached answers are then asked again)",
			r.cfg.Names.WorkersBucket(), hashKeyName)
	}
	return [32]byte(secret), nil
}

func (r *Registry) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := r.js.KeyValue(ctx, r.cfg.Names.WorkersBucket())
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", r.cfg.Names.WorkersBucket(), explain(err))
	}
	return kv, nil
}

// round announces this worker and reads who else there is.
func (r *Registry) round(ctx context.Context, kv jetstream.KeyValue) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.TTL/2)
	defer cancel()
	body, err := json.Marshal(r.cfg.Self)
	if err != nil {
		return err
	}
	// The KV client cannot renew a key with a TTL, hence the plain publish.
	_, err = r.js.Publish(ctx, "$KV."+kv.Bucket()+"."+r.cfg.Self.ID, body, jetstream.WithMsgTTL(r.cfg.TTL))
	if err != nil {
		return err
	}
	others, err := readWorkers(ctx, kv)
	if err != nil {
		return err
	}
	r.learn(others)
	return nil
}

// readWorkers reads the bucket once. A standing watcher would miss the workers
// that expired while it was cut off.
func readWorkers(ctx context.Context, kv jetstream.KeyValue) (all []Worker, err error) {
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Stop()) }()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry, ok := <-w.Updates():
			if !ok {
				return nil, errors.New("the connection was closed")
			}
			if entry == nil { // all that there is has come
				return all, nil
			}
			var worker Worker
			if json.Unmarshal(entry.Value(), &worker) == nil && worker.ID == entry.Key() {
				all = append(all, worker)
			}
		}
	}
}

// learn replaces what is known. This worker knows of itself.
func (r *Registry) learn(workers []Worker) {
	self := r.cfg.Self.ID
	workers = slices.DeleteFunc(workers, func(w Worker) bool { return w.ID == self })
	workers = append(workers, r.cfg.Self)
	slices.SortFunc(workers, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	live := &liveWorkers{workers: workers, routes: make(map[string]bool), ids: make(map[string]bool, len(workers))}
	for _, w := range workers {
		live.ids[w.ID] = true
		for _, route := range w.Routes {
			live.routes[route] = true
		}
	}
	r.live.Store(live)
}

// withdraw tells the others that this worker is gone. If it fails they see it
// one TTL later.
func (r *Registry) withdraw(ctx context.Context, kv jetstream.KeyValue) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTime)
	defer cancel()
	if err := kv.Purge(ctx, r.cfg.Self.ID, jetstream.PurgeTTL(markerTTL)); err != nil {
		r.cfg.Log.Debug().Err(err).Msg("this worker could not be withdrawn, its announcement expires by itself")
	}
}
