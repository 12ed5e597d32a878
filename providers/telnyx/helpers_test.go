package telnyx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

const testKey = "KEY0199A7C3D52E6F81_w8VtR4qZp1LmXs6BnJdKe2"

// transport answers without a network.
type transport func(*http.Request) *http.Response

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return t(r), nil
}

// says is a reply; header is a list of names and values.
func says(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func newProvider(t testing.TB, settingsText string, rt http.RoundTripper) *Provider {
	t.Helper()
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(settingsText), &node))
	p, err := New(setup.Config{Name: "telnyx", Settings: &node, Transport: rt})
	require.NoError(t, err)
	return p
}

func number(e164 string) providers.Number {
	return providers.Number{E164: e164, CountryCode: e164[1:2], National: e164[2:]}
}

func key() providers.Key {
	return providers.Key{Name: "main", Secret: providers.NewSecret(testKey)}
}

func query(op operation, numbers ...string) providers.Query {
	q := providers.Query{Key: key(), Options: providers.Options{optionOperation: string(op)}}
	for _, n := range numbers {
		q.Numbers = append(q.Numbers, number(n))
	}
	return q
}

// askAll calls until all numbers of q have what is theirs, as the worker does: what
// is innocent is asked again.
func askAll(t testing.TB, p *Provider, q providers.Query) providers.Reply {
	t.Helper()
	all := providers.Reply{Outcomes: make([]providers.Outcome, len(q.Numbers))}
	open := make([]int, len(q.Numbers)) // indices into all
	for i := range open {
		open[i] = i
	}
	for range 10_000 {
		rest := q
		rest.Numbers = nil
		for _, i := range open {
			rest.Numbers = append(rest.Numbers, q.Numbers[i])
		}
		r := p.Call(t.Context(), rest)
		if r.Failure != nil {
			if !r.Failure.Innocent {
				return r
			}
			time.Sleep(r.Failure.RetryAfter) //nolint:forbidigo // as the worker does
			continue
		}
		var again []int
		for i, o := range r.Outcomes {
			if o.Failure != nil && o.Failure.Innocent {
				again = append(again, open[i])
				continue
			}
			all.Outcomes[open[i]] = o
		}
		if open = again; len(open) == 0 {
			return all
		}
	}
	require.FailNow(t, "this does not end")
	return all
}

// said sums up a reply: kind and failure of each outcome, or the call's failure.
func said(r providers.Reply) string {
	if r.Failure != nil {
		return "call: " + r.Failure.Error()
	}
	words := make([]string, len(r.Outcomes))
	for i, o := range r.Outcomes {
		words[i] = [...]string{"failed", "found", "not found", "invalid"}[o.Kind]
		if o.Failure != nil {
			words[i] += " " + o.Failure.Error()
		}
	}
	return strings.Join(words, "; ")
}

// What stands in every order of a fake account and must not leave the package.
const plantedPIN, plantedAccount, plantedTax = "PIN-99-7731", "ACCT-55129", "TAXID-8841"

// account is a fake account at Telnyx: the porting endpoints over a list of
// orders. Fields but seen are set before it is used.
type account struct {
	orders []*fakeOrder
	// pageSize is the most entries that it gives, embed the most numbers in an order.
	pageSize, embed int
	header          []string
	// before is called with each request, and may answer it.
	before func(r *http.Request) *http.Response

	mu   sync.Mutex
	seen []string // method and path with decoded query
}

type fakeOrder struct {
	id, status, created string
	numbers             []string
	activation          string
}

func orderID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

func (a *account) transport() transport {
	return func(r *http.Request) *http.Response {
		a.mu.Lock()
		a.seen = append(a.seen, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v2"))
		a.mu.Unlock()
		if a.before != nil {
			if res := a.before(r); res != nil {
				return res
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		path := strings.TrimPrefix(r.URL.Path, "/v2")
		id, byID := strings.CutPrefix(path, "/porting_orders/")
		switch {
		case path == "/porting_orders":
			return a.list(r, a.matching(r))
		case path == "/porting_phone_numbers":
			return a.list(r, a.allNumbers())
		case byID:
			for _, o := range a.orders {
				if o.id == id {
					return says(200, encode(map[string]any{"data": o.json(true, a.embed)}))
				}
			}
		}
		return says(404, `{"errors":[{"code":"10005","title":"Resource not found"}]}`)
	}
}

func (a *account) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen)
}

func (a *account) matching(r *http.Request) []func() any {
	q := r.URL.Query()
	part := q.Get("filter[phone_numbers][phone_number][contains]")
	sorted := slices.Clone(a.orders)
	slices.SortStableFunc(sorted, func(x, y *fakeOrder) int { return strings.Compare(x.created, y.created) })
	if q.Get("sort[value]") == "-created_at" {
		slices.Reverse(sorted)
	}
	var out []func() any
	for _, o := range sorted {
		if part == "" || slices.ContainsFunc(o.numbers, func(n string) bool { return strings.Contains(n, part) }) {
			out = append(out, func() any { return o.json(q.Get("include_phone_numbers") == "true", a.embed) })
		}
	}
	return out
}

func (a *account) allNumbers() []func() any {
	var out []func() any
	for _, o := range a.orders {
		for _, n := range o.numbers {
			out = append(out, func() any { return o.number(n) })
		}
	}
	return out
}

func (o *fakeOrder) number(n string) map[string]any {
	return map[string]any{
		"phone_number": strings.TrimPrefix(n, "+"), "activation_status": o.activation, "porting_order_id": o.id,
		"porting_order_status": o.status, "support_key": "sr_" + plantedAccount, "record_type": "porting_phone_number",
	}
}

func (o *fakeOrder) json(withNumbers bool, embed int) map[string]any {
	numbers := []any{}
	for _, n := range o.numbers {
		if withNumbers && len(numbers) < embed {
			numbers = append(numbers, o.number(n))
		}
	}
	return map[string]any{
		"id": o.id, "created_at": o.created, "porting_phone_numbers_count": len(o.numbers), "phone_numbers": numbers,
		"status":              map[string]any{"value": o.status, "details": []any{map[string]any{"code": "OTHER", "description": "wrong " + plantedPIN}}},
		"activation_settings": map[string]any{"activation_status": "New", "foc_datetime_requested": "2026-03-25T16:00:00Z", "foc_datetime_actual": nil},
		"end_user":            map[string]any{"admin": map[string]any{"pin_passcode": plantedPIN, "account_number": plantedAccount, "tax_identifier": plantedTax}},
		"description":         plantedAccount, "customer_reference": plantedTax,
	}
}

func (a *account) list(r *http.Request, all []func() any) *http.Response {
	size, _ := strconv.Atoi(r.URL.Query().Get("page[size]"))
	number, _ := strconv.Atoi(r.URL.Query().Get("page[number]"))
	size, number = min(size, a.pageSize), max(number, 1)
	from := min((number-1)*size, len(all))
	data := []any{}
	for _, entry := range all[from:min(from+size, len(all))] {
		data = append(data, entry())
	}
	return says(200, encode(map[string]any{"data": data, "meta": map[string]any{
		"page_number": number, "page_size": size, "total_pages": (len(all) + size - 1) / size, "total_results": len(all),
	}}), a.header...)
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// bulk is an account of n orders of one number each, +130355xxxxx.
func bulk(n int) *account {
	a := &account{pageSize: 100, embed: 50}
	for i := range n {
		a.orders = append(a.orders, &fakeOrder{
			id: orderID(i), status: "submitted", activation: "Pending", numbers: []string{bulkNumber(i)},
			created: fmt.Sprintf("2026-01-01T00:%02d:%02dZ", i/60%60, i%60),
		})
	}
	return a
}

func bulkNumber(i int) string { return fmt.Sprintf("+1303550%04d", i) }
