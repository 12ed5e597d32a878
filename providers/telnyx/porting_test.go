package telnyx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// large is an order of n numbers from +13035510000 on.
func large(i, n int) *fakeOrder {
	o := &fakeOrder{id: orderID(i), status: "submitted", activation: "Pending", created: "2026-02-01T00:00:00Z"}
	for j := range n {
		o.numbers = append(o.numbers, fmt.Sprintf("+1303551%04d", j))
	}
	return o
}

func orderOf(t *testing.T, r providers.Reply, i int) providers.Porting {
	t.Helper()
	if r.Failure != nil || r.Outcomes[i].Kind != providers.Found {
		require.FailNow(t, said(r)) // which is long
	}
	return *r.Outcomes[i].Facts.Porting
}

// The order that counts for a number, asked for directly and by the list alike.
func TestWhichOrderCounts(t *testing.T) {
	t.Parallel()
	const n = "+13035550000"
	at := func(i int, status, created string) *fakeOrder {
		return &fakeOrder{id: orderID(i), status: status, activation: "Pending", created: created, numbers: []string{"+13035559999", n}}
	}
	tests := map[string]struct {
		orders []*fakeOrder
		want   string // the order's id, "" for none
	}{
		"none":                      {nil, ""},
		"one":                       {[]*fakeOrder{at(1, "draft", "2026-01-01T00:00:00Z")}, orderID(1)},
		"the last":                  {[]*fakeOrder{at(1, "ported", "2026-01-01T00:00:00Z"), at(2, "exception", "2026-01-03T00:00:00Z"), at(3, "draft", "2026-01-02T00:00:00Z")}, orderID(2)},
		"cancelled ones stand back": {[]*fakeOrder{at(1, "ported", "2026-01-01T00:00:00Z"), at(2, "cancelled", "2026-01-03T00:00:00Z")}, orderID(1)},
		"being cancelled is not":    {[]*fakeOrder{at(1, "ported", "2026-01-01T00:00:00Z"), at(2, "cancel-pending", "2026-01-03T00:00:00Z")}, orderID(2)},
		"all cancelled: the last":   {[]*fakeOrder{at(1, "cancelled", "2026-01-02T00:00:00Z"), at(2, "cancelled", "2026-01-01T00:00:00Z")}, orderID(1)},
		"of a longer number":        {[]*fakeOrder{{id: orderID(1), status: "draft", created: "2026-01-01T00:00:00Z", numbers: []string{n + "1"}}}, ""},
	}
	for name, tt := range tests {
		for _, direct := range []int{0, 3} {
			t.Run(fmt.Sprintf("%s, direct %d", name, direct), func(t *testing.T) {
				t.Parallel()
				a := &account{orders: tt.orders, pageSize: 2, embed: 50}
				p := newProvider(t, fmt.Sprintf("porting_direct: %d", direct), a.transport())
				r := askAll(t, p, query(opPorting, n))
				if tt.want == "" {
					require.Equal(t, "not found", said(r))
					return
				}
				got := orderOf(t, r, 0)
				require.Equal(t, tt.want, got.OrderID)
				require.Equal(t, "Pending", got.ActivationStatus, "the number's own state")
				require.Equal(t, time.Date(2026, 3, 25, 16, 0, 0, 0, time.UTC), got.FOCAt)
				require.Equal(t, []string{"OTHER"}, got.Exceptions)
			})
		}
	}
}

// Of a large order only some numbers are embedded.
func TestNumberThatIsNotEmbedded(t *testing.T) {
	t.Parallel()
	const n = "+13035510117"
	tests := map[string]struct {
		byID      int // how many numbers the order has when it is asked for by its id
		wantCalls []string
	}{
		"by its id": {200, []string{"GET /porting_orders", "GET /porting_orders/" + orderID(1)}},
		"by the list": {50, []string{
			"GET /porting_orders", "GET /porting_orders/" + orderID(1), "GET /porting_orders", "GET /porting_phone_numbers", "GET /porting_phone_numbers",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{orders: []*fakeOrder{large(1, 120)}, pageSize: 100, embed: 50}
			a.before = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, orderID(1)) {
					require.Equal(t, "true", r.URL.Query().Get("include_phone_numbers"))
					return says(200, encode(map[string]any{"data": a.orders[0].json(true, tt.byID)}))
				}
				return nil
			}
			p := newProvider(t, "", a.transport())
			r := askAll(t, p, query(opPorting, n))
			require.Equal(t, orderID(1), orderOf(t, r, 0).OrderID)
			require.Equal(t, tt.wantCalls, a.requests())
		})
	}
	t.Run("not in it at all", func(t *testing.T) {
		t.Parallel()
		o := large(1, 120)
		o.numbers[119] = n + "9" // contains it, and lies beyond what is embedded
		a := &account{orders: []*fakeOrder{o}, pageSize: 100, embed: 50}
		o.numbers[117] = "+13035519999"
		p := newProvider(t, "", a.transport())
		require.Equal(t, "not found", said(askAll(t, p, query(opPorting, n))))
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		t.Parallel()
		a := &account{orders: []*fakeOrder{large(1, 120)}, pageSize: 100, embed: 50}
		a.before = func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, orderID(1)) {
				return says(404, problems("10005", "Resource not found", ""))
			}
			return nil
		}
		p := newProvider(t, "", a.transport())
		require.Equal(t, "not found", said(askAll(t, p, query(opPorting, n))))
	})
}

// One request a call also where a number's search takes several, or several numbers
// are asked for.
func TestDirectSearchIsOneRequestACall(t *testing.T) {
	t.Parallel()
	a := &account{orders: []*fakeOrder{large(1, 120)}, pageSize: 100, embed: 50}
	for i := range 3 {
		a.orders = append(a.orders, &fakeOrder{id: orderID(10 + i), status: "draft", created: "2026-01-01T00:00:00Z", numbers: []string{bulkNumber(i)}})
	}
	p := newProvider(t, "", a.transport())
	const other = "failed retryable: another number of the call was asked for"
	require.Equal(t, "found; "+other+"; "+other, said(p.Call(t.Context(), query(opPorting, bulkNumber(0), bulkNumber(1), bulkNumber(2)))))
	require.Len(t, a.requests(), 1)
	r := p.Call(t.Context(), query(opPorting, bulkNumber(1), bulkNumber(2)))
	require.Equal(t, "found; "+other, said(r))
	require.True(t, r.Outcomes[1].Failure.Innocent)
	require.Len(t, a.requests(), 2)

	hidden := query(opPorting, "+13035510117", bulkNumber(2)) // beyond what is embedded: the order, and then the list
	for calls := 3; ; calls++ {
		r := p.Call(t.Context(), hidden)
		require.Len(t, a.requests(), calls)
		if r.Failure == nil {
			require.Equal(t, orderID(1), orderOf(t, r, 0).OrderID)
			require.Equal(t, orderID(12), orderOf(t, r, 1).OrderID, "the list answers all")
			require.Equal(t, 3+4, calls)
			break
		}
		require.Equal(t, unfinished(0), r.Failure)
	}
	require.Empty(t, p.ledgers.of(key()).searches, "nothing is left behind")
}

// Unfinished searches are bounded, and forgotten after a while.
func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{orders: []*fakeOrder{large(1, 2)}, pageSize: 100, embed: 1}
		a.before = func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/porting_orders") {
				return says(200, encode(map[string]any{"data": []any{a.orders[0].json(true, 1)}, "meta": map[string]any{"total_pages": 1}}))
			}
			return nil
		}
		p := newProvider(t, "", a.transport())
		for i := range maxSearches {
			require.Equal(t, unfinished(0), p.Call(t.Context(), query(opPorting, bulkNumber(i))).Failure)
		}
		f := p.Call(t.Context(), query(opPorting, "+13035569999")).Failure
		require.Equal(t, providers.KindRetryable, f.Kind)
		require.False(t, f.Innocent, "this one uses up an attempt")
		time.Sleep(staleAfter + time.Second) //nolint:forbidigo // the bubble's clock
		require.Equal(t, unfinished(0), p.Call(t.Context(), query(opPorting, "+13035569999")).Failure)
		require.Len(t, p.ledgers.of(key()).searches, 1)
	})
}

// However many orders and pages a number has, a search ends and keeps little.
func TestSearchOfManyOrders(t *testing.T) {
	t.Parallel()
	const n = "+13035550000"
	a := &account{pageSize: 3, embed: 50}
	for i := range 40 {
		a.orders = append(a.orders, &fakeOrder{id: orderID(i), status: "cancelled", created: fmt.Sprintf("2026-01-01T00:00:%02dZ", i), numbers: []string{n}})
	}
	p := newProvider(t, "", a.transport())
	for calls := 1; calls <= maxDirectPages; calls++ {
		r := p.Call(t.Context(), query(opPorting, n))
		require.Len(t, a.requests(), calls)
		if calls == maxDirectPages {
			require.Equal(t, orderID(39), orderOf(t, r, 0).OrderID)
			break
		}
		require.Equal(t, unfinished(0), r.Failure)
		require.LessOrEqual(t, len(p.ledgers.of(key()).searches[n].candidates), maxCandidates)
	}
}

// A search that fails goes on where it was.
func TestSearchGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	a := &account{orders: []*fakeOrder{large(1, 120)}, pageSize: 100, embed: 50}
	broken := true
	a.before = func(r *http.Request) *http.Response {
		if !strings.HasSuffix(r.URL.Path, orderID(1)) {
			return nil
		}
		if broken {
			broken = false
			return says(500, "")
		}
		return says(200, encode(map[string]any{"data": a.orders[0].json(true, 200)}))
	}
	p := newProvider(t, "", a.transport())
	q := query(opPorting, "+13035510117")
	require.Equal(t, unfinished(0), p.Call(t.Context(), q).Failure)
	require.Equal(t, providers.KindUnavailable, p.Call(t.Context(), q).Failure.Kind)
	require.Equal(t, orderID(1), orderOf(t, p.Call(t.Context(), q), 0).OrderID)
	require.Len(t, a.requests(), 3)
}

func TestDirectRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"no number":       {422, problems("10016", "must be E.164", ""), "invalid rejected (code 10016): must be E.164"},
		"no such filter":  {422, problems("10015", "unknown filter", "/filter"), "call: refused (code 10015): unknown filter"},
		"no permission":   {403, problems("10010", "Authorization failed", ""), "call: misconfigured (code 10010): the key may not use porting_status: Authorization failed"},
		"no list":         {200, `{"data":{}}`, "call: garbled: not the documented JSON"},
		"unreadable":      {200, `{"data":[7],"meta":{"total_pages":1}}`, "failed garbled: an entry of the list cannot be read, and may be this number's"},
		"no meta, others": {200, `{"data":[{"id":"` + orderID(1) + `","porting_phone_numbers_count":0}]}`, "call: garbled: not the documented JSON"},
		"no meta, none":   {200, `{"data":[]}`, "not found"},
	}
	for name, tt := range tests {
		p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(tt.status, tt.body) }))
		require.Equal(t, tt.want, said(askAll(t, p, query(opPorting, "+13035550000"))), name)
	}
}

// Nothing of what an end user entrusts to a carrier leaves the package: not in
// facts, raw objects, failures, nor in what is kept.
func TestPlantedDataStaysInside(t *testing.T) {
	t.Parallel()
	planted := []string{plantedPIN, plantedAccount, plantedTax, "99-7731", "55129", "8841", "wrong"}
	a := &account{orders: []*fakeOrder{large(1, 120), {id: orderID(2), status: "exception", created: "2026-01-01T00:00:00Z", numbers: []string{"+13035550000"}}}, pageSize: 100, embed: 50}
	for _, direct := range []int{0, 3} {
		for status := range 3 {
			p := newProvider(t, fmt.Sprintf("porting_direct: %d", direct), transport(func(r *http.Request) *http.Response {
				res := a.transport()(r)
				switch status {
				case 1: // the same body, but the reply is an error
					res.StatusCode = http.StatusUnprocessableEntity
				case 2: // or damaged
					return says(200, `{"data":[{"id":7,"description":"`+plantedPIN+`","status":{"value":"`+plantedPIN+`","details":[{"code":"`+plantedPIN+`"}]},`+
						`"activation_settings":{"activation_status":"`+plantedPIN+`"},"phone_number":"`+plantedAccount+`"}],"meta":{}}`)
				}
				return res
			}))
			q := query(opPorting, "+13035550000", "+13035510001", "+13035510119")
			q.Raw = true
			r := askAll(t, p, q)
			all := fmt.Sprintf("%+v", r)
			if r.Failure != nil {
				all += r.Failure.Error()
			}
			for _, o := range r.Outcomes {
				all += fmt.Sprintf("%+v %s", o.Facts.Porting, o.Raw)
				if o.Failure != nil {
					all += o.Failure.Error()
				}
			}
			if status == 0 {
				require.Contains(t, all, orderID(1))
				require.Contains(t, all, `"porting_order_status":"exception"`)
			}
			l := p.ledgers.of(key())
			all += fmt.Sprintf("%+v %+v %+v", l.ready, l.draft, l.searches)
			if l.ready != nil {
				for n, row := range l.ready.rows {
					all += fmt.Sprintf("%s %+v %+v", n, row, row.order)
				}
			}
			for _, secret := range planted {
				require.NotContains(t, all, secret, "direct %d, status %d", direct, status)
			}
		}
	}
}

func TestRawIsMadeOfTheAllowList(t *testing.T) {
	t.Parallel()
	a := bulk(1)
	p := newProvider(t, "", a.transport())
	q := query(opPorting, bulkNumber(0), "+13035559999")
	q.Raw = true
	r := askAll(t, p, q)
	require.JSONEq(t, `{"phone_number":"+13035500000","porting_order_id":"`+orderID(0)+`","porting_order_status":"submitted","activation_status":"Pending",`+
		`"foc_datetime":"2026-03-25T16:00:00Z","exceptions":["OTHER"]}`, string(r.Outcomes[0].Raw))
	require.Nil(t, r.Outcomes[1].Raw)
	require.True(t, json.Valid(r.Outcomes[0].Raw))
}
