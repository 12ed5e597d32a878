package nxcloud

import (
	"context"
	"slices"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Call asks for one number at once, where the settings allow it.
func (p *Provider) Call(ctx context.Context, q providers.Query) providers.Reply {
	body, failure := p.submission(q)
	if failure == nil && p.Defers(q) {
		failure = &providers.Failure{Kind: providers.KindInternal, Message: "a batch has to be submitted"}
	}
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	o, failure := p.call(ctx, request{key: q.Key, path: pathSync, body: body, again: true, paid: true, kindOf: kindFor(q)})
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	return p.answeredAtOnce(q, o)
}

// answeredAtOnce reads the reply of the synchronous call: a refused number, or
// facts that stand as in a receipt.
func (p *Provider) answeredAtOnce(q providers.Query, o object) providers.Reply {
	garbled := &providers.Failure{Kind: providers.KindGarbled, Message: "the reply says nothing of the number"}
	data, isObject := o.nested("data")
	refused, isList := data.list("failNumber")
	if !isObject || !isList {
		return providers.Reply{Failure: garbled}
	}
	join := upstream.NewJoin(q.Numbers, phoneOf)
	for _, raw := range refused {
		p.refuse(join, q, raw)
	}
	if join.Left() > 0 && len(refused) == 0 {
		r := newReading(o)
		out, err := r.outcome(p.secrets(q.Key))
		if err != nil {
			return providers.Reply{Failure: garbled}
		}
		// A reply that does not repeat the number can mean no other.
		number, _ := digits(or(r.phone(), phoneOf(q.Numbers[0])))
		if dst := join.Place([]byte(number)); dst != nil {
			*dst = out
			if raw, ok := o.field("data"); ok && q.Raw {
				dst.Raw = slices.Clone(raw)
			}
		}
	}
	return join.Reply()
}
