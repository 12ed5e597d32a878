package telnyx

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const (
	// maxDirectPages bounds the pages of orders read for one number, maxCandidates
	// the orders remembered; the list of all numbers decides beyond.
	maxDirectPages = 5
	maxCandidates  = 10
	// maxSearches bounds the unfinished searches of a key.
	maxSearches = 1000
)

// search is the search for one number's order, which may take several calls. It
// belongs to the call that has it.
type search struct {
	at    time.Time // when it was last kept
	pages int       // of orders read
	read  bool      // no more of them are to be read
	// candidates are the orders that have the number, or might; once all are read,
	// the one that counts comes first.
	candidates []candidate
	// unsure: the number may have an order that is not among them.
	unsure bool
	// listed: only the list of the account can tell.
	listed bool
}

// candidate is an order that may be the number's.
type candidate struct {
	order      *order
	activation string // the number's, if certain
	certain    bool   // the number is in it; else it may be among those not embedded
}

// resume takes the search for n out of those that are kept, or begins one.
func (l *ledger) resume(n providers.Number) *search {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.searches[n.E164]
	delete(l.searches, n.E164)
	if f == nil || time.Since(f.at) > staleAfter {
		return &search{}
	}
	return f
}

// keep remembers an unfinished search; false if there are too many.
func (l *ledger) keep(n providers.Number, f *search) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.searches) >= maxSearches {
		for number, old := range l.searches {
			if now.Sub(old.at) > staleAfter {
				delete(l.searches, number)
			}
		}
	}
	if len(l.searches) >= maxSearches {
		return false
	}
	if l.searches == nil {
		l.searches = make(map[string]*search)
	}
	f.at = now
	l.searches[n.E164] = f
	return true
}

// seek makes the next request of the search.
func (s *session) seek(ctx context.Context, n providers.Number, f *search) *refusal {
	if f.read {
		return s.inspect(ctx, n, f)
	}
	query := pageOf(f.pages+1, s.p.settings.PageSize)
	query.Set("filter[phone_numbers][phone_number][contains]", n.E164)
	query.Set("include_phone_numbers", "true")
	query.Set("sort[value]", "-created_at")
	res, no := s.send(ctx, ask{route: portingOrders, query: query})
	if no != nil {
		return no
	}
	p, ok := readList(res.Body)
	if !ok {
		return &refusal{failure: upstream.Unreadable(res)}
	}
	f.take(p, n)
	f.decide()
	return nil
}

// take reads a page of orders. Telnyx filters by a part of a number and embeds 50
// numbers of an order at most, so what it finds is looked at again.
func (f *search) take(p page, n providers.Number) {
	f.pages++
	for _, raw := range p.data {
		l, ok := readOrder(raw)
		if !ok {
			f.unsure = true
			continue
		}
		if c, ok := l.candidate(n); ok {
			f.candidates = append(f.candidates, c)
		}
	}
	slices.SortStableFunc(f.candidates, func(a, b candidate) int {
		switch {
		case a.order.before(b.order):
			return -1
		case b.order.before(a.order):
			return 1
		}
		return 0
	})
	if len(f.candidates) > maxCandidates {
		f.candidates, f.unsure = slices.Clone(f.candidates[:maxCandidates]), true
	}
	switch {
	case len(p.data) == 0 || p.pages.known && f.pages >= p.pages.n:
		f.read = true
	case !p.pages.known:
		// It cannot be told whether there is more; what was found counts.
		f.read, f.unsure = true, f.unsure || len(f.candidates) == 0
	case f.pages >= maxDirectPages:
		f.read, f.unsure = true, true
	}
}

// decide has the list asked where no candidate is left and that does not settle it.
func (f *search) decide() {
	f.listed = f.listed || f.read && len(f.candidates) == 0 && f.unsure
}

// over reports whether the search has its answer.
func (f *search) over() bool {
	return !f.listed && f.read && (len(f.candidates) == 0 || f.candidates[0].certain)
}

// outcome is the answer.
func (f *search) outcome(n providers.Number, raw bool) providers.Outcome {
	if len(f.candidates) == 0 {
		return providers.Outcome{Kind: providers.NotFound}
	}
	return f.candidates[0].order.found(n, f.candidates[0].activation, raw)
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

// inspect reads the first candidate by its id to see whether the number is in it.
func (s *session) inspect(ctx context.Context, n providers.Number, f *search) *refusal {
	res, no := s.send(ctx, ask{
		route: portingOrder, free: f.candidates[0].order.id, query: url.Values{"include_phone_numbers": {"true"}},
	})
	switch {
	case no == nil:
	case no.notThere():
		f.candidates = f.candidates[1:] // deleted meanwhile
		f.decide()
		return nil
	default:
		return no
	}
	data, ok := readObject(res.Body)
	if !ok {
		return &refusal{failure: upstream.Unreadable(res)}
	}
	l, ok := readOrder(data)
	if !ok {
		f.listed = true // which names the order's id and state beside the number
		return nil
	}
	again, ok := l.candidate(n)
	switch {
	case ok && again.certain:
		f.candidates[0] = again
	case l.whole():
		f.candidates = f.candidates[1:]
		f.decide()
	default:
		f.listed = true
	}
	return nil
}
