package telnyx

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

func problems(code, title, pointer string) string {
	e := map[string]any{"code": code, "title": title, "meta": map[string]any{}}
	if pointer != "" {
		e["source"] = map[string]any{"pointer": pointer}
	}
	return encode(map[string]any{"errors": []any{e}})
}

// The document's table, and what the header says on top.
func TestKindOfRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		header []string
		want   providers.Failure // without Message
	}{
		{"too many", 422, problems("80401", "Too many", ""), nil, providers.Failure{Kind: providers.KindTooMany, Code: "80401"}},
		{"too many, 400", 400, problems("80401", "Too many", "/phone_numbers/3"), nil, providers.Failure{Kind: providers.KindTooMany, Code: "80401"}},
		{"malformed", 400, problems("10015", "Bad Request", ""), nil, providers.Failure{Kind: providers.KindInternal, Code: "10015"}},
		{"no parameter", 400, problems("10004", "Missing", ""), nil, providers.Failure{Kind: providers.KindInternal, Code: "10004"}},
		{"400 of another kind", 400, problems("10099", "What", ""), nil, providers.Failure{Kind: providers.KindRefused, Code: "10099"}},
		{"media type", 415, "", nil, providers.Failure{Kind: providers.KindInternal, Code: "415"}},
		{"unauthorized", 401, problems("10009", "Authentication failed", ""), nil, providers.Failure{Kind: providers.KindUnauthorized, Code: "10009"}},
		{"unauthorized by code", 400, problems("10009", "Authentication failed", ""), nil, providers.Failure{Kind: providers.KindUnauthorized, Code: "10009"}},
		{"no right to the operation", 403, problems("10010", "Authorization failed", ""), nil, providers.Failure{Kind: providers.KindMisconfigured, Code: "10010"}},
		{"no right to the operation, retry", 403, problems("10010", "Authorization failed", ""), []string{"X-Should-Retry", "true"}, providers.Failure{Kind: providers.KindMisconfigured, Code: "10010"}},
		{"forbidden for another reason", 403, problems("20012", "Account inactive", ""), nil, providers.Failure{Kind: providers.KindForbidden, Code: "20012"}},
		{"forbidden without words", 403, "", nil, providers.Failure{Kind: providers.KindForbidden, Code: "403"}},
		{"no money", 402, "", nil, providers.Failure{Kind: providers.KindNoBalance, Code: "402"}},
		{"no money by words", 403, problems("20100", "Insufficient Funds", ""), nil, providers.Failure{Kind: providers.KindNoBalance, Code: "20100"}},
		{"no money by words, 422", 422, problems("", "You do not have sufficient balance", "/phone_numbers/0"), nil, providers.Failure{Kind: providers.KindNoBalance, Code: "422"}},
		{"not there", 404, problems("10005", "Not found", ""), nil, providers.Failure{Kind: providers.KindMisconfigured, Code: "10005"}},
		{"conflict", 409, problems("", "", ""), nil, providers.Failure{Kind: providers.KindUnavailable, Code: "409", Tries: 2}},
		{"their timeout", 408, problems("10008", "Timeout", ""), nil, providers.Failure{Kind: providers.KindUnavailable, Code: "10008"}},
		{"unexpected", 500, problems("10007", "Unexpected", ""), nil, providers.Failure{Kind: providers.KindUnavailable, Code: "10007"}},
		{"unexpected as 422", 422, problems("10007", "Unexpected", ""), nil, providers.Failure{Kind: providers.KindUnavailable, Code: "10007"}},
		{"a broken server accuses nobody", 502, problems("10009", "Authentication failed", ""), nil, providers.Failure{Kind: providers.KindUnavailable, Code: "10009"}},
		{"throttled", 429, problems("10011", "Too many requests", ""), nil, providers.Failure{Kind: providers.KindThrottled, Code: "10011"}},
		{"throttled by code", 503, problems("10011", "Too many requests", ""), nil, providers.Failure{Kind: providers.KindThrottled, Code: "10011"}},
		{"throttled, and about money", 429, problems("", "check your account balance", ""), nil, providers.Failure{Kind: providers.KindThrottled, Code: "429"}},
		{
			"the second problem counts for the call", 422,
			`{"errors":[{"code":"10002","source":{"pointer":"/phone_numbers/0"}},{"code":"10009","title":"Authentication failed"}]}`, nil,
			providers.Failure{Kind: providers.KindUnauthorized, Code: "10009"},
		},
		{"a code that is none", 422, problems("13035550000", "x", ""), nil, providers.Failure{Kind: providers.KindRefused, Code: "422"}},
		{"a code as number", 401, `{"errors":[{"code":10009}]}`, nil, providers.Failure{Kind: providers.KindUnauthorized, Code: "10009"}},
		{"no errors", 422, `{"errors":{}}`, nil, providers.Failure{Kind: providers.KindRefused, Code: "422"}},

		{"milliseconds first", 429, "", []string{"Retry-After-Ms", "1500", "Retry-After", "3", "X-Ratelimit-Reset", "9"}, providers.Failure{Kind: providers.KindThrottled, Code: "429", RetryAfter: 1500 * time.Millisecond}},
		{"then seconds", 429, "", []string{"Retry-After", "3", "X-Ratelimit-Reset", "9"}, providers.Failure{Kind: providers.KindThrottled, Code: "429", RetryAfter: 3 * time.Second}},
		{"then the reset", 429, "", []string{"X-Ratelimit-Reset", "9.5"}, providers.Failure{Kind: providers.KindThrottled, Code: "429", RetryAfter: 9500 * time.Millisecond}},
		{"a reset that is a time of day", 429, "", []string{"X-Ratelimit-Reset", "1790000000"}, providers.Failure{Kind: providers.KindThrottled, Code: "429"}},
		{"the reset is of no use elsewhere", 503, "", []string{"X-Ratelimit-Reset", "9"}, providers.Failure{Kind: providers.KindUnavailable, Code: "503"}},

		{"retry after all", 422, problems("10015", "x", "/phone_numbers/0"), []string{"X-Should-Retry", "true"}, providers.Failure{Kind: providers.KindUnavailable, Code: "10015"}},
		{"retry after all, 404", 404, problems("10005", "x", ""), []string{"X-Should-Retry", "true"}, providers.Failure{Kind: providers.KindUnavailable, Code: "10005"}},
		{"no retry", 503, "", []string{"X-Should-Retry", "false", "Retry-After", "3"}, providers.Failure{Kind: providers.KindUnavailable, Code: "503", Tries: 1}},
		{"no retry of a conflict", 409, "", []string{"X-Should-Retry", "false"}, providers.Failure{Kind: providers.KindUnavailable, Code: "409", Tries: 1}},
		{"the key rests all the same", 429, "", []string{"X-Should-Retry", "false", "Retry-After", "3"}, providers.Failure{Kind: providers.KindThrottled, Code: "429", RetryAfter: 3 * time.Second}},
		{"a bad key stays one", 401, "", []string{"X-Should-Retry", "true"}, providers.Failure{Kind: providers.KindUnauthorized, Code: "401"}},
		{"a large batch stays one", 422, problems("80401", "x", ""), []string{"X-Should-Retry", "true"}, providers.Failure{Kind: providers.KindTooMany, Code: "80401"}},
		{"an odd header", 503, "", []string{"X-Should-Retry", "perhaps"}, providers.Failure{Kind: providers.KindUnavailable, Code: "503"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(tt.status, tt.body, tt.header...) }))
			r := p.Call(t.Context(), query(opPortability, "+13035550000", "+13035550001"))
			require.NotNil(t, r.Failure)
			r.Failure.Message = ""
			require.Equal(t, tt.want, *r.Failure)
		})
	}
}

func TestWhichNumberIsRefused(t *testing.T) {
	t.Parallel()
	three := []string{"+13035550000", "+13035550001", "+13035550002"}
	const again = "failed retryable (code 10016): another number of the call was refused, and this one not looked up"
	tests := []struct {
		name    string
		status  int
		body    string
		numbers []string
		want    string
	}{
		{"pointer", 422, problems("10016", "x", "/phone_numbers/1"), three, again + "; invalid rejected (code 10016): x; " + again},
		{"pointer under something", 422, problems("10016", "x", "/body/phone_numbers/2/value"), three, again + "; " + again + "; invalid rejected (code 10016): x"},
		{"brackets", 422, problems("10016", "x", "phone_numbers[0]"), three, "invalid rejected (code 10016): x; " + again + "; " + again},
		{
			"parameter", 400, `{"errors":[{"code":"10016","title":"x","source":{"parameter":"phone_numbers.1"}}]}`, three,
			again + "; invalid rejected (code 10016): x; " + again,
		},
		{
			"by its words", 422, `{"errors":[{"code":"10016","detail":"+13035550002 is none"}]}`, three,
			again + "; " + again + "; invalid rejected (code 10016): +…0002 is none",
		},
		{
			"milder codes", 422, `{"errors":[{"code":"10005","source":{"pointer":"/phone_numbers/0"}},{"code":"10007","source":{"pointer":"/phone_numbers/2"}}]}`, three,
			"not found; failed retryable (code 10005): another number of the call was refused, and this one not looked up; failed retryable (code 10007)",
		},
		{"pointer beyond", 422, problems("10016", "x", "/phone_numbers/3"), three, "call: refused (code 10016): x"},
		{"pointer at none", 422, problems("10016", "x", "/phone_numbers"), three, "call: refused (code 10016): x"},
		{"pointer elsewhere", 422, problems("10015", "x", "/other/1"), three, "call: refused (code 10015): x"},
		{"no pointer", 422, problems("10015", "x", ""), three, "call: refused (code 10015): x"},
		{"no pointer, one number", 422, problems("10015", "x", ""), three[:1], "invalid rejected (code 10015): x"},
		{"no words, one number", 422, "", three[:1], "invalid rejected (code 422): Unprocessable Entity"},
		{"no words", 422, "", three, "call: refused (code 422): Unprocessable Entity"},
		{"400 without words, one number", 400, "", three[:1], "call: refused (code 400): Bad Request"},
		{"400 with a pointer is ours", 400, problems("10015", "x", "/phone_numbers/0"), three, "call: internal (code 10015): x"},
		{"400 about a number", 400, problems("10002", "x", ""), three[:1], "invalid rejected (code 10002): x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(tt.status, tt.body) }))
			require.Equal(t, tt.want, said(p.Call(t.Context(), query(opPortability, tt.numbers...))))
		})
	}
}

func TestNumberLookupErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"not there", 404, problems("10005", "Resource not found", ""), "not found"},
		{"404 of a wrong address", 404, problems("10099", "No route", ""), "call: misconfigured (code 10099): No route"},
		{"invalid", 422, problems("10002", "Invalid phone number: +13035550000", ""), "invalid rejected (code 10002): Invalid phone number: +…0000"},
		{"not E.164", 422, problems("10016", "x", ""), "invalid rejected (code 10016): x"},
		{"a number by 400", 400, problems("10002", "x", ""), "invalid rejected (code 10002): x"},
		{"a pointer to the number", 422, problems("10015", "x", "/phone_number"), "invalid rejected (code 10015): x"},
		{"the parameter", 422, `{"errors":[{"code":"10015","title":"x","source":{"parameter":"phone_number"}}]}`, "invalid rejected (code 10015): x"},
		{"another parameter", 422, `{"errors":[{"code":"10015","title":"x","source":{"parameter":"type"}}]}`, "call: refused (code 10015): x"},
		{"a pointer elsewhere", 422, problems("10015", "x", "/type"), "call: refused (code 10015): x"},
		{"an account without the feature", 422, problems("10015", "Carrier lookups are not enabled", ""), "call: refused (code 10015): Carrier lookups are not enabled"},
		{"no words", 422, "", "call: refused (code 422): Unprocessable Entity"},
		{"no right", 403, problems("10010", "Authorization failed", ""), "call: misconfigured (code 10010): the key may not use number_lookup: Authorization failed"},
		{"canadian", 422, problems("10015", "+13035550000 is a Canadian number", ""), "failed unsupported (code 10015): +…0000 is a Canadian number"},
		{"echo of the address", 500, "GET /v2/number_lookup/+13035550000?type=carrier failed", "call: unavailable (code 500): Internal Server Error: GET /v2/number_lookup/+…0000?type=carrier failed"},
		{"another number's answer", 200, `{"data":{"phone_number":"+13035550001","carrier":{"name":"X"}}}`, "failed missing: the reply leaves this number out"},
		{"nobody's answer", 200, `{"data":{"carrier":{"name":"X"}}}`, "failed missing: the reply leaves this number out"},
		{"nothing known", 200, `{"data":{"phone_number":"+13035550000","country_code":"US","carrier":{"name":"","type":"unknown"},"portability":{"ported_status":""}}}`, "not found"},
		{"a carrier that is none", 200, `{"data":{"phone_number":"+13035550000","carrier":"X"}}`, "failed garbled: carrier or portability is not the documented object"},
		{"a list", 200, `{"data":[]}`, "call: garbled: not the documented JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(tt.status, tt.body) }))
			require.Equal(t, tt.want, said(p.Call(t.Context(), query(opLookup, "+13035550000"))))
		})
	}
	p := newProvider(t, "", nil)
	require.Equal(t, providers.KindTooMany, p.Call(t.Context(), query(opLookup, "+13035550000", "+13035550001")).Failure.Kind)
}

func TestLookupFacts(t *testing.T) {
	t.Parallel()
	body := func(carrier, portability string) string {
		return `{"data":{"phone_number":"13035550000","country_code":"us","carrier":` + carrier + `,"portability":` + portability + `}}`
	}
	tests := map[string]struct {
		body string
		want providers.Facts
	}{
		"older date":                             {body(`{}`, `{"ported_status":"Y","ported_date":"20040902064600"}`), providers.Facts{Country: "US", Ported: providers.Yes, PortedAt: time.Date(2004, 9, 2, 6, 46, 0, 0, time.UTC)}},
		"date with zone":                         {body(`null`, `{"ported_status":"Y","ported_date":"2020-01-02T03:04:05+01:00"}`), providers.Facts{Country: "US", Ported: providers.Yes, PortedAt: time.Date(2020, 1, 2, 2, 4, 5, 0, time.UTC)}},
		"a date without a port":                  {body(`{"type":"toll free"}`, `{"ported_status":"","ported_date":"2020-01-02"}`), providers.Facts{Country: "US", LineType: providers.LineTollFree}},
		"spid name":                              {body(`{"name":""}`, `{"spid_carrier_name":"Level 3","line_type":"landline"}`), providers.Facts{Country: "US", LineType: providers.LineFixed, CurrentCarrier: providers.Carrier{Name: "Level 3"}}},
		"ported: the block's owner is not known": {body(`{"name":"B"}`, `{"ported_status":"Y"}`), providers.Facts{Country: "US", Ported: providers.Yes, CurrentCarrier: providers.Carrier{Name: "B"}}},
		"mnc that lost its zero":                 {body(`{"name":"B","mobile_country_code":262,"mobile_network_code":1}`, `null`), providers.Facts{Country: "US", CurrentCarrier: providers.Carrier{Name: "B"}, MCC: "262"}},
	}
	for name, tt := range tests {
		r := readLookup(query(opLookup, "+13035550000"), upstream.Response{Status: 200, Body: []byte(tt.body)})
		require.Equal(t, []providers.Outcome{{Kind: providers.Found, Facts: tt.want}}, r.Outcomes, name)
	}
}

// worker check is told of the key, and of no operation.
func TestCheckOfAForbiddenKey(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(403, problems("10010", "Authorization failed", "")) }))
	require.Equal(t, providers.KindForbidden, p.Check(t.Context(), key()).Kind)
}
