package worker

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys"
)

// provider is one configured upstream at work: its packer and its permits. Where
// keys are reserved to tenants there is one for each set of keys.
type provider struct {
	name    string
	cfg     Provider
	impl    providers.Provider
	desk    *desk      // nil for one that answers at once
	pool    *keys.Pool // nil for one without keys
	loop    *batch.Loop[waiter]
	prices  map[string]providers.Cost // by key
	offline bool                      // answers from data of its own, for nothing
	share   func() int                // permits this worker may expect at a time
}

// route is a named way to answer: providers in order.
type route struct {
	name             string
	cfg              Route
	steps            []*step
	failoverNotFound bool
	queued           [names.Priorities]atomic.Int64 // items between claim and packer
	settled          atomic.Int64                   // items with a stored result
	// atFirst are the items with the first of several providers.
	atFirst atomic.Int64
}

// roundsAhead is how many rounds of this worker's permits wait in the packers:
// one to cut from while the next is fetched.
const roundsAhead = 2

// demand tells the claimer what the packers can take.
type demand struct {
	p *pipeline
}

// Routes implements jobs.Demand.
func (d demand) Routes() []string { return d.p.cfg.RouteNames() }

// Priority implements jobs.Demand: a tenant's jobs are worked on at the highest
// priority that it may use.
func (d demand) Priority(l names.Lane) names.Priority {
	t, served := d.p.cfg.Tenant(l.Tenant)
	if !served {
		return l.Priority
	}
	return min(l.Priority, t.MaxPriority)
}

// Room is how many items of the priority the route's packers would have too few
// of. What waits at lower priorities does not count: it must not keep higher ones out.
func (d demand) Room(name string, prio names.Priority) int {
	rt := d.p.routes[name]
	if rt == nil {
		return 0
	}
	at := rt.decides()
	if at < 0 {
		return 0
	}
	waiting := func(prov *provider) int { return prov.loop.Waiting(prio) }
	room := rt.steps[at].free(waiting)
	if at > 0 {
		// What other routes have waiting for the first provider is no reason to leave
		// jobs alone that a later one answers.
		room -= int(rt.atFirst.Load())
	}
	for i, s := range rt.steps[1:] {
		if i+1 != at {
			room -= s.waiting(waiting)
		}
	}
	for q := prio; q <= names.High; q++ {
		room -= int(rt.queued[q].Load())
	}
	first := rt.steps[at].sample()
	if room < min(first.cfg.Batch, first.share()*first.cfg.Batch/4) {
		return 0 // small change makes small pulls
	}
	return min(room, d.p.heldLimit(prio)-int(d.p.held.Load()))
}

// decides is the first provider of the route that can be asked now, -1 if none can.
func (r *route) decides() int {
	return slices.IndexFunc(r.steps, func(s *step) bool {
		return slices.ContainsFunc(s.all, func(prov *provider) bool {
			ok, _ := prov.loop.Usable()
			return ok
		})
	})
}

// moved counts an item that its first provider got (1) or is done with (-1).
func (w waiter) moved(n int64) {
	if w.step == 0 && len(w.job.route.steps) > 1 {
		w.job.route.atFirst.Add(n)
	}
}

// heldLimit is claim.max_held, with some of it kept back for higher priorities.
func (p *pipeline) heldLimit(prio names.Priority) int {
	const perPriority = 20 // a twentieth for each priority above
	return p.cfg.Claim.MaxHeld - p.cfg.Claim.MaxHeld/perPriority*int(names.High-prio)
}

// Quantum is a batch: shares are kept over a few calls.
func (d demand) Quantum(name string) int {
	if rt := d.p.routes[name]; rt != nil {
		return rt.steps[0].sample().cfg.Batch
	}
	return 1
}

// Weight implements jobs.Demand.
func (d demand) Weight(tenant string) int {
	t, _ := d.p.cfg.Tenant(tenant)
	return t.Weight
}

// Paused implements jobs.Demand: a tenant whose keys have enough to do is not
// pulled for while others' have not, and a campaign that waits for money not at
// all. Campaigns cannot be paused yet.
func (d demand) Paused(l names.Lane) bool {
	if d.p.budgets.paused(l.Tenant, l.Campaign) {
		return true
	}
	rt := d.p.routes[l.Route]
	if rt == nil || len(rt.steps[0].all) == 1 {
		return false // Room says it all
	}
	prov := rt.steps[0].forTenant(l.Tenant)
	return prov != nil && prov.loop.Waiting(l.Priority) >= roundsAhead*prov.share()*prov.cfg.Batch
}

// takes reports whether an answer of that age will do for the job.
func (j *job) takes(age time.Duration) bool {
	return j.decoded.MaxAge == nil || age <= *j.decoded.MaxAge && *j.decoded.MaxAge > 0
}
