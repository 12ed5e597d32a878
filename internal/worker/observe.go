package worker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers/keys"
)

// stateWord is what the worker is doing: starting, running, stopping.
type stateWord struct{ v atomic.Value }

func (s *stateWord) set(word string) { s.v.Store(word) }

func (s *stateWord) get() string {
	word, _ := s.v.Load().(string)
	return word
}

// openHTTP serves health, metrics and status.
func (w *Worker) openHTTP(ctx context.Context) error {
	srv, err := StartHTTP(ctx, HTTPOptions{
		Listen: w.cfg.HTTP.Listen, Metrics: w.metrics.Handler(), Log: w.log,
		Status: func(ctx context.Context) any { return w.status(ctx) },
		Ready:  w.ready,
	})
	if err != nil {
		return err
	}
	w.http = srv
	w.onClose("http", srv.Close)
	return nil
}

// ready are the conditions under which this worker answers jobs.
func (w *Worker) ready(ctx context.Context) []Check {
	state := w.state.get()
	n, r := w.natsStatus(), w.redisStatus(ctx)
	redis := Check{Name: "redis", OK: r.OK, Detail: r.Detail}
	if r.Ephemeral {
		redis.Detail = r.Detail + " (ephemeral: a restart forgets limits, journal and cache; JetStream keeps jobs and results)"
	}
	return []Check{
		{Name: "worker", OK: state == "running", Detail: state},
		{Name: "nats", OK: n.OK, Detail: n.Detail},
		redis,
	}
}

func (w *Worker) natsStatus() ServerStatus {
	s := ServerStatus{OK: w.nc.IsConnected(), Kind: w.natsKind, URL: RedactURL(w.nc.ConnectedUrlRedacted())}
	if !s.OK {
		s.URL, s.Detail = RedactURL(w.cfg.NATS.URL), "not connected; reconnecting"
	}
	return s
}

func (w *Worker) redisStatus(ctx context.Context) ServerStatus {
	s := ServerStatus{OK: true, Kind: "external", URL: RedactURL(w.cfg.Redis.URL)}
	if w.redis != nil {
		s.Kind, s.URL = w.redis.Kind(), RedactURL(w.redis.URL())
		s.Detail, s.Ephemeral = w.redis.Ephemeral()
	}
	if err := w.rdb.Ping(ctx).Err(); err != nil {
		s.OK, s.Detail = false, "no calls are made while it is away: "+err.Error()
	}
	return s
}

// status is the picture for /v1/status.
func (w *Worker) status(ctx context.Context) *Status {
	claimed := w.claimer.Status()
	s := &Status{
		Version: w.opt.Version, WorkerID: w.opt.ID, State: w.state.get(), StartedAt: w.born.UTC(),
		NATS: w.natsStatus(), Redis: w.redisStatus(ctx), Warnings: w.cfg.Warnings,
		Held: HeldStatus{Jobs: w.pipeline.jobs.len(), Items: int(w.pipeline.held.Load()), MaxItems: w.cfg.Claim.MaxHeld},
	}
	for _, name := range w.cfg.RouteNames() {
		s.Routes = append(s.Routes, w.pipeline.routes[name].status())
	}
	campaigns := map[[2]string]int64{}
	for _, l := range claimed.Lanes {
		state := "waiting"
		if l.Active {
			state = "served"
		}
		s.Lanes = append(s.Lanes, LaneStatus{
			Route: l.Lane.Route, Priority: l.Lane.Priority.String(), Tenant: l.Lane.Tenant, Campaign: l.Lane.Campaign,
			Pending: int64(l.Waiting), Held: l.Held, State: state,
		})
		campaigns[[2]string{l.Lane.Tenant, l.Lane.Campaign}] += int64(l.Waiting)
	}
	for c, pending := range campaigns {
		s.Campaigns = append(s.Campaigns, CampaignStatus{
			Tenant: c[0], Campaign: c[1], Pending: pending, Budget: w.pipeline.budgets.status(c[0], c[1]),
		})
	}
	for name := range w.cfg.Tenants {
		if b := w.pipeline.budgets.status(name, ""); b != nil && name != anyTenant {
			s.Tenants = append(s.Tenants, TenantStatus{Tenant: name, Budget: b})
		}
	}
	slices.SortFunc(s.Tenants, func(a, b TenantStatus) int { return strings.Compare(a.Tenant, b.Tenant) })
	slices.SortFunc(s.Campaigns, func(a, b CampaignStatus) int { return int(b.Pending - a.Pending) })
	for _, p := range w.providers {
		one := p.status(ctx)
		if last := len(s.Providers) - 1; last >= 0 && s.Providers[last].Name == p.name {
			s.Providers[last].add(&one) // further sets of its keys follow at once
			continue
		}
		s.Providers = append(s.Providers, one)
	}
	return s
}

func (r *route) status() RouteStatus {
	s := RouteStatus{Name: r.name, Providers: r.cfg.Providers, Settled: r.settled.Load()}
	for i, at := range r.steps {
		for _, p := range at.all {
			ok, _ := p.loop.Usable()
			s.Usable = s.Usable || ok
			if i == 0 {
				s.Waiting += p.loop.Waiting(names.Bulk)
			}
		}
	}
	for q := range r.queued {
		s.Waiting += int(r.queued[q].Load())
	}
	return s
}

func (p *provider) status(ctx context.Context) ProviderStatus {
	s := ProviderStatus{
		Name: p.name, Type: p.cfg.Type, State: "ok", InFlight: p.loop.Calls(), Limit: p.cfg.Concurrency,
		Waiting: p.loop.Waiting(names.Bulk),
	}
	if ok, why := p.loop.Usable(); !ok {
		s.State, s.Reason = "down", why
	}
	if p.desk != nil {
		s.Tickets = p.desk.status()
	}
	if p.pool == nil {
		return s
	}
	all, err := p.pool.Status(ctx)
	if err != nil {
		s.Reason = "keys: " + err.Error()
		return s
	}
	for _, k := range all {
		if k.Name == "" {
			s.InFlight = k.InFlight
			if k.State == keys.StatePaused {
				s.State, s.Reason = "paused", k.Reason
			}
			continue
		}
		s.Keys = append(s.Keys, p.keyStatus(k))
	}
	return s
}

// add takes in what another packer of the same provider tells.
func (s *ProviderStatus) add(more *ProviderStatus) {
	s.Waiting += more.Waiting
	s.InFlight = max(s.InFlight, more.InFlight) // the fleet's, of the provider as a whole
	if s.State == "ok" {
		s.State, s.Reason = more.State, more.Reason
	}
	for _, k := range more.Keys {
		if !slices.ContainsFunc(s.Keys, func(have KeyStatus) bool { return have.Name == k.Name }) {
			s.Keys = append(s.Keys, k)
		}
	}
}

func (p *provider) keyStatus(k keys.KeyStatus) KeyStatus {
	out := KeyStatus{Name: k.Name, State: k.State, InFlight: k.InFlight, Limit: k.Limit, Reason: k.Reason}
	if k.State == keys.StateReady {
		out.State = "ok"
	}
	if !k.Until.IsZero() {
		out.PausedUntil = &k.Until
	}
	for _, c := range p.cfg.Keys {
		if c.Name == k.Name {
			out.Rate = c.Rate
		}
	}
	if b := k.Balance; b != nil {
		at := b.At.UTC().Truncate(time.Second)
		out.Balance, out.BalanceAt = balanceText(b.Balance), &at
		low := p.pool.LowBalance(k.Name)
		out.LowBalance = low > 0 && b.Amount < low
	}
	return out
}

// orphan tells the operators of jobs whose route nobody serves.
func (w *Worker) orphan(l names.Lane, age time.Duration) {
	w.log.Warn().Str("route", l.Route).Str("tenant", l.Tenant).Str("campaign", l.Campaign).Dur("for", age).
		Msg("no live worker serves the route of waiting jobs; after ten minutes they are dead (unknown_route)")
	w.pipeline.announceOrphan(l, age)
}

// gauges registers what is read at every scrape.
func (w *Worker) gauges() {
	p := w.pipeline
	w.metrics.Gauge("held_items", "Items claimed and not finished.", nil, func() float64 { return float64(p.held.Load()) })
	w.metrics.Gauge("parts_in_flight", "Parts on their way to the results stream.", nil, func() float64 { return float64(p.flying.Load()) })
	w.metrics.Gauge("lanes_known", "Lanes with jobs waiting or held.", nil, func() float64 { return float64(w.claimer.Status().Known) })
	w.metrics.Gauge("lanes_active", "Lanes served now.", nil, func() float64 { return float64(w.claimer.Status().Active) })
	w.metrics.Counter("redeliveries_total", "Deliveries of jobs that were held already.", nil, func() float64 { return float64(w.claimer.Status().Redeliveries) })
	for _, group := range w.byName() {
		w.providerGauges(group)
	}
	for _, d := range w.desks {
		w.deskGauges(d)
	}
}

// byName are the providers, those of one name together.
func (w *Worker) byName() [][]*provider {
	var groups [][]*provider
	for _, prov := range w.providers {
		if last := len(groups) - 1; last >= 0 && groups[last][0].name == prov.name {
			groups[last] = append(groups[last], prov)
			continue
		}
		groups = append(groups, []*provider{prov})
	}
	return groups
}

// providerGauges registers what the packers of one provider tell at every scrape.
func (w *Worker) providerGauges(group []*provider) {
	l := map[string]string{"provider": group[0].name}
	sum := func(read func(*provider) int) func() float64 {
		return func() float64 {
			total := 0
			for _, prov := range group {
				total += read(prov)
			}
			return float64(total)
		}
	}
	w.metrics.Gauge("calls_in_flight", "Calls on the wire from this worker.", l, sum(func(p *provider) int { return p.loop.Calls() }))
	w.metrics.Gauge("provider_usable", "1 while the provider can be asked.", l, func() float64 {
		for _, prov := range group {
			if ok, _ := prov.loop.Usable(); ok {
				return 1
			}
		}
		return 0
	})
	for q := names.Bulk; q <= names.High; q++ {
		lq := map[string]string{"provider": group[0].name, "priority_at_least": q.String(), "rank": strconv.Itoa(int(q))}
		w.metrics.Gauge("waiting_items", "Unsent items of a priority and above.", lq, sum(func(p *provider) int { return p.loop.Waiting(q) }))
	}
}
