package worker

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
)

// asking is an item on its way to a provider.
type asking struct {
	waiter
	number    providers.Number
	partition string
}

// resolve turns the open items of jobs into numbers for a provider; what needs
// none (malformed, impossible, expired, dead) comes back settled.
func (p *pipeline) resolve(jobs []*job) ([]settled, []asking) {
	var w writer
	var ask []asking
	now := p.now()
	for _, j := range jobs {
		refusal := p.refusal(j, now)
		for i := range j.decoded.Items {
			if j.known.Has(i) {
				continue
			}
			if refusal != nil {
				r := j.result(i)
				refusal(&r)
				w.write(j, &r)
				continue
			}
			a, bad := p.resolveItem(j, i)
			if bad != nil {
				w.write(j, bad)
			} else {
				ask = append(ask, a)
			}
		}
	}
	return w.outs, ask
}

// refusal is what happens to all items of a job that is not to be asked for: nil if it is.
func (p *pipeline) refusal(j *job, now time.Time) func(*results.Result) {
	switch {
	case j.fatal != nil:
		return func(r *results.Result) { fail(r, j.fatal.code, j.fatal.err.Error()) }
	case j.decoded.CallbackURL != "":
		return func(r *results.Result) {
			fail(r, results.CodeUnsupportedOption, "callback: the tenant has no webhook secret, and nothing is sent unsigned")
		}
	case !j.expires.IsZero() && !now.Before(j.expires):
		return func(r *results.Result) { expire(r) }
	}
	if err := j.route.validate(j.options); err != nil {
		return func(r *results.Result) { fail(r, results.CodeUnsupportedOption, err.Error()) }
	}
	return nil
}

func (p *pipeline) resolveItem(j *job, i int) (asking, *results.Result) {
	item := &j.decoded.Items[i]
	if item.Fault != "" {
		r := j.result(i)
		r.Status = results.StatusInvalid
		r.Error = &results.Error{Code: results.CodeMalformedItem, Message: item.Fault}
		return asking{}, &r
	}
	region := j.decoded.Region
	if region == "" {
		region = j.route.cfg.Region
	}
	n, problem := p.resolver.Resolve(item.Number, region)
	if problem != "" {
		r := j.result(i)
		r.Status = results.StatusInvalid
		r.Error = &results.Error{Code: results.CodeInvalidNumber, Message: string(problem)}
		return asking{}, &r
	}
	number := providers.Number{E164: n.E164, CountryCode: n.CountryCode, National: n.National}
	j.numbers[i] = number
	return p.place(waiter{j, int32(i), 0}, nil)
}

// place finds the first provider of the route, from the waiter's step on, that
// takes the number. last is why the one before did not answer, for the result
// when there is no further one.
func (p *pipeline) place(w waiter, last *providers.Failure) (asking, *results.Result) {
	j := w.job
	number := j.numbers[w.item]
	for ; int(w.step) < len(j.route.steps); w.step++ {
		at := j.route.steps[w.step]
		partition, unfit := at.sample().impl.Partition(number, j.options)
		if unfit == nil && at.forTenant(j.id.Tenant) == nil {
			unfit = at.noKey()
		}
		if unfit == nil {
			return asking{w, number, partition}, nil
		}
		if last == nil || last.Kind == providers.KindUnsupported {
			last = unfit
		}
	}
	r := j.result(int(w.item))
	failWith(&r, last)
	return asking{}, &r
}

// answerKnown settles what the cache knows; the rest is to be asked. Without
// Redis nothing is known, and nothing will be asked before it is back.
func (p *pipeline) answerKnown(ctx context.Context, ask []asking) ([]settled, []asking) {
	keys := make([]cache.Key, 0, len(ask))
	var from []int
	for i := range ask {
		if scope := ask[i].job.scope; scope != nil {
			keys = append(keys, p.cache.Key(scope, ask[i].question(), ask[i].number.E164))
			from = append(from, i)
		}
	}
	if len(keys) == 0 {
		return nil, ask
	}
	answers, err := p.cache.Get(ctx, keys)
	if err != nil {
		return nil, ask // the packers wait for Redis anyway; a miss costs at most a call
	}
	var w writer
	now := p.now()
	hit := make([]bool, len(ask))
	for k, a := range answers {
		at := &ask[from[k]]
		if a == nil || !at.job.takes(now.Sub(a.AnsweredAt)) {
			continue
		}
		r := at.job.result(int(at.item))
		r.Status, r.Lookup, r.Provider = a.Status, a.Lookup, a.Provider
		r.Source, r.AnsweredAt = results.SourceCache, a.AnsweredAt
		w.write(at.job, &r)
		hit[from[k]] = true
	}
	if len(w.outs) == 0 {
		return nil, ask
	}
	rest := ask[:0]
	for i := range ask {
		if !hit[i] {
			rest = append(rest, ask[i])
		}
	}
	return w.outs, rest
}

// question is the partition of the route's first provider, which says what is
// asked where the provider's settings decide; "" where that does not take the number.
func (w waiter) question() string {
	first := w.job.route.steps[0].sample().impl
	partition, _ := first.Partition(w.job.numbers[w.item], w.job.options)
	return partition
}

// pack gives items to the packers of their providers. Where ctx ends before it is
// known that an item is not under a ticket already, the item is left out: its job
// is handed back.
func (p *pipeline) pack(ctx context.Context, ask []asking) {
	for start := 0; start < len(ask); {
		prov := ask[start].provider()
		end := start + 1
		for end < len(ask) && ask[end].provider() == prov {
			end++
		}
		items := make([]batch.Item[waiter], end-start)
		for i := range items {
			items[i] = ask[start+i].packed()
		}
		if prov.desk == nil || p.attach(ctx, prov.desk, ask[start:end], items) {
			for i := range items {
				items[i].Waiter.moved(1)
			}
			prov.loop.Add(items)
		}
		start = end
	}
}

// provider is whose turn it is.
func (w waiter) provider() *provider {
	return w.job.route.steps[w.step].forTenant(w.job.id.Tenant)
}

// last reports whether no later provider of the route takes the number, so that
// it waits for this one while that is down.
func (a *asking) last() bool {
	for _, at := range a.job.route.steps[a.step+1:] {
		prov := at.forTenant(a.job.id.Tenant)
		if prov == nil {
			continue
		}
		if _, unfit := prov.impl.Partition(a.number, a.job.options); unfit == nil {
			return false
		}
	}
	return true
}

// packed is the item as the packer wants it.
func (a *asking) packed() batch.Item[waiter] {
	j := a.job
	it := batch.Item[waiter]{
		Number: a.number, Partition: a.partition, Options: j.options, Raw: j.route.cfg.IncludeRaw,
		Priority: j.priority, Tenant: j.id.Tenant, Campaign: j.id.Campaign,
		ShareGroup: j.tenant.ShareGroup, Weight: j.tenant.Weight,
		Last: a.last(), Expires: j.expires, Waiter: a.waiter,
	}
	if age := j.decoded.MaxAge; age != nil {
		it.NoShare, it.MaxAge = *age == 0, *age
	}
	return it
}
