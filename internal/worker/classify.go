package worker

import (
	"encoding/json"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
)

// writer encodes results one after the other into one buffer.
type writer struct {
	buf  []byte
	outs []settled
}

func (w *writer) write(j *job, r *results.Result) {
	if cap(w.buf)-len(w.buf) < spare {
		w.buf = make([]byte, 0, chunkBytes) // results written before keep the old one
	}
	var s results.Settled
	s, w.buf = results.Settle(w.buf, j.id.JobID, r)
	w.outs = append(w.outs, settled{j, s})
}

const (
	chunkBytes = 64 << 10
	spare      = 1 << 10
)

// classify sorts what a provider's packer is done with: final outcomes, encoded;
// answers for the cache; and items for their route's next provider.
func (p *pipeline) classify(prov *provider, as []batch.Answered[waiter]) (outs []settled, keep []cache.Entry, next []asking) {
	w := writer{outs: make([]settled, 0, len(as))}
	for i := range as {
		a := &as[i]
		a.Waiter.moved(-1)
		if a.Verdict == batch.Dropped {
			continue
		}
		if a.Failure != nil {
			p.metrics.NumbersFailed(prov.name, a.Failure.Kind.String(), 1)
		}
		r := resultOf(prov, a)
		if wants := p.failsOver(a); wants || a.Verdict == batch.NextProvider {
			ask, ended := p.place(waiter{a.Waiter.job, a.Waiter.item, a.Waiter.step + 1}, a.Failure)
			if ended == nil {
				next = append(next, ask)
				if wants {
					a.Waiter.job.setAside(a.Waiter.item, &r)
				}
				continue
			}
		}
		r = a.Waiter.job.withAside(r)
		w.write(a.Waiter.job, &r)
		if e, ok := p.cacheable(prov, a, &r); ok {
			keep = append(keep, e)
		}
	}
	return w.outs, keep, next
}

// failsOver says that the route wants another provider's word on this outcome,
// and has one.
func (p *pipeline) failsOver(a *batch.Answered[waiter]) bool {
	rt := a.Waiter.job.route
	return a.Verdict == batch.Answer && a.Outcome.Kind == providers.NotFound && rt.failoverNotFound &&
		int(a.Waiter.step) < len(rt.steps)-1
}

// cacheable makes the cache's entry of an answer that was paid for just now.
func (p *pipeline) cacheable(prov *provider, a *batch.Answered[waiter], r *results.Result) (cache.Entry, bool) {
	scope := a.Waiter.job.scope
	if scope == nil || !a.First || prov.offline || a.Verdict != batch.Answer || r.Status == results.StatusInvalid {
		return cache.Entry{}, false
	}
	return cache.Entry{
		Key:    p.cache.Key(scope, a.Waiter.question(), r.E164),
		Answer: cache.Answer{Status: r.Status, Lookup: r.Lookup, Provider: r.Provider, AnsweredAt: r.AnsweredAt},
	}, true
}

// result starts the result of item i with what the job knows of it.
func (j *job) result(i int) results.Result {
	item := &j.decoded.Items[i]
	r := results.Result{Index: i, Ref: item.Ref, Number: item.Number}
	if j.numbers != nil {
		r.E164 = j.numbers[i].E164
	}
	return r
}

// resultOf is the one place where a provider's outcome becomes a result.
func resultOf(prov *provider, a *batch.Answered[waiter]) results.Result {
	r := a.Waiter.job.result(int(a.Waiter.item))
	r.Provider, r.Attempts = prov.name, a.Attempts
	switch a.Verdict {
	case batch.Answer:
		answer(&r, prov, a)
	case batch.Expired:
		expire(&r)
	case batch.Cancelled:
		r.Status = results.StatusCancelled
		r.Error = &results.Error{Code: results.CodeCancelled, Message: "the campaign was cancelled"}
	case batch.NextProvider, batch.GaveUp, batch.Dropped:
		failWith(&r, a.Failure)
	}
	return r
}

func answer(r *results.Result, prov *provider, a *batch.Answered[waiter]) {
	r.Source, r.AnsweredAt = sourceOf(prov, a), a.AnsweredAt
	switch a.Outcome.Kind {
	case providers.Found:
		r.Status, r.Lookup = results.StatusOK, lookupOf(&a.Outcome.Facts)
	case providers.NotFound:
		r.Status, r.Lookup = results.StatusNotFound, lookupOf(&a.Outcome.Facts)
	case providers.Invalid:
		r.Status = results.StatusInvalid
		r.Error = &results.Error{Code: results.CodeInvalidNumber, Message: "refused as a number by the provider"}
		quote(r.Error, a.Outcome.Failure)
	case providers.Failed, providers.Pending: // neither is an answer
		failWith(r, a.Outcome.Failure)
	}
	switch r.Source {
	case results.SourceUpstream:
		r.Cost, r.Raw = costOf(prov, a), json.RawMessage(a.Outcome.Raw)
	case results.SourceOffline:
		r.Raw = json.RawMessage(a.Outcome.Raw)
	case results.SourceCache, results.SourceShared: // paid for, and shown, elsewhere
	}
}

func sourceOf(prov *provider, a *batch.Answered[waiter]) results.Source {
	switch {
	case a.Recent:
		return results.SourceCache
	case a.Shared:
		return results.SourceShared
	case prov.offline:
		return results.SourceOffline
	}
	return results.SourceUpstream
}

// costOf is what the upstream said, else the key's configured price: every number
// of an accepted request is taken for charged.
func costOf(prov *provider, a *batch.Answered[waiter]) results.Cost {
	c := a.Outcome.Cost
	if c == (providers.Cost{}) {
		c = prov.prices[a.Key]
	}
	return results.Cost{Amount: c.Amount, Currency: c.Currency}
}

func expire(r *results.Result) {
	r.Status = results.StatusExpired
	r.Error = &results.Error{Code: results.CodeExpired, Message: "not on the wire before it expired"}
}

func fail(r *results.Result, code results.Code, message string) {
	r.Status = results.StatusFailed
	r.Error = &results.Error{Code: code, Message: message}
}

// failWith makes r failed for the last provider's reason.
func failWith(r *results.Result, f *providers.Failure) {
	if f == nil {
		f = &providers.Failure{Kind: providers.KindInternal, Message: "no reason was given"}
	}
	code, message := codeOf(f.Kind)
	fail(r, code, message)
	quote(r.Error, f)
}

// quote adds the upstream's own words.
func quote(e *results.Error, f *providers.Failure) {
	if f == nil {
		return
	}
	e.ProviderCode = f.Code
	if f.Message != "" {
		e.Message += ": " + f.Message
	}
}

// codeOf maps why the providers gave no answer to the contract's codes.
func codeOf(k providers.Kind) (results.Code, string) {
	switch k {
	case providers.KindUnsupported:
		return results.CodeUnsupportedNumber, "outside the scope of every provider of the route"
	case providers.KindTimeout, providers.KindCutOff, providers.KindGarbled, providers.KindOversize, providers.KindMissing:
		return results.CodeNoAnswer, "asked, and never answered"
	case providers.KindUnauthorized, providers.KindForbidden:
		return results.CodeNoUsableKey, "no key of the provider may be used"
	case providers.KindNoBalance:
		return results.CodeNoBalance, "the provider's balance is spent"
	case providers.KindRejected, providers.KindRefused, providers.KindTooMany:
		return results.CodeProviderRejected, "refused by the provider"
	case providers.KindThrottled, providers.KindUnavailable, providers.KindMisconfigured,
		providers.KindRetryable, providers.KindUndocumented:
		return results.CodeProviderUnavailable, "the provider could not answer"
	case providers.KindUnaffordable:
		return results.CodeBudgetExhausted, "not asked"
	case providers.KindInternal:
	}
	return results.CodeInternal, "the worker made a request that the provider calls malformed"
}
