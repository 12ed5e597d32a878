package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// later is a small sound deferred provider with a second operation, which takes a
// number at a time and answers at once: option "now". It cannot be built without
// a setting.
type later struct {
	client *upstream.Client
	app    string
	pace   providers.Pace
	// The places for flaws.
	receipt func([]byte, bool) (providers.Receipt, error)
	submit  func(context.Context, providers.Query, string, string) providers.Reply
	fetch   func(context.Context, providers.Fetch) providers.Page
	valid   func(providers.Options) error
}

func newLater(cfg setup.Config) (*later, error) {
	var s struct {
		App string `yaml:"app"`
	}
	client, err := upstream.New(upstream.Config{BaseURL: cfg.BaseURL, Transport: cfg.Transport, Clock: cfg.Clock})
	err = setup.Join("", err, setup.Join("settings", setup.Decode(cfg.Settings, &s)))
	if s.App == "" || len(cfg.Keys) != 1 {
		err = setup.Join("", err, setup.FieldError{Path: "settings.app", Problem: "is missing"})
	}
	if err != nil {
		return nil, err
	}
	p := &later{client: client, app: s.App, pace: providers.Pace{
		PollAfter: time.Minute, PollEvery: time.Minute, GiveUpAfter: time.Hour, UnknownAfter: 10 * time.Minute,
		FetchRate: 1, Outstanding: 1000,
	}}
	p.receipt, p.submit, p.fetch, p.valid = readLater, p.send, p.look, validLater
	return p, nil
}

func (p *later) Limits() providers.Limits {
	return providers.Limits{MaxBatch: 50, DefaultBatch: 10, Timeout: 1}
}

func (p *later) PartitionLimit(partition string) int {
	if partition == "now" {
		return 1
	}
	return 30
}

func (p *later) ValidateOptions(opts providers.Options) error { return p.valid(opts) }

func validLater(opts providers.Options) error {
	for name, value := range opts {
		_, isBool := value.(bool)
		switch {
		case name == "now" && isBool, name == "level" && levelOf(value) > 0:
		default:
			return errors.New("unknown option")
		}
	}
	return nil
}

// levelOf reads a number as it comes from either way of decoding, 0 if it is none.
func levelOf(value any) int64 {
	switch v := value.(type) {
	case float64:
		return int64(v)
	case json.Number:
		n, _ := v.Int64()
		return n
	}
	return 0
}

func (p *later) Partition(n providers.Number, opts providers.Options) (string, *providers.Failure) {
	switch {
	case n.CountryCode != "1":
		return "", &providers.Failure{Kind: providers.KindUnsupported}
	case opts["now"] == true:
		return "now", nil
	}
	return "level " + strconv.FormatInt(levelOf(opts["level"]), 10), nil
}

func (p *later) Defers(q providers.Query) bool { return q.Partition != "now" }

func (p *later) Pace() providers.Pace { return p.pace }

func (p *later) Receipt(body []byte, raw bool) (providers.Receipt, error) {
	return p.receipt(body, raw)
}

func (p *later) Submit(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
	return p.submit(ctx, q, ticket, callback)
}

func (p *later) Fetch(ctx context.Context, f providers.Fetch) providers.Page { return p.fetch(ctx, f) }

// Call answers one number at once.
func (p *later) Call(ctx context.Context, q providers.Query) providers.Reply {
	req := request(http.MethodGet, "/now", q.Key, nil)
	req.Query = url.Values{"number": {q.Numbers[0].E164}}
	res, failure := p.client.Do(ctx, req)
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	r, err := readLater(res.Body, q.Raw)
	if err != nil || r.Number != q.Numbers[0].E164 {
		return providers.Reply{Failure: upstream.Unreadable(res)}
	}
	return providers.Reply{Outcomes: []providers.Outcome{r.Outcome}}
}

func (p *later) post(ctx context.Context, path string, key providers.Key, body map[string]any, hide ...providers.Secret) (upstream.Response, *providers.Failure) {
	raw, err := json.Marshal(body)
	if err != nil {
		return upstream.Response{}, &providers.Failure{Kind: providers.KindInternal}
	}
	req := request(http.MethodPost, path, key, raw)
	req.Secrets = append(req.Secrets, hide...)
	return p.client.Do(ctx, req)
}

func (p *later) send(ctx context.Context, q providers.Query, ticket, callback string) providers.Reply {
	var asked []string
	for _, n := range q.Numbers {
		asked = append(asked, n.E164)
	}
	res, failure := p.post(ctx, "/submit", q.Key,
		map[string]any{"app": p.app, "ticket": ticket, "numbers": asked, "to": callback}, providers.NewSecret(callback))
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	var reply struct {
		Taken   *bool    `json:"taken"`
		Refused []string `json:"refused"`
	}
	if err := json.Unmarshal(res.Body, &reply); err != nil || reply.Taken == nil {
		return providers.Reply{Failure: upstream.Unreadable(res)}
	}
	j := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164 })
	for _, number := range reply.Refused {
		if out := j.Place([]byte(number)); out != nil {
			*out = providers.Outcome{Kind: providers.Invalid, Failure: &providers.Failure{Kind: providers.KindRejected}}
		}
	}
	j.Rest(providers.Outcome{Kind: providers.Pending})
	r := j.Reply()
	r.Ticket = ticket
	return r
}

func (p *later) look(ctx context.Context, f providers.Fetch) providers.Page {
	res, failure := p.post(ctx, "/query", f.Key, map[string]any{"ticket": f.Ticket, "page": f.Page, "day": f.SubmittedAt.Format(time.DateOnly)})
	if failure != nil {
		return providers.Page{Failure: failure}
	}
	var reply struct {
		Pages int               `json:"pages"`
		Data  []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(res.Body, &reply); err != nil || reply.Data == nil {
		return providers.Page{Failure: upstream.Unreadable(res)}
	}
	page := providers.Page{More: f.Page < reply.Pages, Known: true}
	for _, raw := range reply.Data {
		page.Entries = append(page.Entries, raw)
	}
	return page
}

// laterEntry is what the upstream says of a number, everywhere.
type laterEntry struct {
	Ticket string `json:"ticket"`
	Number string `json:"number"`
	State  string `json:"state"`
	MCC    string `json:"mcc"`
	Ported string `json:"ported"`
	Price  string `json:"price"`
}

func readLater(body []byte, raw bool) (providers.Receipt, error) {
	var e laterEntry
	if json.Unmarshal(body, &e) != nil || e.Number == "" {
		return providers.Receipt{}, errors.New("no receipt")
	}
	r := providers.Receipt{Ticket: e.Ticket, Number: e.Number}
	switch e.State {
	case "found":
		f := providers.Facts{MCC: e.MCC}
		f.Ported = map[string]providers.Tri{"Y": providers.Yes, "N": providers.No, "?": providers.Undetermined}[e.Ported]
		r.Outcome = providers.Outcome{Kind: providers.Found, Facts: f}
		if e.Price != "" {
			r.Outcome.Cost = providers.Cost{Amount: e.Price, Currency: "USD"}
		}
	case "none":
		r.Outcome.Kind = providers.NotFound
	default:
		r.Outcome.Failure = &providers.Failure{Kind: providers.KindUndocumented}
	}
	if raw {
		r.Outcome.Raw = body
	}
	return r, nil
}
