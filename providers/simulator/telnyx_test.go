package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func telnyx(t *testing.T, s *Server, method, path, body string) (int, http.Header, string) {
	t.Helper()
	return request(t, s, method+" "+TelnyxPath+path, body, "Authorization", "Bearer key-1", "Content-Type", "application/json")
}

func checks(t *testing.T, s *Server, numbers ...string) (int, http.Header, map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"phone_numbers": numbers})
	require.NoError(t, err)
	code, h, text := telnyx(t, s, http.MethodPost, "/portability_checks", string(body))
	return code, h, object(t, text)
}

func americans(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("+1303%07d", 2_000_000+i)
	}
	return out
}

func TestTelnyxPortability(t *testing.T) {
	t.Parallel()
	s := start(t, "telnyx: {unknown: 0.05}")
	numbers := append(americans(500), "+8613900000000", "+4479111000000")
	code, _, o := checks(t, s, numbers...)
	require.Equal(t, http.StatusCreated, code)
	seen := map[string]int{}
	for i, n := range numbers {
		got := dig(o, "data", i)
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx}, n).Lookup
		require.Equal(t, map[string]any{
			"record_type": "portability_check_result", "phone_number": n, "portable": *truth.Portable,
			"fast_portable": *truth.FastPortable, "not_portable_reason": truth.NotPortableReason,
		}, got)
		require.Equal(t, *truth.Portable, truth.NotPortableReason == "")
		require.Nil(t, truth.Ported, "portable is not ported")
		seen[fmt.Sprint(*truth.Portable, *truth.FastPortable)]++
	}
	require.Len(t, seen, 3)
	require.Equal(t, "No coverage", dig(o, "data", 500, "not_portable_reason"))
	sum := s.LedgerOf(UpstreamTelnyx).Summary()
	require.Equal(t, int64(502), sum.Distinct)
	require.Equal(t, map[string]int64{"portability_checks": 1}, sum.Operations)
}

func TestTelnyxRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, `telnyx: {keys: [{key: key-1}, {key: barred, forbidden: true}, {key: poor, balance: 0}], poison: {numbers: ["+13032000009"]},
	  item_errors: [{share: 0.2, code: 10002, sticky: true}]}`)
	bearer := func(key, method, path, body, kind string) (int, string) {
		code, _, text := request(t, s, method+" "+TelnyxPath+path, body, "Authorization", key, "Content-Type", kind)
		return code, text
	}
	const valid, kind = `{"phone_numbers":["+13032000000"]}`, "application/json"
	for _, tc := range []struct {
		name, key, method, path, body, kind string
		status                              int
		code                                string
	}{
		{"no key", "", http.MethodPost, "/portability_checks", valid, kind, http.StatusUnauthorized, "10009"},
		{"no bearer", "Basic key-1", http.MethodPost, "/portability_checks", valid, kind, http.StatusUnauthorized, "10009"},
		{"unknown key", "Bearer other", http.MethodGet, "/porting_orders", "", kind, http.StatusUnauthorized, "10009"},
		{"barred key", "Bearer barred", http.MethodGet, "/porting_orders", "", kind, http.StatusForbidden, "10010"},
		{"no money", "Bearer poor", http.MethodGet, "/number_lookup/+13032000000", "", kind, http.StatusPaymentRequired, "20100"},
		{"no JSON", "Bearer key-1", http.MethodPost, "/portability_checks", "{", kind, http.StatusBadRequest, "10015"},
		{"other type", "Bearer key-1", http.MethodPost, "/portability_checks", valid, "text/plain", http.StatusUnsupportedMediaType, "10015"},
		{"nothing asked", "Bearer key-1", http.MethodPost, "/portability_checks", "{}", kind, http.StatusUnprocessableEntity, "10004"},
		{"nowhere", "Bearer key-1", http.MethodGet, "/nowhere", "", kind, http.StatusNotFound, "10005"},
		{"no such order", "Bearer key-1", http.MethodGet, "/porting_orders/1", "", kind, http.StatusNotFound, "10005"},
	} {
		status, text := bearer(tc.key, tc.method, tc.path, tc.body, tc.kind)
		require.Equal(t, tc.status, status, tc.name)
		require.Equal(t, tc.code, dig(object(t, text), "errors", 0, "code"), tc.name)
	}
	code, _, o := checks(t, s, americans(1001)...)
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Equal(t, "80401", dig(o, "errors", 0, "code"))
	code, h, o := checks(t, s, "+13032000001", "+13032000009")
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Nil(t, dig(o, "errors", 0, "source"), "nobody says which number it was")
	require.Equal(t, "false", h.Get("X-Should-Retry"))
	require.Zero(t, s.LedgerOf(UpstreamTelnyx).Summary().Numbers)
}

// TestTelnyxPointers: every number with a fault is pointed at, and no other.
func TestTelnyxPointers(t *testing.T) {
	t.Parallel()
	s := start(t, "telnyx: {invalid: 0.1}")
	numbers := append(americans(100), "13032000000", "+0123")
	code, _, o := checks(t, s, numbers...)
	require.Equal(t, http.StatusUnprocessableEntity, code)
	pointed := map[int]any{}
	list, _ := o["errors"].([]any)
	for _, e := range list {
		text, _ := dig(e, "source", "pointer").(string)
		i, err := strconv.Atoi(strings.TrimPrefix(text, "/phone_numbers/"))
		require.NoError(t, err)
		pointed[i] = dig(e, "code")
	}
	require.Equal(t, "10016", pointed[100])
	require.Equal(t, "10016", pointed[101])
	var rest []string
	for i, n := range numbers[:100] {
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx}, n)
		_, bad := pointed[i]
		require.Equal(t, truth.Status == StatusInvalid, bad)
		if !bad {
			rest = append(rest, n)
		}
	}
	require.Greater(t, len(pointed), 2)
	code, _, _ = checks(t, s, rest...)
	require.Equal(t, http.StatusCreated, code)
}

func TestTelnyxRateHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, "telnyx: {limits: {rate: 1, retry_after: 3s, retry_after_form: none}}")
	code, h, _ := checks(t, s, americans(1)...)
	require.Equal(t, http.StatusCreated, code)
	require.Equal(t, "1", h.Get("X-Ratelimit-Limit"))
	require.Equal(t, "0", h.Get("X-Ratelimit-Remaining"))
	code, h, o := checks(t, s, americans(1)...)
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Equal(t, "3", h.Get("X-Ratelimit-Reset"))
	require.Equal(t, "true", h.Get("X-Should-Retry"))
	require.Empty(t, h.Get("Retry-After"))
	require.Equal(t, "10011", dig(o, "errors", 0, "code"))
	require.Equal(t, int64(1), s.LedgerOf(UpstreamTelnyx).Summary().Refused)
}

func TestTelnyxNumberLookup(t *testing.T) {
	t.Parallel()
	s := start(t, "telnyx: {unknown: 0.1}")
	seen := map[string]int{}
	for _, n := range americans(200) {
		code, _, text := telnyx(t, s, http.MethodGet, "/number_lookup/"+url.PathEscape(n)+"?type=carrier", "")
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx, Operation: OpNumberLookup}, n)
		seen[string(truth.Status)]++
		if truth.Status == StatusNotFound {
			require.Equal(t, http.StatusNotFound, code)
			continue
		}
		require.Equal(t, http.StatusOK, code)
		data := dig(object(t, text), "data")
		require.Equal(t, n, dig(data, "phone_number"))
		require.Equal(t, truth.Lookup.CurrentCarrier.Name, dig(data, "carrier", "name"))
		require.Equal(t, truth.Lookup.MCC, dig(data, "carrier", "mobile_country_code"))
		status, _ := dig(data, "portability", "ported_status").(string)
		seen["ported "+status]++
		require.Equal(t, truth.Lookup.Ported == nil, status == "")
		require.Equal(t, status == "Y", truth.Lookup.PortedAt != "")
		require.Equal(t, status == "N", truth.Lookup.OriginalCarrier != nil)
	}
	require.Len(t, seen, 5)
	_, _, text := telnyx(t, s, http.MethodGet, "/number_lookup/+13032000001", "")
	require.Nil(t, dig(object(t, text), "data", "carrier"), "only type=carrier has it")
}

func TestTelnyxOrders(t *testing.T) {
	t.Parallel()
	s := start(t, "telnyx: {orders: 200, max_page: 50}")
	numbers := s.snapshot().TelnyxNumbers()
	seen := map[string]int{}
	for _, n := range []string{numbers[0], numbers[60], numbers[len(numbers)-1]} {
		query := url.Values{"filter[phone_numbers][phone_number][contains]": {n}, "include_phone_numbers": {"true"}}
		code, _, text := telnyx(t, s, http.MethodGet, "/porting_orders?"+query.Encode(), "")
		require.Equal(t, http.StatusOK, code)
		require.Contains(t, text, PlantedAccount)
		require.Contains(t, text, PlantedPIN)
		require.Contains(t, text, PlantedTaxID)
		found := dig(object(t, text), "data", 0)
		list, _ := dig(found, "phone_numbers").([]any)
		require.LessOrEqual(t, len(list), 50)
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx, Operation: OpPortingOrder}, n).Lookup.Porting
		require.Equal(t, truth.OrderID, dig(found, "id"))
		require.Equal(t, truth.OrderStatus, dig(found, "status", "value"))
		code, _, text = telnyx(t, s, http.MethodGet, "/porting_orders/"+truth.OrderID, "")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, truth.OrderID, dig(object(t, text), "data", "id"))
	}
	require.Equal(t, StatusNotFound, s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx, Operation: OpPortingOrder}, "+13039999999").Status)

	// All numbers of all orders, page by page, without their plus.
	got := map[string]string{}
	for page := 1; ; page++ {
		query := url.Values{"page[number]": {strconv.Itoa(page)}, "page[size]": {"100"}}
		_, _, text := telnyx(t, s, http.MethodGet, "/porting_phone_numbers?"+query.Encode(), "")
		o := object(t, text)
		require.Equal(t, 50, dig(o, "meta", "page_size"), "the server has the last word")
		require.Equal(t, len(numbers), dig(o, "meta", "total_results"))
		list, _ := o["data"].([]any)
		for _, e := range list {
			n, _ := dig(e, "phone_number").(string)
			status, _ := dig(e, "activation_status").(string)
			got["+"+n] = status
		}
		if page == dig(o, "meta", "total_pages") {
			break
		}
	}
	require.Len(t, got, len(numbers))
	for _, n := range numbers {
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamTelnyx, Operation: OpPortingOrder}, n).Lookup.Porting
		require.Equal(t, truth.ActivationStatus, got[n])
		seen[truth.OrderStatus]++
		require.Equal(t, truth.OrderStatus == "exception", len(truth.Exceptions) == 1)
	}
	require.Len(t, seen, 8)
	require.Zero(t, s.LedgerOf(UpstreamTelnyx).Summary().Mutations)
}

// TestTelnyxEveryEndpoint: all reads of the document answer, all mutations count.
func TestTelnyxEveryEndpoint(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	id := s.snapshot().orders()[0].id
	order := "/porting_orders/" + id
	for _, path := range []string{
		"/porting_phone_numbers", "/porting_orders", order, "/porting_orders/exception_types", "/porting_orders/phone_number_configurations",
		order + "/activation_jobs", order + "/additional_documents", order + "/allowed_foc_windows", order + "/comments", order + "/loa_template",
		order + "/requirements", order + "/sub_request", order + "/verification_codes", order + "/action_requirements",
		order + "/associated_phone_numbers", order + "/phone_number_blocks", order + "/phone_number_extensions",
		"/porting/events", "/porting/events/ev-" + id, "/porting/loa_configurations", "/porting/loa_configurations/x/preview",
		"/porting/reports", "/porting/uk_carriers",
	} {
		code, _, text := telnyx(t, s, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, code, path+text)
	}
	code, _, _ := telnyx(t, s, http.MethodPost, "/porting/loa_configurations/preview", "{}")
	require.Equal(t, http.StatusOK, code)
	require.Zero(t, s.LedgerOf(UpstreamTelnyx).Summary().Mutations)
	mutations := []string{
		"POST /porting_orders", "PATCH " + order, "DELETE " + order, "POST " + order + "/actions/activate", "POST " + order + "/actions/cancel",
		"POST " + order + "/actions/confirm", "POST " + order + "/actions/share", "PATCH " + order + "/activation_jobs/1",
		"POST " + order + "/additional_documents", "DELETE " + order + "/additional_documents/1", "POST " + order + "/comments",
		"POST " + order + "/verification_codes/send", "POST " + order + "/verification_codes/verify", "POST " + order + "/action_requirements/1/initiate",
		"POST " + order + "/associated_phone_numbers", "DELETE " + order + "/associated_phone_numbers/1", "POST " + order + "/phone_number_blocks",
		"DELETE " + order + "/phone_number_blocks/1", "POST " + order + "/phone_number_extensions", "DELETE " + order + "/phone_number_extensions/1",
		"POST /porting_orders/phone_number_configurations", "POST /porting/loa_configurations", "PATCH /porting/loa_configurations/1",
		"DELETE /porting/loa_configurations/1", "POST /porting/reports", "POST /porting/events/1/republish",
	}
	for _, m := range mutations {
		method, path, _ := strings.Cut(m, " ")
		code, _, _ := telnyx(t, s, method, path, "{}")
		require.Equal(t, http.StatusOK, code, m)
	}
	request(t, s, "POST "+TelnyxPath+"/porting_orders", "{}") // without a key: it counts, too
	require.Equal(t, int64(len(mutations)+1), s.LedgerOf(UpstreamTelnyx).Summary().Mutations)
}

// TestTelnyxTwoOperationsAreNotTwice: asking two things of a number is no waste.
func TestTelnyxTwoOperationsAreNotTwice(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	checks(t, s, "+13032000000")
	telnyx(t, s, http.MethodGet, "/number_lookup/+13032000000?type=carrier", "")
	sum := s.LedgerOf(UpstreamTelnyx).Summary()
	require.Equal(t, [2]int64{2, 0}, [2]int64{sum.Numbers, sum.AskedTwice})
	checks(t, s, "+13032000000")
	require.Equal(t, int64(1), s.LedgerOf(UpstreamTelnyx).Summary().AskedTwice)
}
