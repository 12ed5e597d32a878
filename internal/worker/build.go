package worker

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded"
	"github.com/lookupq/lookupq/internal/numbers"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/catalog"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

// openNATS starts the embedded server if asked, and connects.
func (w *Worker) openNATS(ctx context.Context) error {
	addr := w.cfg.NATS.URL
	w.natsKind = "external"
	if e := w.opt.Embedded; e != nil {
		srv, err := embedded.StartNATS(ctx, embedded.NATSOptions{
			Dir: e.DataDir, Listen: addr, SyncInterval: e.SyncInterval, Log: w.log,
		})
		if err != nil {
			return err
		}
		w.onClose("embedded NATS", func(context.Context) error { return srv.Close() })
		addr, w.storage, w.natsKind, w.fresh = srv.ClientURL(), srv.MaxStore(), "embedded", srv.Fresh()
	}
	nc, err := connect(addr, w.cfg.NATS, w.log)
	if err != nil {
		return fmt.Errorf("NATS at %s cannot be used: %w; start it, correct nats.url, or run with --embedded", RedactURL(addr), err)
	}
	w.nc = nc
	w.onClose("NATS connection", func(context.Context) error { nc.Close(); return nil })
	if w.js, err = jetstream.New(nc); err != nil {
		return err
	}
	w.confirm, err = confirm.New(nc, confirm.Options{})
	if err != nil {
		return fmt.Errorf("NATS at %s: %w", RedactURL(addr), err)
	}
	w.onClose("confirmed publishing", func(context.Context) error { w.confirm.Close(); return nil })
	return nil
}

// connect dials NATS for good: what breaks later is mended by reconnecting.
func connect(addr string, cfg NATSConfig, log zerolog.Logger, more ...nats.Option) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("lookupq worker"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectBufSize(-1), // the Confirmer resends: nothing is to be sent late and unseen
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn().Err(err).Msg("NATS connection lost, reconnecting; jobs are held")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info().Msg("NATS connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn().Err(err).Msg("NATS") }),
	}
	if cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(cfg.Creds))
	}
	if cfg.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(cfg.TLS.CA))
	}
	if cfg.TLS.Cert != "" {
		opts = append(opts, nats.ClientCert(cfg.TLS.Cert, cfg.TLS.Key))
	}
	return nats.Connect(addr, append(opts, more...)...)
}

// openRedis connects to the configured Redis, or starts one with --embedded.
func (w *Worker) openRedis(ctx context.Context) error {
	addr := w.cfg.Redis.URL
	if e := w.opt.Embedded; e != nil && !w.cfg.Redis.Configured {
		srv, err := embedded.StartRedis(ctx, embedded.RedisOptions{Dir: e.DataDir, Log: w.log})
		if err != nil {
			return err
		}
		w.onClose("embedded Redis", func(context.Context) error { return srv.Close() })
		w.redis, addr = srv, srv.URL()
	}
	rdb, err := redisdb.Open(ctx, addr)
	if err != nil {
		return err
	}
	w.rdb = rdb
	w.onClose("Redis connection", func(context.Context) error { return rdb.Close() })
	if w.fresh && w.redis != nil && w.redis.Fresh() {
		return w.declareUnused(ctx)
	}
	return nil
}

// declareUnused spares the very first run of `--embedded` the wait for the permits of
// an earlier one. That the jobs are new as well tells it from a worker whose Redis
// was moved away, and which may have made calls a moment ago.
func (w *Worker) declareUnused(ctx context.Context) error {
	var types []string
	for _, pc := range w.cfg.Providers {
		types = append(types, pc.Type)
	}
	return keys.DeclareUnused(ctx, w.rdb, types...)
}

// openStreams makes the streams and reads what the fleet agrees on.
func (w *Worker) openStreams(ctx context.Context) error {
	opt := jobs.StreamOptions{Replicas: w.cfg.NATS.Replicas, Storage: w.storage}
	if err := jobs.EnsureStreams(ctx, w.js, w.cfg.Names(), opt); err != nil {
		return err
	}
	w.registry = jobs.NewRegistry(w.js, jobs.RegistryConfig{
		Names: w.cfg.Names(), Log: w.log,
		// Whose jobs rest no longer is believed dead: by default that is 30 s, too.
		Every: w.opt.AckWait / 3, TTL: w.opt.AckWait,
		Self: jobs.Worker{ID: w.opt.ID, Routes: w.cfg.RouteNames(), StartedAt: w.born.UTC()},
	})
	return nil
}

// buildPipeline makes the main path; its providers follow.
func (w *Worker) buildPipeline(ctx context.Context) error {
	hashKey, err := w.registry.HashKey(ctx)
	if err != nil {
		return err
	}
	resolver, err := numbers.NewResolver()
	if err != nil {
		return err
	}
	n := w.cfg.Names()
	answers := cache.New(w.rdb, cache.Config{Prefix: n.Prefix, HashKey: hashKey})
	w.pipeline = &pipeline{
		cfg: w.cfg, log: w.log, names: n, js: w.js, metrics: w.metrics, now: time.Now,
		routes: map[string]*route{}, nowhere: &route{}, resolver: resolver,
		cache: answers, journal: journal.New(w.rdb, n.Prefix, answers),
		publisher:   results.NewPublisher(w.confirm, n.ResultsStream(), jobs.DuplicateWindow),
		burier:      results.NewBurier(w.confirm, n, w.nc.MaxPayload()),
		storedParts: results.NewStored(w.js, n),
		wake:        func() { w.claimer.Wake() },
		heartbeats:  func() (uint64, bool) { return w.claimer.Sure() },
	}
	return nil
}

// buildProviders makes every configured provider that a route uses, with its
// permits and its packer.
func (w *Worker) buildProviders(context.Context) error {
	byName := map[string]*step{}
	for _, name := range slices.Sorted(maps.Keys(w.cfg.Providers)) {
		at, err := w.buildStep(name)
		if err != nil {
			return fmt.Errorf("providers.%s: %w", name, err)
		}
		byName[name] = at
		w.providers = append(w.providers, at.all...)
	}
	for name, rc := range w.cfg.Routes {
		rt := &route{name: name, cfg: rc, failoverNotFound: slices.Contains(rc.FailoverOn, string(results.StatusNotFound))}
		for _, p := range rc.Providers {
			rt.steps = append(rt.steps, byName[p])
		}
		w.pipeline.routes[name] = rt
	}
	return nil
}

// buildStep makes a provider once for each set of its keys.
func (w *Worker) buildStep(name string) (*step, error) {
	pc := w.cfg.Providers[name]
	entry, err := catalog.Find(pc.Type)
	if err != nil {
		return nil, err
	}
	impl, err := entry.New(w.cfg.setupOf(name))
	if err != nil {
		return nil, err
	}
	at := &step{name: name, of: map[string]*provider{}}
	if deferred, ok := impl.(providers.Deferred); ok {
		// One for all keys: a tenant's numbers are found whatever key they went with.
		if at.desk, err = w.openDesk(name, pc, deferred); err != nil {
			return nil, err
		}
		at.desk.Bind(at.deliver)
	}
	for _, set := range keySets(pc.Keys) {
		pc.Keys = set.keys
		prov, err := w.buildProvider(name, set.name(name), pc, impl, at.desk)
		if err != nil {
			return nil, err
		}
		at.all = append(at.all, prov)
		if len(set.tenants) == 0 {
			at.open = prov
		}
		for _, tenant := range set.tenants {
			at.of[tenant] = prov
		}
	}
	return at, nil
}

// buildProvider makes a provider with some of its keys; set names these among all.
func (w *Worker) buildProvider(name, set string, pc Provider, impl providers.Provider, d *desk) (_ *provider, err error) {
	prov := &provider{name: name, cfg: pc, impl: impl, desk: d, offline: impl.Limits().Keyless, prices: map[string]providers.Cost{}}
	var permits batch.Permits
	if prov.offline {
		calls := pc.Concurrency
		if calls == 0 {
			calls = runtime.GOMAXPROCS(0)
		}
		permits = newLocalPermits(calls)
		prov.share = func() int { return calls }
	} else {
		if prov.pool, err = w.buildPool(name, set, pc); err != nil {
			return nil, err
		}
		permits = poolPermits{prov.pool, w.pipeline.sure}
		prov.share = prov.pool.Share
	}
	packed := impl
	var parked func(ticket string, e164 []string)
	if d != nil {
		permits = deskPermits{permits, d, w.nc.IsConnected}
		packed, parked = d.Provider(), d.Parked
	}
	if !prov.offline {
		permits = &timedPermits{Permits: permits, now: time.Now, waited: func(reason string, d time.Duration) {
			w.metrics.PermitWaited(name, reason, d)
		}}
	}
	for _, k := range pc.Keys {
		prov.prices[k.Name] = k.Price
	}
	var afford func(context.Context, string, []waiter) batch.Purchase
	if !prov.offline {
		afford = func(ctx context.Context, key string, payers []waiter) batch.Purchase {
			return w.pipeline.budgets.afford(ctx, prov, key, payers)
		}
	}
	prov.loop = batch.NewLoop(batch.Config[waiter]{
		Name: name, Provider: packed, Permits: permits, MaxBatch: pc.Batch, Timeout: pc.Timeout,
		Linger: w.linger(name), Retry: batch.RetryConfig(w.cfg.Retry), Log: w.log,
		Live:   live,
		Afford: afford, SamePurse: sameWallet,
		Answered: func(as []batch.Answered[waiter]) { w.pipeline.answered(prov, as) },
		Called:   func(c batch.Call) { w.called(prov, c) },
		Parked:   parked, ShareGroups: prov.desk != nil,
	})
	return prov, nil
}

func (w *Worker) buildPool(name, set string, pc Provider) (*keys.Pool, error) {
	cfg := keys.Config{
		Provider: name, Set: set, Type: pc.Type, WorkerID: w.opt.ID, Lease: w.opt.Lease, Renew: w.opt.Lease / 3,
		MaxBatch: pc.Batch, Limits: limits(pc.Concurrency, pc.Rate, pc.NumberRate),
	}
	for _, k := range pc.Keys {
		cfg.Keys = append(cfg.Keys, keys.KeyConfig{
			Key:    providers.Key{Name: k.Name, Secret: k.Secret},
			Limits: limits(k.Concurrency, k.Rate, k.NumberRate), LowBalance: k.LowBalance,
		})
	}
	pool, err := keys.NewPool(w.rdb, cfg)
	if err != nil {
		return nil, err
	}
	w.onClose("keys of "+name, func(context.Context) error { pool.Close(); return nil })
	return pool, nil
}

func limits(concurrency int, rate float64, nr NumberRate) keys.Limits {
	return keys.Limits{Concurrency: concurrency, Rate: rate, NumberRate: nr.PerSecond, NumberPer: nr.Per}
}

// linger is the shortest that a route with the provider asks for.
func (w *Worker) linger(name string) time.Duration {
	shortest := time.Duration(-1)
	for _, rt := range w.cfg.Routes {
		if slices.Contains(rt.Providers, name) && (shortest < 0 || rt.Linger < shortest) {
			shortest = rt.Linger
		}
	}
	return max(shortest, 0)
}

// live is asked by the packers whether a waiter still wants its answer.
func live(w waiter) batch.LiveState {
	if !w.job.live() {
		return batch.StateDropped
	}
	return batch.StateLive
}

// buildClaimer makes the claimer, which feeds the pipeline.
func (w *Worker) buildClaimer(context.Context) error {
	w.claimer = jobs.NewClaimer(w.nc, w.js, jobs.Config{
		Names: w.cfg.Names(), Demand: demand{w.pipeline}, Confirm: w.confirm, Log: w.log,
		LanesActive: w.cfg.Claim.LanesActive, LanesMax: w.cfg.Claim.LanesMax, AckWait: w.opt.AckWait,
		Served: w.registry.Serves, Orphan: w.orphan, OrphanAfter: w.opt.Unserved / 10, UnservedAfter: w.opt.Unserved,
	})
	return nil
}

// called counts a call to an upstream.
func (w *Worker) called(prov *provider, c batch.Call) {
	kind := "ok"
	if c.Failure != nil {
		kind = c.Failure.Kind.String()
	}
	w.metrics.Called(CallDone{
		Provider: prov.name, Key: c.Key, Kind: kind, Numbers: c.Numbers, Max: prov.cfg.Batch,
		Took: c.Took, Extra: c.Extra, Duplicates: c.Duplicates,
	})
}
