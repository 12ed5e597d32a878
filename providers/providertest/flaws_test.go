package providertest

import (
	"context"
	"io"
	"net/http"
	"os"
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
		"no maximum":        {rule: "limits", provider: withLimits(func(l *providers.Limits) { l.MaxBatch = 0 })},
		"no timeout":        {rule: "limits", provider: withLimits(func(l *providers.Limits) { l.Timeout = 0 })},
		"restless limits":   {rule: "limits", provider: func(p *toy) providers.Provider { return &odd{toy: p} }},
		"lax settings":      {rule: "settings", config: func(c *setup.Config) { c.Settings = nil }},
		"settings unplaced": {rule: "settings", config: func(c *setup.Config) { forgetLines(c.Settings) }},
		"many partitions": {rule: "partition", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, partition: func(n providers.Number) (string, *providers.Failure) { return n.E164, nil }}
		}},
		"harsh partition": {rule: "partition", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, partition: func(n providers.Number) (string, *providers.Failure) {
				if n.CountryCode != "1" {
					return "", &providers.Failure{Kind: providers.KindRejected}
				}
				return "all", nil
			}}
		}},
		"another path": {rule: "found", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			r.URL.Path = "/lookups"
			return next.RoundTrip(r)
		})},
		"key in the address": {rule: "found", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			r.URL.RawQuery = "key=" + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			return next.RoundTrip(r)
		})},
		"two requests": {rule: "found", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, call: func(ctx context.Context, q providers.Query) providers.Reply {
				p.Call(ctx, q)
				return p.Call(ctx, q)
			}}
		}},
		"no facts":          {rule: "found", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Facts = providers.Facts{} })},
		"too few outcomes":  {rule: "found", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Outcomes = r.Outcomes[1:]; return r }},
		"never not found":   {rule: "not found", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Kind = providers.Found })},
		"all or nothing":    {rule: "partial", reply: func(_ providers.Query, r providers.Reply) providers.Reply { return wholeIfMissing(r) }},
		"balance forgotten": {rule: "other recorded calls", reply: kindFor(providers.KindNoBalance, providers.KindForbidden)},
		"raw of the first":  {rule: "raw", reply: sameRaw},
		"raw unasked":       {rule: "found", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) { out.Raw = []byte("{}") })},
		"calls get mixed up": {rule: "parallel", provider: func(p *toy) providers.Provider {
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
		"deaf to cancel": {rule: "cancel", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, call: func(ctx context.Context, q providers.Query) providers.Reply {
				return p.Call(context.WithoutCancel(ctx), q)
			}}
		}},
		"leaves something running": {rule: "goroutines", reply: func(_ providers.Query, r providers.Reply) providers.Reply {
			go func() { <-end }()
			return r
		}},
		"any address":           {rule: "base url", config: func(c *setup.Config) { c.BaseURL = "" }},
		"429 is an outage":      {rule: "throttled", reply: kindFor(providers.KindThrottled, providers.KindUnavailable)},
		"no Retry-After":        {rule: "throttled", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Failure.RetryAfter = 0; return r }},
		"403 is an unknown key": {rule: "status", reply: kindFor(providers.KindForbidden, providers.KindUnauthorized)},
		"refused is ambiguous":  {rule: "refused", reply: kindFor(providers.KindUnavailable, providers.KindCutOff)},
		"a hang is an outage":   {rule: "hang", reply: kindFor(providers.KindTimeout, providers.KindUnavailable)},
		"a reset is an outage":  {rule: "reset", reply: kindFor(providers.KindCutOff, providers.KindUnavailable)},
		"half is good enough":   {rule: "truncated", reply: allAre(notFound, providers.KindGarbled)},
		"cut off is garbled":    {rule: "truncated", reply: kindFor(providers.KindCutOff, providers.KindGarbled)},
		"size is not told":      {rule: "oversize", reply: kindFor(providers.KindOversize, providers.KindGarbled)},
		"strict content type": {rule: "content type", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(r)
			if err == nil && !strings.Contains(res.Header.Get("Content-Type"), "json") {
				res.Body = io.NopCloser(strings.NewReader("?"))
			}
			return res, err
		})},
		"a page is not found":    {rule: "html", reply: allAre(notFound, providers.KindGarbled)},
		"nothing is not found":   {rule: "empty reply", reply: allAre(notFound, providers.KindGarbled)},
		"nothing blames the key": {rule: "empty reply", reply: kindFor(providers.KindGarbled, providers.KindUnauthorized)},
		"senseless is invalid":   {rule: "wrong types", reply: allAre(invalid, providers.KindGarbled)},
		"senseless number by number": {rule: "wrong types", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) {
			if out.Kind == providers.Failed {
				*out = invalid
			}
		})},
		"redirects are followed": {rule: "redirect", config: via(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			return (&http.Client{Transport: next}).Do(r)
		})},
		"quotes the key": {rule: "secrets", reply: func(q providers.Query, r providers.Reply) providers.Reply {
			if r.Failure != nil {
				r.Failure.Message += q.Key.Secret.Reveal()
			}
			return r
		}},
		"quotes numbers": {rule: "secrets", reply: each(func(i int, out *providers.Outcome, q providers.Query) {
			if out.Failure != nil {
				out.Failure = &providers.Failure{Kind: out.Failure.Kind, Message: q.Numbers[i].E164}
			}
		})},
		"missing is not found": {rule: "missing numbers", reply: each(func(_ int, out *providers.Outcome, _ providers.Query) {
			if out.Kind == providers.Failed {
				*out = notFound
			}
		})},
		"strangers not counted":  {rule: "extra numbers", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Extra = 0; return r }},
		"duplicates not counted": {rule: "duplicate numbers", reply: func(_ providers.Query, r providers.Reply) providers.Reply { r.Duplicates = 0; return r }},
		"by place":               {rule: "any order", reply: byPlace},
		"half a batch": {rule: "full batch", reply: each(func(i int, out *providers.Outcome, _ providers.Query) {
			if i >= 25 {
				*out = notFound
			}
		})},
		"balance at any price": {rule: "balance", provider: func(p *toy) providers.Provider {
			return &odd{toy: p, balance: func() (providers.Balance, *providers.Failure) {
				return providers.Balance{Amount: 12.5, Unit: "USD"}, nil
			}}
		}},
		"a panic": {rule: "found", reply: func(providers.Query, providers.Reply) providers.Reply { panic("toy") }},
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
	require.Len(t, rulesFor(x), 31, "all rules apply to the toy")
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
			require.Error(t, runRule(t, f))
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

// A provider that calls nobody, and one that takes a number at a time, are asked
// what concerns them.
func TestRulesFollowCapabilities(t *testing.T) {
	t.Parallel()
	x, err := newExam(toyType(flaw{}))
	require.NoError(t, err)
	x.limits.MaxBatch = 1
	require.Len(t, rulesFor(x), 26)
	x.limits.Keyless = true
	require.Len(t, rulesFor(x), 12)
}

// A recorded call that is not there fails with the file to add.
func TestMissingRecordingIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	typ := toyType(flaw{})
	require.NoError(t, os.CopyFS(dir, os.DirFS(typ.Testdata)))
	typ.Testdata = dir
	for file, rule := range map[string]string{fileNotFound: "not found", filePartial: "partial", fileBalance: "balance"} {
		require.NoError(t, os.Remove(filepath.Join(dir, file)))
		x, err := newExam(typ)
		require.NoError(t, err)
		for _, r := range rulesFor(x) {
			if r.name == rule {
				require.ErrorContains(t, r.run(t.Context(), x), filepath.Join(dir, file)+" is missing: add it with a call")
			}
		}
	}
	require.NoError(t, os.Remove(filepath.Join(dir, fileFound)))
	_, err := newExam(typ)
	require.ErrorContains(t, err, fileFound+" is missing")
}
