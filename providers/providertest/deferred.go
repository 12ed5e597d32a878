package providertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// CallbackURL is where every submit of the suite asks receipts to be sent.
const CallbackURL = "https://lookup.example/callbacks/nxcloud/tok"

// maxPages ends a provider that asks for pages for ever.
const maxPages = 1000

// ticketOf is the nth ticket: "ticket-0001" is the one of recorded calls.
func ticketOf(n int) string { return fmt.Sprintf("ticket-%04d", n) }

// pending reports whether the case's call ends before its answers are fetched, if
// they are to be fetched at all.
func (s *session) pending() bool { return s.c.Query == nil }

// later submits q and, unless the case ends there, fetches its answers: what the
// worker does over minutes.
func (s *session) later(ctx context.Context, d providers.Deferred, q providers.Query, ticket string) (providers.Reply, error) {
	r := d.Submit(ctx, q, ticket, CallbackURL)
	if r.Ticket != "" && r.Ticket != ticket {
		return r, fmt.Errorf("submit: the reply's ticket is %q, want %q or none", r.Ticket, ticket)
	}
	if r.Outcomes == nil || s.pending() {
		return r, nil // it failed, or that is all there is to see
	}
	if err := wellFormed(q, r, true); err != nil {
		return r, fmt.Errorf("submit: %w", err)
	}
	j := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164 })
	open := false
	for i, o := range r.Outcomes {
		if o.Kind == providers.Pending {
			open = true
		} else if out := j.Place([]byte(q.Numbers[i].E164)); out != nil {
			*out = o
		}
	}
	if !open {
		return r, nil
	}
	failure, err := fetch(ctx, d, q, ticket, j)
	if failure != nil || err != nil {
		return providers.Reply{Failure: failure}, err
	}
	return j.Reply(), nil
}

// submit is call without asking for the answers.
func (s *session) submit(ctx context.Context) (providers.Reply, error) {
	c, alone := *s.c, *s
	c.Query = nil
	alone.c = &c
	return alone.call(ctx)
}

// fetch asks for the answers alone, as if the case had been submitted before.
func (s *session) fetch(ctx context.Context) (providers.Reply, error) {
	q, err := s.query()
	if err != nil {
		return providers.Reply{}, err
	}
	d, ok := s.provider.(providers.Deferred)
	if !ok {
		return providers.Reply{}, errors.New("the provider is no longer a deferred one")
	}
	j := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164 })
	failure, err := fetch(ctx, d, q, ticketOf(1), j)
	if failure != nil || err != nil {
		return providers.Reply{Failure: failure}, err
	}
	return j.Reply(), nil
}

// fetch asks for page after page of a ticket's answers and joins them to the
// numbers; what is no receipt answers nobody.
func fetch(ctx context.Context, d providers.Deferred, q providers.Query, ticket string, j *upstream.Join) (*providers.Failure, error) {
	for page := 1; page <= maxPages; page++ {
		p := d.Fetch(ctx, providers.Fetch{Key: q.Key, Ticket: ticket, SubmittedAt: clock(), Page: page})
		switch {
		case p.Failure != nil && (p.Entries != nil || p.More):
			return nil, errors.New("a page has a failure and entries")
		case p.Failure != nil:
			return p.Failure, nil
		case len(p.Entries) > 0 && !p.Known:
			return nil, errors.New("a page has entries of a ticket that is not known")
		}
		for _, entry := range p.Entries {
			r, err := d.Receipt(entry, q.Raw)
			switch {
			case err != nil:
			case r.Ticket != "" && r.Ticket != ticket:
				j.Extra(1)
			default:
				if out := j.Place([]byte(r.Number)); out != nil {
					*out = r.Outcome
				}
			}
		}
		if !p.More {
			return nil, nil
		}
	}
	return nil, errors.New("there are always more pages")
}
