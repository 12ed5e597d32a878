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
	require.Len(t, rulesFor(x), 38, "all rules but that of balances apply")
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

// deferredFlaws are ways in which a deferred provider can be wrong, and the rule
// that has to see each.
func deferredFlaws() map[string]struct {
	rule   string
	change func(*later)
} {
	type flaw = struct {
		rule   string
		change func(*later)
	}
	taken := func(q providers.Query, r *providers.Reply) {
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
	all := map[string]flaw{
		"no pace":               {"pace", func(p *later) { p.pace.PollEvery = 0 }},
		"gives up at once":      {"pace", func(p *later) { p.pace.GiveUpAfter = 0 }},
		"lost for ever":         {"pace", func(p *later) { p.pace.UnknownAfter = 2 * p.pace.GiveUpAfter }},
		"room for half a batch": {"pace", func(p *later) { p.pace.Outstanding = 25 }},
		"first page only":       {"pages", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.More = false })},
		"pages without end":     {"found", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.More = page.Failure == nil })},
		"entries of nothing":    {"found", fetchesAs(func(_ providers.Fetch, page *providers.Page) { page.Known = false })},
		"another ticket":        {"found", submitsAs(func(_ providers.Query, r *providers.Reply) { r.Ticket += "x" })},
		"no callback, no submit": {"no callback", func(p *later) {
			p.submit = func(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
				if callback == "" {
					return providers.Reply{Failure: &providers.Failure{Kind: providers.KindInternal}}
				}
				return p.send(ctx, q, ticket, callback)
			}
		}},
		"any option":    {"options", func(p *later) { p.valid = func(providers.Options) error { return nil } }},
		"only float64s": {"options", func(p *later) { p.valid = onlyFloats }},
		"receipts that found nothing": {"receipts", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Outcome.Kind == providers.NotFound {
				r.Outcome.Kind = providers.Found
			}
		})},
		"anything is a receipt": {"garbled receipts", receiptsAs(func(_ []byte, r *providers.Receipt, err *error) {
			if *err != nil {
				*r, *err = providers.Receipt{Number: "+1", Outcome: providers.Outcome{Kind: providers.NotFound}}, nil
			}
		})},
		"errors quote":   {"garbled receipts", receiptsAs(func(body []byte, _ *providers.Receipt, err *error) { *err = quote(*err, body) })},
		"garbage panics": {"garbled receipts", receiptsAs(func(_ []byte, _ *providers.Receipt, err *error) { panicAt(*err) })},
		"one ticket fits all": {"strange receipts", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Ticket != "" && r.Ticket != "batch-7" {
				r.Ticket = "ticket-0001"
			}
		})},
		"one number fits all": {"strange receipts", receiptsAs(func(_ []byte, r *providers.Receipt, _ *error) {
			if r.Number == "+14155550100" || r.Number == "+14155550102" {
				r.Number = "+14155550101"
			}
		})},
		"senseless is final": {"receipt types", receiptsAs(func(body []byte, r *providers.Receipt, err *error) {
			if *err != nil && bytes.Contains(body, []byte("+14155550101")) {
				*r, *err = providers.Receipt{Number: "+14155550101", Outcome: providers.Outcome{Kind: providers.NotFound}}, nil
			}
		})},
		"senseless types panic": {"receipt types", receiptsAs(func(_ []byte, _ *providers.Receipt, err *error) { panicAt(*err) })},
		"quotes the callback": {"secrets", func(p *later) {
			p.submit = func(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
				r := p.send(ctx, q, ticket, callback)
				if r.Failure != nil {
					r.Failure.Message += " at " + callback
				}
				return r
			}
		}},
		"deaf to cancel when asking": {"cancel", func(p *later) {
			p.fetch = func(ctx context.Context, f providers.Fetch) providers.Page {
				return p.look(context.WithoutCancel(ctx), f)
			}
		}},
		"half the batch": {"full batch", submitsAs(func(_ providers.Query, r *providers.Reply) {
			for i := range r.Outcomes {
				if i >= 15 {
					r.Outcomes[i] = providers.Outcome{Kind: providers.NotFound}
				}
			}
		})},
	}
	for _, rule := range []string{"throttled", "status", "refused", "hang", "reset", "truncated", "oversize", "html", "empty reply", "redirect"} {
		all["a failed submit is taken: "+rule] = flaw{rule, submitsAs(taken)}
	}
	for _, rule := range []string{"throttled", "status", "refused", "hang", "reset", "truncated", "oversize", "html", "redirect"} {
		all["a failed query is no news: "+rule] = flaw{rule, fetchesAs(nothing)}
	}
	return all
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
					require.Error(t, r.run(t.Context(), x))
					return
				}
			}
			t.Error("no such rule")
		})
	}
}
