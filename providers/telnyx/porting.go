package telnyx

import (
	"context"
	"encoding/json"

	"github.com/lookupq/lookupq/providers"
)

// porting finds the porting orders of the call's numbers: of a few one by one, of
// more in the list of the account.
func (s *session) porting(ctx context.Context) providers.Reply {
	l := s.p.ledgers.of(s.q.Key)
	if len(s.q.Numbers) > s.p.settings.Direct {
		return s.listed(ctx, l)
	}
	return s.direct(ctx, l)
}

// listed answers all numbers from the list of the account.
func (s *session) listed(ctx context.Context, l *ledger) providers.Reply {
	list, failure := s.list(ctx, l)
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	outcomes := make([]providers.Outcome, len(s.q.Numbers))
	for i, n := range s.q.Numbers {
		outcomes[i] = list.outcome(n, s.q.Raw)
	}
	return providers.Reply{Outcomes: outcomes}
}

// direct goes on with the search for the first number. The others are asked for by
// the calls to come.
func (s *session) direct(ctx context.Context, l *ledger) providers.Reply {
	n := s.q.Numbers[0]
	found := l.resume(n)
	if found.listed {
		r := s.listed(ctx, l)
		if r.Failure != nil {
			l.keep(n, found)
		}
		return r
	}
	no := s.seek(ctx, n, found)
	switch {
	case no != nil && no.badNumber():
		return s.first(no.outcome(no.problems[0]))
	case no == nil && found.over():
		return s.first(found.outcome(n, s.q.Raw))
	}
	kept := l.keep(n, found)
	switch {
	case no != nil:
		return providers.Reply{Failure: no.failure}
	case !kept:
		return providers.Reply{Failure: &providers.Failure{
			Kind: providers.KindRetryable, Message: "too many searches for single numbers are unfinished",
		}}
	}
	return providers.Reply{Failure: unfinished(0)}
}

// first is a reply with the outcome of the first number; the others were not asked for.
func (s *session) first(o providers.Outcome) providers.Reply {
	outcomes := make([]providers.Outcome, len(s.q.Numbers))
	outcomes[0] = o
	for i := range outcomes[1:] {
		outcomes[1+i] = providers.Outcome{Kind: providers.Failed, Failure: &providers.Failure{
			Kind: providers.KindRetryable, Innocent: true, Message: "another number of the call was asked for",
		}}
	}
	return providers.Reply{Outcomes: outcomes}
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
