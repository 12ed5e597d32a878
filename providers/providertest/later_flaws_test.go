package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func laterType(change func(*later)) Type {
	return Type{Name: "later", Testdata: filepath.Join("testdata", "later"), New: func(cfg setup.Config) (providers.Provider, error) {
		p, err := newLater(cfg)
		if err != nil {
			return nil, err
		}
		if change != nil {
			change(p)
		}
		return p, nil
	}}
}

func TestSoundDeferredProviderPassesEveryRule(t *testing.T) {
	Run(t, laterType(nil))
	x, err := newExam(laterType(nil))
	require.NoError(t, err)
	require.Len(t, rulesFor(x), 39, "all rules but that of balances apply")
	require.Len(t, x.cases, 3, "the bag of receipts is no call")
	require.Len(t, x.answering, 2)
}

// receiptsAs changes what is read of receipts and entries.
func receiptsAs(change func(body []byte, r *providers.Receipt, err *error)) func(*later) {
	return func(p *later) {
		p.receipt = func(body []byte, raw bool) (providers.Receipt, error) {
			r, err := readLater(body, raw)
			change(body, &r, &err)
			return r, err
		}
	}
}

func submitsAs(change func(q providers.Query, r *providers.Reply)) func(*later) {
	return func(p *later) {
		p.submit = func(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
			r := p.send(ctx, q, ticket, callback)
			change(q, &r)
			return r
		}
	}
}

func fetchesAs(change func(f providers.Fetch, page *providers.Page)) func(*later) {
	return func(p *later) {
		p.fetch = func(ctx context.Context, f providers.Fetch) providers.Page {
			page := p.look(ctx, f)
			change(f, &page)
			return page
		}
	}
}

// laterFlaw is a way to be wrong, the rule that has to see it, and a piece of what
// the rule has to say.
type laterFlaw struct {
	rule, says string
	change     func(*later)
}

// deferredFlaws are ways in which a deferred provider can be wrong, and the rule
// that has to see each.
func deferredFlaws() map[string]laterFlaw {
	take := func(q providers.Query, r *providers.Reply) {
		if r.Failure != nil {
			*r = providers.Reply{}
			for range q.Numbers {
				r.Outcomes = append(r.Outcomes, providers.Outcome{Kind: providers.Pending})
			}
		}
	}
	nothing := func(_ providers.Fetch, page *providers.Page) {
		if page.Failure != nil {
			*page = providers.Page{Known: true}
		}
	}
	all := map[string]laterFlaw{
		"no pace":               {"pace", "polls without a pause, or never", func(p *later) { p.pace.PollEvery = 0 }},
		"gives up at once":      {"pace", "gives up after 0s, before it asks after 1m0s", func(p *later) { p.pace.GiveUpAfter = 0 }},
		"lost for ever":         {"pace", "counts as never taken after 2h0m0s", func(p *later) { p.pace.UnknownAfter = 2 * p.pace.GiveUpAfter }},
		"room for half a batch": {"pace", "25 numbers may be outstanding, a batch has 50", func(p *later) { p.pace.Outstanding = 25 }},
		"first page only":       {"pages", "pages of 1: 7 numbers: number ", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.More = false })},
		"pages without end":     {"found", "there are always more pages", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.More = page.Failure == nil })},
		"entries of nothing":    {"found", "entries of a ticket that is not known", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.Known = false })},
		"another ticket":        {"found", "the reply's ticket is \"ticket-0001x\"", submitsAs(func(_ providers.Query, r *providers.Reply) { r.Ticket += "x" })},
		"no callback, no submit": {"no callback", "the submit failed: internal", func(p *later) {
			p.submit = func(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
				if callback == "" {
					return providers.Reply{Failure: &providers.Failure{Kind: providers.KindInternal}}
				}
				return p.send(ctx, q, ticket, callback)
			}
		}},
		"any option":    {"options", "takes a list of objects", func(p *later) { p.valid = func(providers.Options) error { return nil } }},
		"only float64s": {"options", "its options are refused: json.Number", func(p *later) { p.valid = onlyFloats }},
		"receipts that found nothing": {"receipts", "receipt 1: want {\"kind\":\"not_found\"}", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Outcome.Kind == providers.NotFound {
				r.Outcome.Kind = providers.Found
			}
		})},
		"anything is a receipt": {"garbled receipts", "\"\" is taken for a receipt", receiptsAs(func(_ []byte, r *providers.Receipt, err *error) {
			if *err != nil {
				*r, *err = providers.Receipt{Number: "+1", Outcome: providers.Outcome{Kind: providers.NotFound}}, nil
			}
		})},
		"errors quote":   {"garbled receipts", "the error quotes the body", receiptsAs(func(body []byte, _ *providers.Receipt, err *error) { *err = quote(*err, body) })},
		"garbage panics": {"garbled receipts", "the provider panicked: no receipt", receiptsAs(func(_ []byte, _ *providers.Receipt, err *error) { panicAt(*err) })},
		"one ticket fits all": {"strange receipts", "is of ticket \"ticket-0001\", want \"ticket-9999\"", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Ticket != "" && r.Ticket != "batch-7" {
				r.Ticket = "ticket-0001"
			}
		})},
		"one number fits all": {"strange receipts", "is of number \"+14155550101\", want +14155550102", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Number == "+14155550100" || r.Number == "+14155550102" {
				r.Number = "+14155550101"
			}
		})},
		"senseless is final": {"receipt types", "the number is not_found because of a damaged receipt", receiptsAs(func(body []byte, r *providers.Receipt, err *error) {
			if *err != nil && bytes.Contains(body, []byte("+14155550101")) {
				*r, *err = providers.Receipt{Number: "+14155550101", Outcome: providers.Outcome{Kind: providers.NotFound}}, nil
			}
		})},
		"senseless types panic": {"receipt types", "the provider panicked: no receipt", receiptsAs(func(_ []byte, _ *providers.Receipt, err *error) { panicAt(*err) })},
		"quotes the callback": {"secrets", "holds the address of receipts", func(p *later) {
			p.submit = func(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
				r := p.send(ctx, q, ticket, callback)
				if r.Failure != nil {
					r.Failure.Message += " at " + callback
				}
				return r
			}
		}},
		"deaf to cancel when asking": {"cancel", "cancelled before the call: the call did not fail", func(p *later) {
			p.fetch = func(ctx context.Context, f providers.Fetch) providers.Page {
				return p.look(context.WithoutCancel(ctx), f)
			}
		}},
		"half the batch": {"full batch", "30 numbers: number 15: want", submitsAs(func(_ providers.Query, r *providers.Reply) {
			for i := range r.Outcomes {
				if i >= 15 {
					r.Outcomes[i] = providers.Outcome{Kind: providers.NotFound}
				}
			}
		})},
	}
	for _, rule := range []string{"throttled", "status", "refused", "hang", "reset", "truncated", "oversize", "html", "empty reply", "redirect"} {
		all["a failed submit is taken: "+rule] = laterFlaw{rule, taken(rule), submitsAs(take)}
	}
	for _, rule := range []string{"throttled", "status", "refused", "hang", "reset", "truncated", "oversize", "html", "redirect"} {
		all["a failed query is no news: "+rule] = laterFlaw{rule, "the call did not fail", fetchesAs(nothing)}
	}
	return all
}

// taken is what rule says where a failed submit is taken for a good one.
func taken(rule string) string {
	switch rule {
	case "hang":
		return "the call failed with unavailable"
	case "empty reply":
		return "of the submit: number 0 is found"
	}
	return "the call did not fail"
}

func onlyFloats(opts providers.Options) error {
	for _, value := range opts {
		if _, ok := value.(json.Number); ok {
			return fmt.Errorf("%T", value)
		}
	}
	return validLater(opts)
}

func quote(err error, body []byte) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", err, body)
}

func panicAt(err error) {
	if err != nil {
		panic(err)
	}
}

// Every flaw is seen by its rule.
func TestDeferredFlawsAreSeen(t *testing.T) {
	for name, f := range deferredFlaws() {
		t.Run(name, func(t *testing.T) {
			x, err := newExam(laterType(f.change))
			require.NoError(t, err)
			for _, r := range rulesFor(x) {
				if r.name == f.rule {
					require.NotEmpty(t, f.says)
					require.ErrorContains(t, r.run(t.Context(), x), f.says)
					return
				}
			}
			t.Error("no such rule")
		})
	}
}
