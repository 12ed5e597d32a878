package providertest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// toy is a small sound provider; the flaws in flaws_test.go are put into it.
type toy struct {
	client *upstream.Client
	limits providers.Limits
}

func newToy(cfg setup.Config) (*toy, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://toy.example"
	}
	client, err := upstream.New(upstream.Config{BaseURL: cfg.BaseURL, Transport: cfg.Transport, Clock: cfg.Clock})
	if err := setup.Join("", err, setup.Join("settings", setup.Decode(cfg.Settings, &struct{}{}))); err != nil {
		return nil, err
	}
	return &toy{client: client, limits: providers.Limits{MaxBatch: 50, DefaultBatch: 10, Timeout: 1}}, nil
}

func (p *toy) Limits() providers.Limits { return p.limits }

func (p *toy) Partition(n providers.Number, _ providers.Options) (string, *providers.Failure) {
	if n.CountryCode != "1" {
		return "", &providers.Failure{Kind: providers.KindUnsupported}
	}
	return "all", nil
}

func (p *toy) Call(ctx context.Context, q providers.Query) providers.Reply {
	var asked []string
	for _, n := range q.Numbers {
		asked = append(asked, n.E164)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindInternal}}
	}
	res, failure := p.client.Do(ctx, request(http.MethodPost, "/lookup", q.Key, body))
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	return readToy(q, res)
}

func request(method, path string, key providers.Key, body []byte) upstream.Request {
	r := upstream.Request{
		Method: method, Path: path, Body: body, Secrets: []providers.Secret{key.Secret},
		Header: http.Header{"Authorization": {"Bearer " + key.Secret.Reveal()}},
	}
	if body != nil {
		r.ContentType = "application/json"
	}
	return r
}

type toyEntry struct {
	Number string `json:"number"`
	Found  *bool  `json:"found"`
	Area   string `json:"area"`
}

func readToy(q providers.Query, res upstream.Response) providers.Reply {
	var reply struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(res.Body, &reply); err != nil || reply.Data == nil {
		return providers.Reply{Failure: upstream.Unreadable(res)}
	}
	j := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164 })
	for _, raw := range reply.Data {
		var e toyEntry
		if err := json.Unmarshal(raw, &e); err != nil || e.Found == nil {
			continue // it is missing, then
		}
		out := j.Place([]byte(e.Number))
		if out == nil {
			continue
		}
		if out.Kind = providers.NotFound; *e.Found {
			out.Kind, out.Facts.Area = providers.Found, e.Area
		}
		if q.Raw {
			out.Raw = raw
		}
	}
	return j.Reply()
}

func (p *toy) Balance(ctx context.Context, key providers.Key) (providers.Balance, *providers.Failure) {
	res, failure := p.client.Do(ctx, request(http.MethodGet, "/balance", key, nil))
	if failure != nil {
		return providers.Balance{}, failure
	}
	var reply struct {
		Left *float64 `json:"left"`
	}
	if err := json.Unmarshal(res.Body, &reply); err != nil || reply.Left == nil {
		return providers.Balance{}, upstream.Unreadable(res)
	}
	return providers.Balance{Amount: *reply.Left, Unit: "USD"}, nil
}
