package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "0123456789abcdef0123456789abcdef"

func start(t *testing.T, profile string) *Server {
	t.Helper()
	p, err := ParseProfile([]byte(profile))
	require.NoError(t, err)
	s, err := Start(t.Context(), "127.0.0.1:0", p)
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, s.Close(context.WithoutCancel(t.Context())))
	})
	return s
}

func batch(t *testing.T, s *Server, key string, numbers ...string) (int, http.Header, string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"ApiKey": key, "PhoneNumbers": numbers})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+QXTPath+"/carrier_batch", bytes.NewReader(body))
	require.NoError(t, err)
	return do(t, req)
}

func form(t *testing.T, s *Server, path string, v url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+QXTPath+path, strings.NewReader(v.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, _, text := do(t, req)
	return text
}

func do(t *testing.T, req *http.Request) (int, http.Header, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(text)
}

func mobiles(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("139%08d", i)
	}
	return out
}

type entry struct {
	Code   int
	Reason string
	Result struct{ Res, Mobile, Area, InitIsp, NowIsp string }
}

func decode(t *testing.T, text string) []entry {
	t.Helper()
	var out []entry
	text = strings.NewReplacer("Init_Isp", "InitIsp", "Now_Isp", "NowIsp", "Init_isp", "InitIsp", "Now_isp", "NowIsp").Replace(text)
	require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	return out
}

func TestBatchTellsTheTruth(t *testing.T) {
	t.Parallel()
	s := start(t, "seed: 7")
	numbers := mobiles(1000)
	_, _, text := batch(t, s, testKey, numbers...)
	entries := decode(t, text)
	require.Len(t, entries, len(numbers))
	seen := map[string]int{}
	for i, e := range entries {
		truth := s.snapshot().QXTTruth(numbers[i])
		require.Equal(t, numbers[i], e.Result.Mobile)
		got := QXTAnswer{Code: e.Code, Res: e.Result.Res, Area: e.Result.Area, Init: e.Result.InitIsp, Now: e.Result.NowIsp}
		require.Equal(t, truth, got)
		seen[truth.Res]++
	}
	require.Len(t, seen, 3, "ported, not ported and neither must occur")
	require.Equal(t, int64(1000), s.Ledger().Summary().Distinct)
}

func TestWholeCallCodes(t *testing.T) {
	t.Parallel()
	s := start(t, "qxt: {keys: [{key: "+testKey+", balance: 3}]}")
	other := strings.Repeat("x", 32)
	for _, tc := range []struct {
		name, key string
		numbers   []string
		want      string
	}{
		{"short key", "short", mobiles(1), `"code":1,`},
		{"unknown key", other, mobiles(1), `"code":-1,`},
		{"no number", testKey, nil, `"code":-7,`},
		{"too many", testKey, mobiles(1001), `"code":-10,`},
		{"balance", testKey, mobiles(4), `"code":-6,`},
		{"answer", testKey, mobiles(3), `"code":0,`},
		{"spent", testKey, mobiles(1), `"code":-6,`},
	} {
		_, _, text := batch(t, s, tc.key, tc.numbers...)
		require.Contains(t, text, tc.want, tc.name)
	}
	require.Contains(t, form(t, s, "/balance", url.Values{"apikey": {testKey}}), `"balance":"0"`)
	require.Equal(t, int64(1), s.Ledger().Summary().Oversized)
}

func TestFieldNamesAreCaseSensitive(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+QXTPath+"/carrier_batch",
		strings.NewReader(`{"apikey":"`+testKey+`","PhoneNumbers":["13900000000"]}`))
	require.NoError(t, err)
	_, _, text := do(t, req)
	require.Contains(t, text, "apikey")
}

func TestConcurrencyLimitRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, "qxt: {latency: {base: 200ms}, limits: {concurrency: 2, retry_after: 3s}}")
	var wg sync.WaitGroup
	codes := make([]int, 3)
	headers := make([]http.Header, 3)
	for i := range codes {
		wg.Go(func() { codes[i], headers[i], _ = batch(t, s, testKey, mobiles(1)...) })
	}
	wg.Wait()
	refusals := 0
	for i, c := range codes {
		if c == http.StatusTooManyRequests {
			refusals++
			require.Equal(t, "3", headers[i].Get("Retry-After"))
		}
	}
	require.Equal(t, 1, refusals)
	sum := s.Ledger().Summary()
	require.Equal(t, 3, sum.Keys[0].Peak)
	require.Equal(t, int64(2), sum.Calls)
	require.Equal(t, int64(1), sum.AskedTwice)
}

func TestRateIsSpaced(t *testing.T) {
	t.Parallel()
	l := limiter{limits: Limits{Rate: 10, NumberRate: 100}}
	now := time.Unix(0, 0)
	require.True(t, l.enter(now, 1))
	require.False(t, l.enter(now.Add(50*time.Millisecond), 1))
	require.True(t, l.enter(now.Add(100*time.Millisecond), 50))
	require.False(t, l.enter(now.Add(300*time.Millisecond), 1), "50 numbers take half a second")
	require.True(t, l.enter(now.Add(time.Second), 1))
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, profile, want string }{
		{"status", "qxt: {http_errors: [{share: 1, status: 503, retry_after: 2s}]}", "Service Unavailable"},
		{"reset", "qxt: {http_errors: [{share: 1, mode: reset}]}", "reset by peer"},
		{"truncate", "qxt: {http_errors: [{share: 1, mode: truncate}]}", "unexpected EOF"},
		{"html", "qxt: {http_errors: [{share: 1, mode: html}]}", "<html>"},
		{"outage", "qxt: {outages: [{from: 0s, to: 1h}]}", "Service Unavailable"},
		{"call error", "qxt: {call_errors: [{share: 1, code: -8}]}", `"code":-8`},
		{"poison", "qxt: {poison: {numbers: ['13900000000']}}", `{"code":1,`},
		{"missing", "qxt: {missing: 1}", `[]`},
	} {
		s := start(t, tc.profile)
		_, _, text := batch(t, s, testKey, mobiles(2)...)
		require.Contains(t, text, tc.want, tc.name)
	}
}

func TestMessyBatchStillNamesEveryNumber(t *testing.T) {
	t.Parallel()
	s := start(t, "qxt: {shuffle: true, duplicate: 0.1, extra: 0.1, spelling: mixed, item_errors: [{share: 0.2, code: -4, sticky: true}]}")
	numbers := mobiles(500)
	_, _, text := batch(t, s, testKey, numbers...)
	entries := decode(t, text)
	require.Greater(t, len(entries), 520)
	asked := map[string]bool{}
	for _, n := range numbers {
		asked[n] = true
	}
	notFound := 0
	for _, e := range entries {
		delete(asked, e.Result.Mobile)
		if e.Code == -4 {
			notFound++
		}
	}
	require.Empty(t, asked)
	require.Greater(t, notFound, 50)
}

func TestProfileFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		"qxt: {misssing: 1}":                     "misssing",
		"qxt: {missing: 2}":                      "qxt.missing: 2 is not a share",
		"qxt: {spelling: odd}":                   "qxt.spelling",
		"qxt: {outages: [{mode: odd}]}":          "qxt.outages.mode",
		"qxt: {http_errors: [{mode: odd}]}":      "qxt.http_errors.mode",
		"qxt: {limits: {retry_after_form: odd}}": "retry_after_form",
	} {
		_, err := ParseProfile([]byte(profile))
		require.ErrorContains(t, err, want)
	}
}

func TestRevokedKeyAndControl(t *testing.T) {
	t.Parallel()
	s := start(t, "qxt: {keys: [{key: "+testKey+", revoked_after: 1}]}")
	_, _, first := batch(t, s, testKey, mobiles(1)...)
	require.Contains(t, first, `"code":0`)
	_, _, second := batch(t, s, testKey, mobiles(1)...)
	require.Contains(t, second, `"code":-1`)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/sim/profile", strings.NewReader("qxt: {latency: {base: 1ms}}"))
	require.NoError(t, err)
	code, _, _ := do(t, req)
	require.Equal(t, http.StatusNoContent, code)
	_, _, third := batch(t, s, testKey, mobiles(1)...)
	require.Contains(t, third, `"code":0`, "the new profile knows every key")

	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sim/numbers?at_least=2&upstream=qxt", http.NoBody)
	require.NoError(t, err)
	_, _, text := do(t, req)
	require.JSONEq(t, `{"+8613900000000":2}`, text)
	require.Contains(t, form(t, s, "/carrier", url.Values{"apikey": {testKey}, "mobile": {"13900000001"}}), "Init_isp")
}
