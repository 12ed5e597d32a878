package simulator

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// request sends body to "METHOD /path"; header is pairs of name and value.
func request(t *testing.T, s *Server, what, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	method, path, _ := strings.Cut(what, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return do(t, req)
}

// object decodes a JSON object; numbers are an int, or else text.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var o map[string]any
	require.NoError(t, dec.Decode(&o), text)
	plain, _ := plainNumbers(o).(map[string]any)
	return plain
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = plainNumbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		return v.String()
	}
	return v
}

// dig follows names and list indexes into a decoded object.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func TestLedgersByUpstream(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	batch(t, s, testKey, mobiles(3)...)
	_, _, text := request(t, s, "GET /sim/ledger", "")
	all := map[Upstream]Summary{}
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	require.Len(t, all, len(Upstreams()))
	require.Equal(t, int64(3), all[UpstreamQXT].Numbers)
	require.Zero(t, all[UpstreamTelnyx].Calls)
	_, _, text = request(t, s, "GET /sim/ledger?upstream=qxt", "")
	require.Equal(t, 3, object(t, text)["numbers"])
	code, _, text := request(t, s, "GET /sim/ledger?upstream=qxtt", "")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, text, `"qxtt"`)

	code, _, _ = request(t, s, "POST /sim/reset", "")
	require.Equal(t, http.StatusNoContent, code)
	require.Zero(t, s.Ledger().Summary().Numbers)
}

func TestTruthByHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, "seed: 3\nqxt: {unknown: 1}\nnxcloud: {generation: mixed}")
	ask := func(query, body string) []Truth {
		code, _, text := request(t, s, "POST /sim/truth?"+query, body)
		require.Equal(t, http.StatusOK, code, text)
		var out []Truth
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	out := ask("upstream=qxt", `["+8613900000000","+13032000000"]`)
	require.Equal(t, []Truth{{Number: "+8613900000000", Status: StatusNotFound, Code: "-4"}, {Number: "+13032000000", Status: StatusUnsupported}}, out)
	out = ask("upstream=telnyx&operation=porting_status", `["+13032000000"]`)
	require.NotEmpty(t, out[0].Lookup.Porting.OrderID)
	out = ask("upstream=nxcloud&check_level=4", `["+8613900000000"]`)
	require.NotEmpty(t, out[0].Lookup.CallResponse)

	for query, body := range map[string]string{"upstream=no": `[]`, "upstream=qxt&check_level=x": `[]`, "upstream=qxt": `{}`} {
		code, _, _ := request(t, s, "POST /sim/truth?"+query, body)
		require.Equal(t, http.StatusBadRequest, code, query)
	}
}

// TestClockOfFaults: outages and bursts count from the start, the last change of
// profile or the last reset.
func TestClockOfFaults(t *testing.T) {
	t.Parallel()
	s := start(t, "qxt: {bursts: {every: 1s, length: 500ms}, outages: [{from: 0s, to: 1ns}]}")
	at := func(d time.Duration) int {
		s.mu.Lock()
		s.epoch = time.Now().Add(-d)
		s.mu.Unlock()
		code, _, _ := batch(t, s, testKey, mobiles(1)...)
		return code
	}
	require.Equal(t, http.StatusOK, at(50*time.Millisecond), "the first burst comes after every")
	require.Equal(t, http.StatusTooManyRequests, at(1100*time.Millisecond))
	require.Equal(t, http.StatusOK, at(1600*time.Millisecond))
	require.Equal(t, http.StatusTooManyRequests, at(2100*time.Millisecond))
	sum := s.Ledger().Summary()
	require.Equal(t, int64(2), sum.Throttled)
	require.Zero(t, sum.Refused, "no limit was broken")

	at(time.Hour)
	s.Reset()
	require.Less(t, s.elapsed(), time.Minute)
	at(time.Hour)
	s.SetProfile(Profile{})
	require.Less(t, s.elapsed(), time.Minute)
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	for form, header := range map[string]string{"seconds": "Retry-After", "date": "Retry-After", "ms": "Retry-After-Ms", "none": ""} {
		s := start(t, "qxt: {limits: {retry_after: 2s, retry_after_form: "+form+"}, outages: [{to: 1h, mode: '429'}]}")
		code, h, _ := batch(t, s, testKey, mobiles(1)...)
		require.Equal(t, http.StatusTooManyRequests, code)
		require.Equal(t, form == "ms", h.Get("Retry-After-Ms") == "2000", form)
		require.Equal(t, form == "seconds", h.Get("Retry-After") == "2", form)
		if header == "" {
			require.Empty(t, h.Get("Retry-After")+h.Get("Retry-After-Ms"))
			continue
		}
		require.NotEmpty(t, h.Get(header), form)
	}
}

// TestRefuseAll: each upstream refuses in its own words, and nothing is paid.
func TestRefuseAll(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/profiles/refuse-all.yaml")
	require.NoError(t, err)
	s := start(t, string(text))
	_, _, got := batch(t, s, testKey, mobiles(2)...)
	require.Contains(t, got, `"code":-7`)
	code, _, got := request(t, s, "POST "+PortcheckPath+"/mobile-transfer", `{"mobile_number":"13900000000"}`,
		"Content-Type", "application/json", "X-API-Key", "k")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, got, "BAD_REQUEST")
	code, _, got = request(t, s, "POST "+TelnyxPath+"/portability_checks", `{"phone_numbers":["+13032000000"]}`,
		"Content-Type", "application/json", "Authorization", "Bearer k")
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, "10015", dig(object(t, got), "errors", 0, "code"))
	_, _, got = nx(t, s, "/api/number/check", map[string]any{"phone": "8613900000000", "appkey": "a"})
	require.Equal(t, 201, object(t, got)["code"])
	for _, u := range Upstreams() {
		sum := s.LedgerOf(u).Summary()
		require.Equal(t, [3]int64{1, 1, 0}, [3]int64{sum.Calls, sum.Failed, sum.Numbers}, u)
	}
}

// TestShippedProfiles: they can be read, and none is a copy of nothing.
func TestShippedProfiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/profiles/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, f := range append(files, "../../deploy/simulate.yaml") {
		p, err := LoadProfile(f)
		require.NoError(t, err, f)
		for _, u := range Upstreams() {
			require.NotZero(t, p.common(u).Latency, "%s says nothing of %s", f, u)
		}
	}
	_, err = LoadProfile("no such file")
	require.ErrorContains(t, err, "no such file")
}

func FuzzParseProfile(f *testing.F) {
	for _, seed := range []string{
		"", "seed: 1", "qxt: {missing: 2}", "telnyx: {orders: 3}", "nxcloud: {prices: {1: 0.5}, query_every: -1s, receipts: {base: 1s}}",
		"portcheck: {auth: {mode: query}}", "qxt: {item_errors: [{code: x}]}", "qxt: {bursts: {every: 1s, length: 2s}}", "- 1", "{",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParseProfile(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for _, u := range Upstreams() {
			ask := Ask{Upstream: u}
			got := p.Truth(ask, "+8613900000000")
			require.Equal(t, got, p.Truth(ask, "+8613900000000"), "the truth does not change")
			require.NotEmpty(t, got.Status)
			require.Equal(t, got.Status == StatusOK, got.Lookup != nil)
		}
	})
}
