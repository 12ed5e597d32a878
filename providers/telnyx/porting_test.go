package telnyx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

const fastPages = "porting_page_rate: 100000/s"

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
				p := newProvider(t, fmt.Sprintf("{%s, porting_direct: %d}", fastPages, direct), a.transport())
				r := p.Call(t.Context(), query(opPorting, n))
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
			p := newProvider(t, fastPages, a.transport())
			r := p.Call(t.Context(), query(opPorting, n))
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
		p := newProvider(t, fastPages, a.transport())
		require.Equal(t, "not found", said(p.Call(t.Context(), query(opPorting, n))))
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
		p := newProvider(t, fastPages, a.transport())
		require.Equal(t, "not found", said(p.Call(t.Context(), query(opPorting, n))))
	})
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
		"no permission":   {403, problems("10010", "Authorization failed", ""), "call: forbidden (code 10010): Authorization failed"},
		"no list":         {200, `{"data":{}}`, "call: garbled: not the documented JSON"},
		"unreadable":      {200, `{"data":[7],"meta":{"total_pages":1}}`, "failed garbled: an entry of the list cannot be read, and may be this number's"},
		"no meta, others": {200, `{"data":[{"id":"` + orderID(1) + `","porting_phone_numbers_count":0}]}`, "failed garbled: an entry of the list cannot be read, and may be this number's"},
		"no meta, none":   {200, `{"data":[]}`, "not found"},
	}
	for name, tt := range tests {
		p := newProvider(t, fastPages, transport(func(*http.Request) *http.Response { return says(tt.status, tt.body) }))
		require.Equal(t, tt.want, said(p.Call(t.Context(), query(opPorting, "+13035550000"))), name)
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
			p := newProvider(t, fmt.Sprintf("{%s, porting_direct: %d}", fastPages, direct), transport(func(r *http.Request) *http.Response {
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
			r := p.Call(t.Context(), q)
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
			all += fmt.Sprintf("%+v %+v", l.ready, l.draft)
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
	p := newProvider(t, fastPages, a.transport())
	q := query(opPorting, bulkNumber(0), "+13035559999")
	q.Raw = true
	r := p.Call(t.Context(), q)
	require.JSONEq(t, `{"phone_number":"+13035500000","porting_order_id":"`+orderID(0)+`","porting_order_status":"submitted","activation_status":"Pending",`+
		`"foc_datetime":"2026-03-25T16:00:00Z","exceptions":["OTHER"]}`, string(r.Outcomes[0].Raw))
	require.Nil(t, r.Outcomes[1].Raw)
	require.True(t, json.Valid(r.Outcomes[0].Raw))
}
