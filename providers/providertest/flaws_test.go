package providertest

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// flaw is one way in which a provider can be wrong, and the rule that has to see it.
type flaw struct {
	rule string
	// says is a piece of what the rule has to say of it.
	says string
	// config changes what the toy is built from.
	config func(*setup.Config)
	// provider changes the toy; reply what it answers.
	provider func(*toy) providers.Provider
	reply    func(providers.Query, providers.Reply) providers.Reply
}

func (f flaw) build(cfg setup.Config) (providers.Provider, error) {
	if f.config != nil {
		f.config(&cfg)
	}
	p, err := newToy(cfg)
	switch {
	case err != nil:
		return nil, err
	case f.provider != nil:
		return f.provider(p), nil
	case f.reply != nil:
		return &answering{toy: p, reply: f.reply}, nil
	}
	return p, nil
}

// answering is the toy with something else said.
type answering struct {
	*toy
	reply func(providers.Query, providers.Reply) providers.Reply
}

func (a *answering) Call(ctx context.Context, q providers.Query) providers.Reply {
	return a.reply(q, a.toy.Call(ctx, q))
}

// kindFor makes another kind of the failures of one kind.
func kindFor(from, to providers.Kind) func(providers.Query, providers.Reply) providers.Reply {
	return func(_ providers.Query, r providers.Reply) providers.Reply {
		if r.Failure != nil && r.Failure.Kind == from {
			r.Failure.Kind = to
		}
		return r
	}
}

// allAre gives every number one outcome where the call failed with kind.
func allAre(out providers.Outcome, kind providers.Kind) func(providers.Query, providers.Reply) providers.Reply {
	return func(q providers.Query, r providers.Reply) providers.Reply {
		if r.Failure == nil || r.Failure.Kind != kind {
			return r
		}
		return providers.Reply{Outcomes: slices.Repeat([]providers.Outcome{out}, len(q.Numbers))}
	}
}

func each(f func(i int, out *providers.Outcome, q providers.Query)) func(providers.Query, providers.Reply) providers.Reply {
	return func(q providers.Query, r providers.Reply) providers.Reply {
		for i := range r.Outcomes {
			f(i, &r.Outcomes[i], q)
		}
		return r
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func via(change func(http.RoundTripper, *http.Request) (*http.Response, error)) func(*setup.Config) {
	return func(cfg *setup.Config) {
		if next := cfg.Transport; next != nil {
			cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return change(next, r) })
		}
	}
}

func withLimits(change func(*providers.Limits)) func(*toy) providers.Provider {
	return func(p *toy) providers.Provider {
		change(&p.limits)
		return p
	}
}

// odd wraps the toy for flaws that need more than another reply.
type odd struct {
	*toy
	calls     int
	partition func(providers.Number) (string, *providers.Failure)
	call      func(context.Context, providers.Query) providers.Reply
	balance   func() (providers.Balance, *providers.Failure)
}

func (o *odd) Limits() providers.Limits {
	o.calls++
	l := o.toy.Limits()
	l.DefaultBatch = min(o.calls, l.MaxBatch)
	return l
}

func (o *odd) Partition(n providers.Number, opts providers.Options) (string, *providers.Failure) {
	if o.partition != nil {
		return o.partition(n)
	}
	return o.toy.Partition(n, opts)
}

func (o *odd) Call(ctx context.Context, q providers.Query) providers.Reply {
	if o.call != nil {
		return o.call(ctx, q)
	}
	return o.toy.Call(ctx, q)
}

func (o *odd) Balance(ctx context.Context, key providers.Key) (providers.Balance, *providers.Failure) {
	if o.balance != nil {
		return o.balance()
	}
	return o.toy.Balance(ctx, key)
}

func flaws(t *testing.T) map[string]flaw {
	t.Helper()
	notFound := providers.Outcome{Kind: providers.NotFound}
	invalid := providers.Outcome{Kind: providers.Invalid, Failure: &providers.Failure{Kind: providers.KindRejected}}
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	var mu sync.Mutex
	var last providers.Query
	return map[string]flaw{
		"no maximum":        {rule: "limits", says: "a batch of 10 by default and 0 at most", provider: withLimits(func(l *providers.Limits) { l.MaxBatch = 0 })},
		"no timeout":        {rule: "limits", says: "limits: no timeout", provider: withLimits(func(l *providers.Limits) { l.Timeout = 0 })},
		"restless limits":   {rule: "limits", says: "the limits change from call to call", provider: func(p *toy) providers.Provider { return &odd{toy: p} }},
		"lax settings":      {rule: "settings", says: "an unknown setting is taken", config: func(c *setup.Config) { c.Settings = nil }},
		"settings unplaced": {rule: "settings", says: "does not name the unknown setting with its line", config: func(c *setup.Config) { forgetLines(c.Settings) }},
		"many partitions": {rule: "partition", says: `are in partitions "+14155550101" and "+14155550102"`, provider: func(p *toy) providers.Provider {
			return &odd{toy: p, partition: func(n providers.Number) (string, *providers.Failure) { return n.E164, nil }}
		}},
		"harsh partition": {rule: "partition", says: "out of scope is rejected, want unsupported", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, partition: func(n providers.Number) (string, *providers.Failure) {
				if n.CountryCode != "1" {
					return "", &providers.Failure{Kind: providers.KindRejected}
				}
				return "all", nil
			}}
		}},
		"another path": {rule: "found", says: "path /lookups, want /lookup", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			r.URL.Path = "/lookups"
			return next.RoundTrip(r)
		})},
		"key in the address": {rule: "found", says: "the key is in the address", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			r.URL.RawQuery = "key=" + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			return next.RoundTrip(r)
		})},
		"two requests": {rule: "found", says: "2 requests, want 1", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, call: func(ctx context.Context, q providers.Query) providers.Reply {
				p.Call(ctx, q)
				return p.Call(ctx, q)
			}}
		}},
		"no facts":          {rule: "found", says: `number 0: want {"kind":"found","facts":{"area":"Utah"}}`, reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Facts = providers.Facts{} })},
		"too few outcomes":  {rule: "found", says: "1 outcomes for 2 numbers", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Outcomes = r.Outcomes[1:]; return r }},
		"never not found":   {rule: "not found", says: `number 0: want {"kind":"not_found"}`, reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Kind = providers.Found })},
		"all or nothing":    {rule: "partial", says: "partial.json: the call failed: missing", reply: func(_ providers.Query, r providers.Reply) providers.Reply { return wholeIfMissing(r) }},
		"balance forgotten": {rule: "other recorded calls", says: "the call failed with {Kind:forbidden Code:402}, want {Kind:no_balance Code:402}", reply: kindFor(providers.KindNoBalance, providers.KindForbidden)},
		"raw of the first":  {rule: "raw", says: "number 1: its raw object is of another number", reply: sameRaw},
		"raw unasked":       {rule: "found", says: "has a raw object that nobody asked for", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Raw = []byte("{}") })},
		"calls get mixed up": {rule: "parallel", says: "numbers: number ", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, call: func(ctx context.Context, q providers.Query) providers.Reply {
				mu.Lock()
				last = q
				mu.Unlock()
				p.Call(ctx, q)
				mu.Lock()
				defer mu.Unlock()
				return p.Call(ctx, last)
			}}
		}},
		"deaf to cancel": {rule: "cancel", says: "cancelled before the call: the call did not fail", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, call: func(ctx context.Context, q providers.Query) providers.Reply {
				return p.Call(context.WithoutCancel(ctx), q)
			}}
		}},
		"leaves something running": {rule: "goroutines", says: "found unexpected goroutines", reply: func(_ providers.Query, r providers.Reply) providers.Reply {
			go func() { <-end }()
			return r
		}},
		"any address":           {rule: "base url", says: "base_url example.com is taken", config: func(c *setup.Config) { c.BaseURL = "" }},
		"429 is an outage":      {rule: "throttled", says: "429 with map[] of the call: the call failed with unavailable", reply: kindFor(providers.KindThrottled, providers.KindUnavailable)},
		"no Retry-After":        {rule: "throttled", says: "retry after 0s, want 7s", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Failure.RetryAfter = 0; return r }},
		"403 is an unknown key": {rule: "status", says: "status 403  of the call: the call failed with unauthorized", reply: kindFor(providers.KindForbidden, providers.KindUnauthorized)},
		"refused is ambiguous":  {rule: "refused", says: "the call failed with cut_off: not sent", reply: kindFor(providers.KindUnavailable, providers.KindCutOff)},
		"a hang is an outage":   {rule: "hang", says: "failed with unavailable: no reply in time, want [timeout]", reply: kindFor(providers.KindTimeout, providers.KindUnavailable)},
		"a reset is an outage":  {rule: "reset", says: "failed with unavailable: connection reset, want [cut_off]", reply: kindFor(providers.KindCutOff, providers.KindUnavailable)},
		"half is good enough":   {rule: "truncated", says: "the call cut to 1 bytes: the call did not fail", reply: allAre(notFound, providers.KindGarbled)},
		"cut off is garbled":    {rule: "truncated", says: "the call failed with garbled: reply broke off", reply: kindFor(providers.KindCutOff, providers.KindGarbled)},
		"size is not told":      {rule: "oversize", says: "the call failed with garbled: reply is larger than the cap", reply: kindFor(providers.KindOversize, providers.KindGarbled)},
		"strict content type": {rule: "content type", says: `with Content-Type "`, config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(r)
			if err == nil && !strings.Contains(res.Header.Get("Content-Type"), "json") {
				res.Body = io.NopCloser(strings.NewReader("?"))
			}
			return res, err
		})},
		"a page is not found":    {rule: "html", says: "a web page as text/html of the call: the call did not fail", reply: allAre(notFound, providers.KindGarbled)},
		"nothing is not found":   {rule: "empty reply", says: `reply "" of the call: number 0 is not_found`, reply: allAre(notFound, providers.KindGarbled)},
		"nothing blames the key": {rule: "empty reply", says: "a senseless reply is taken for unauthorized", reply: kindFor(providers.KindGarbled, providers.KindUnauthorized)},
		"senseless is invalid":   {rule: "wrong types", says: "a senseless reply is taken for rejected", reply: allAre(invalid, providers.KindGarbled)},
		"senseless number by number": {rule: "wrong types", says: "a senseless reply is taken for rejected", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) {
			if out.Kind == providers.Failed {
				*out = invalid
			}
		})},
		"redirects are followed": {rule: "redirect", says: "status 301 of the call: the call failed with garbled", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			return (&http.Client{Transport: next}).Do(r)
		})},
		"quotes the key": {rule: "secrets", says: ") holds the key", reply: func(q providers.Query, r providers.Reply) providers.Reply {
			if r.Failure != nil {
				r.Failure.Message += q.Key.Secret.Reveal()
			}
			return r
		}},
		"quotes numbers": {rule: "secrets", says: "the text of a failure (missing) holds a number", reply: each(func(i int, out *providers.Outcome, q providers.Query) {
			if out.Failure != nil {
				out.Failure = &providers.Failure{Kind: out.Failure.Kind, Message: q.Numbers[i].E164}
			}
		})},
		"facts with the key": {rule: "secrets", says: "the facts of number ", reply: each(func(_ int, out *providers.Outcome, q providers.Query) {
			if out.Kind == providers.Found {
				out.Facts.NotPortableReason = "asked with " + q.Key.Secret.Reveal()
			}
		})},
		"raw with the key": {rule: "secrets", says: "the raw object of number ", reply: each(func(_ int, out *providers.Outcome, q providers.Query) {
			if q.Raw {
				out.Raw = []byte(`{"asked_with":"` + q.Key.Secret.Reveal() + `"}`)
			}
		})},
		"a bad request blames the key": {rule: "bad request", says: "to one number: the call failed with forbidden", reply: func(q providers.Query, r providers.Reply) providers.Reply {
			if len(q.Numbers) > 1 {
				return r
			}
			return kindFor(providers.KindRefused, providers.KindForbidden)(q, r)
		}},
		"a bad request to be tried again": {rule: "bad request", says: "to one number: the number failed with retryable", reply: allAre(providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable}}, providers.KindRefused)},
		"a bad request is not found":      {rule: "bad request", says: "to one number: the number is not_found", reply: allAre(notFound, providers.KindRefused)},
		"pending for ever":                {rule: "wrong types", says: "is pending, and nothing more will be asked", reply: allAre(providers.Outcome{Kind: providers.Pending}, providers.KindGarbled)},
		"missing is not found": {rule: "missing numbers", says: "without number 0: number 0: want", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) {
			if out.Kind == providers.Failed {
				*out = notFound
			}
		})},
		"strangers not counted":  {rule: "extra numbers", says: "counted 0 extra and 0 duplicate entries, want 1 and 0", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Extra = 0; return r }},
		"duplicates not counted": {rule: "duplicate numbers", says: "counted 0 extra and 0 duplicate entries, want 0 and 1", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Duplicates = 0; return r }},
		"by place":               {rule: "any order", says: "turned by 0: number 0: want", reply: byPlace},
		"half a batch": {rule: "full batch", says: "50 numbers: number 25: want", reply: each(func(i int, out *providers.Outcome, _ providers.Query) {
			if i >= 25 {
				*out = notFound
			}
		})},
		"balance at any price": {rule: "balance", says: "balance.json: 0 requests, want 1", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, balance: func() (providers.Balance, *providers.Failure) {
				return providers.Balance{Amount: 12.5, Unit: "USD"}, nil
			}}
		}},
		"a panic": {rule: "found", says: "the provider panicked: toy", reply: func(providers.Query, providers.Reply) providers.Reply { panic("toy") }},
	}
}

// byPlace undoes the joining of a reply in the opposite order.
func byPlace(q providers.Query, r providers.Reply) providers.Reply {
	if len(q.Numbers) == 2 && len(r.Outcomes) == 2 {
		slices.Reverse(r.Outcomes)
	}
	return r
}

func wholeIfMissing(r providers.Reply) providers.Reply {
	for _, o := range r.Outcomes {
		if o.Kind == providers.Failed {
			return providers.Reply{Failure: o.Failure}
		}
	}
	return r
}

func sameRaw(q providers.Query, r providers.Reply) providers.Reply {
	for i := range r.Outcomes {
		if q.Raw {
			r.Outcomes[i].Raw = r.Outcomes[0].Raw
		}
	}
	return r
}

func forgetLines(node *yaml.Node) {
	if node != nil {
		node.Line = 0
		for _, n := range node.Content {
			forgetLines(n)
		}
	}
}

func toyType(f flaw) Type {
	return Type{Name: "toy", New: f.build, Testdata: filepath.Join("testdata", "toy")}
}

func TestSoundProviderPassesEveryRule(t *testing.T) {
	Run(t, toyType(flaw{}))
	x, err := newExam(toyType(flaw{}))
	require.NoError(t, err)
	require.Len(t, rulesFor(x), 32, "all rules apply to the toy")
}

// Every rule sees the flaws it is there for, and there is one for each rule.
func TestFlawsAreSeen(t *testing.T) {
	x, err := newExam(toyType(flaw{}))
	require.NoError(t, err)
	unseen := map[string]bool{}
	for _, r := range rulesFor(x) {
		unseen[r.name] = true
	}
	for name, f := range flaws(t) {
		t.Run(name, func(t *testing.T) {
			delete(unseen, f.rule)
			require.NotEmpty(t, f.says)
			require.ErrorContains(t, runRule(t, f), f.says)
		})
	}
	require.Empty(t, unseen, "rules without a flaw that they see")
}

func runRule(t *testing.T, f flaw) error {
	t.Helper()
	x, err := newExam(toyType(f))
	if err != nil {
		return err
	}
	for _, r := range rulesFor(x) {
		if r.name == f.rule {
			return r.run(t.Context(), x)
		}
	}
	return nil
}
