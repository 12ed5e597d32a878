package telnyx

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// maxDirectPages bounds the pages of orders read for one number; the list of all
// numbers decides beyond.
const maxDirectPages = 5

// portingStatus finds the porting orders of the numbers of q.
func (p *Provider) portingStatus(ctx context.Context, q providers.Query) providers.Reply {
	s := session{p: p, q: q, ledger: p.ledgers.of(q.Key), until: beforeDeadline(ctx)}
	if len(q.Numbers) > p.settings.Direct {
		return s.listed(ctx)
	}
	outcomes := make([]providers.Outcome, len(q.Numbers))
	for i, n := range q.Numbers {
		var failure *providers.Failure
		if outcomes[i], failure = s.direct(ctx, n); failure != nil {
			return providers.Reply{Failure: failure} // reads are free: all are asked again
		}
	}
	return providers.Reply{Outcomes: outcomes}
}

// session is one call of porting_status. It belongs to the call's goroutine.
type session struct {
	p      *Provider
	q      providers.Query
	ledger *ledger
	// until is when no request is begun any more, so that there is time to say so.
	until    time.Time
	requests int
}

// send makes a request. The call's permit is for its first one, further ones are
// paced by key.
func (s *session) send(ctx context.Context, a ask) (upstream.Response, *refusal) {
	if !s.ledger.pace.wait(ctx, s.until, s.p.settings.PageRate, s.requests == 0) {
		return upstream.Response{}, &refusal{failure: s.ledger.later()}
	}
	s.requests++
	res, no := s.p.wire.send(ctx, s.q.Key, a)
	if no == nil {
		s.ledger.pace.observe(res.Header)
	}
	return res, no
}

// listed answers all numbers from the list of the account.
func (s *session) listed(ctx context.Context) providers.Reply {
	list, failure := s.list(ctx)
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	outcomes := make([]providers.Outcome, len(s.q.Numbers))
	for i, n := range s.q.Numbers {
		outcomes[i] = list.outcome(n, s.q.Raw)
	}
	return providers.Reply{Outcomes: outcomes}
}

// candidate is an order that may be the number's.
type candidate struct {
	order      *order
	activation string // the number's, if certain
	certain    bool   // the number is in it; else it may be among those not embedded
}

// direct asks for the orders of one number. Telnyx filters by a part of a number
// and embeds 50 numbers of an order at most, so what it finds is looked at again.
func (s *session) direct(ctx context.Context, n providers.Number) (providers.Outcome, *providers.Failure) {
	candidates, unread, res := s.candidates(ctx, n)
	if res.no != nil {
		if res.no.badNumber() {
			return res.no.outcome(res.no.problems[0]), nil
		}
		return providers.Outcome{}, res.no.failure
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		switch {
		case a.order.before(b.order):
			return -1
		case b.order.before(a.order):
			return 1
		}
		return 0
	})
	for _, c := range candidates {
		known := true
		if !c.certain {
			var failure *providers.Failure
			if c, known, failure = s.inspect(ctx, n, c); failure != nil {
				return providers.Outcome{}, failure
			}
		}
		switch {
		case c.certain:
			return c.order.found(n, c.activation, s.q.Raw), nil
		case !known:
			return s.fromList(ctx, n)
		}
	}
	if res.more {
		return s.fromList(ctx, n)
	}
	if unread {
		return unreadable(), nil
	}
	return providers.Outcome{Kind: providers.NotFound}, nil
}

// search says how the search for a number's orders ended.
type search struct {
	no   *refusal
	more bool // there are more pages than were read
}

// candidates reads the orders that have the number, or might. unread says that an
// entry could not be understood.
func (s *session) candidates(ctx context.Context, n providers.Number) (all []candidate, unread bool, end search) {
	for at := 1; at <= maxDirectPages; at++ {
		query := pageOf(at, s.p.settings.PageSize)
		query.Set("filter[phone_numbers][phone_number][contains]", n.E164)
		query.Set("include_phone_numbers", "true")
		query.Set("sort[value]", "-created_at")
		res, no := s.send(ctx, ask{route: portingOrders, query: query})
		if no != nil {
			return nil, false, search{no: no}
		}
		list, ok := readList(res.Body)
		if !ok {
			return nil, false, search{no: &refusal{failure: upstream.Unreadable(res)}}
		}
		for _, raw := range list.data {
			l, ok := readOrder(raw)
			if !ok {
				unread = true
				continue
			}
			if c, ok := l.candidate(n); ok {
				all = append(all, c)
			}
		}
		switch {
		case len(list.data) == 0 || list.pages.known && at >= list.pages.n:
			return all, unread, search{}
		case !list.pages.known:
			// It cannot be told whether there is more; what was found counts.
			return all, unread || len(all) == 0, search{}
		}
	}
	return all, unread, search{more: true}
}

// candidate is what the order is for the number; false if it has nothing to do with it.
func (l *listedOrder) candidate(n providers.Number) (candidate, bool) {
	for _, listed := range l.PhoneNumbers {
		if listed.PhoneNumber.digits() != n.E164[1:] {
			continue
		}
		o := l.order()
		o.status = first(listed.PortingOrderStatus.status(), o.status)
		return candidate{order: o, activation: listed.ActivationStatus.status(), certain: true}, true
	}
	if l.whole() {
		return candidate{}, false
	}
	return candidate{order: l.order()}, true
}

// whole reports whether all numbers of the order are in the reply.
func (l *listedOrder) whole() bool {
	return l.PortingPhoneNumbersCount.known && len(l.PhoneNumbers) >= l.PortingPhoneNumbersCount.n
}

// inspect reads one order by its id to see whether the number is in it. known is
// false where that cannot be told from there.
func (s *session) inspect(ctx context.Context, n providers.Number, c candidate) (_ candidate, known bool, _ *providers.Failure) {
	res, no := s.send(ctx, ask{
		route: portingOrder, free: c.order.id, query: url.Values{"include_phone_numbers": {"true"}},
	})
	switch {
	case no == nil:
	case no.notThere():
		return candidate{}, true, nil // deleted meanwhile
	default:
		return candidate{}, false, no.failure
	}
	data, ok := readObject(res.Body)
	if !ok {
		return candidate{}, false, upstream.Unreadable(res)
	}
	l, ok := readOrder(data)
	if !ok {
		return candidate{}, false, &providers.Failure{Kind: providers.KindGarbled, Message: "the order is not as documented"}
	}
	if again, ok := l.candidate(n); ok && again.certain {
		return again, true, nil
	}
	return candidate{}, l.whole(), nil
}

// fromList answers one number from the list of the account.
func (s *session) fromList(ctx context.Context, n providers.Number) (providers.Outcome, *providers.Failure) {
	list, failure := s.list(ctx)
	if failure != nil {
		return providers.Outcome{}, failure
	}
	return list.outcome(n, s.q.Raw), nil
}

// badNumber: for a filter only the codes for numbers count; a 422 of another kind
// may well mean the filter.
func (r *refusal) badNumber() bool {
	return r.failure.Kind == providers.KindRefused && len(r.problems) > 0 && r.problems[0].aboutNumber()
}

// unreadable is the outcome of a number that may be in an entry which could not be read.
func unreadable() providers.Outcome {
	return providers.Outcome{Kind: providers.Failed, Failure: &providers.Failure{
		Kind: providers.KindGarbled, Message: "an entry of the list cannot be read, and may be this number's",
	}}
}

// listedNumberOf reads an entry of the list of numbers; false if it names no number.
func listedNumberOf(raw json.RawMessage) (listedNumber, bool) {
	var l listedNumber
	if json.Unmarshal(raw, &l) != nil || l.PhoneNumber.digits() == "" {
		return listedNumber{}, false
	}
	return l, true
}
