package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const nxKeys = "keys: [{key: acc, secret: sec, apps: [app]}, {key: other, secret: sec2, apps: [app2]}]"

// nx sends a signed call; change may spoil its headers.
func nx(t *testing.T, s *Server, path string, body any, change ...func(http.Header)) (int, http.Header, string) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	h := http.Header{}
	for name, v := range map[string]string{
		"accessKey": "acc", "ts": strconv.FormatInt(time.Now().UnixMilli(), 10), "bizType": "1", "action": "numbercheck", "Content-Type": "application/json",
	} {
		h.Set(name, v)
	}
	h.Set("Sign", nxSign(h, text, "sec"))
	for _, c := range change {
		c(h)
	}
	var pairs []string
	for name := range h {
		pairs = append(pairs, name, h.Get(name))
	}
	return request(t, s, "POST "+NXCloudPath+path, string(text), pairs...)
}

func submit(t *testing.T, s *Server, body map[string]any) map[string]any {
	t.Helper()
	if _, ok := body["appkey"]; !ok {
		body["appkey"] = "app"
	}
	_, _, text := nx(t, s, "/api/number/check", body)
	return object(t, text)
}

// today is the day of submits, as a query names it.
func today() string {
	return time.Now().In(time.FixedZone("", 8*60*60)).Format(time.DateOnly)
}

func nxQuery(t *testing.T, s *Server, body map[string]any) map[string]any {
	t.Helper()
	full := map[string]any{"page": 1, "pageSize": 100, "date": today()}
	maps.Copy(full, body)
	_, _, text := nx(t, s, "/api/number/query", full)
	return object(t, text)
}

func phones(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("86139%08d", i)
	}
	return out
}

// receiver keeps receipts; the first refusals of each number are answered with 503.
type receiver struct {
	*httptest.Server

	refusals int
	got      chan map[string]any
	mu       sync.Mutex
	tried    map[any]int
}

func newReceiver(t *testing.T, refusals int) *receiver {
	t.Helper()
	r := &receiver{refusals: refusals, got: make(chan map[string]any, 10000), tried: map[any]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		dec := json.NewDecoder(req.Body)
		dec.UseNumber()
		var o map[string]any
		if dec.Decode(&o) != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tried[o["phone"]]++
		if r.tried[o["phone"]] <= r.refusals {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		plain, _ := plainNumbers(o).(map[string]any)
		r.got <- plain
	}))
	t.Cleanup(r.Close)
	return r
}

// take waits for n receipts.
func (r *receiver) take(t *testing.T, n int) []map[string]any {
	t.Helper()
	out := make([]map[string]any, 0, n)
	timeout := time.After(20 * time.Second)
	for len(out) < n {
		select {
		case o := <-r.got:
			out = append(out, o)
		case <-timeout:
			require.Failf(t, "receipts are missing", "%d of %d", len(out), n)
		}
	}
	return out
}

// TestNXCloudSignature: the vendor's published samples and the document's own.
func TestNXCloudSignature(t *testing.T) {
	t.Parallel()
	sign := func(key, action, ts, secret, body string) string {
		h := http.Header{}
		h.Set("Accesskey", key)
		h.Set("Action", action)
		h.Set("Biztype", "1")
		h.Set("Ts", ts)
		return nxSign(h, []byte(body), secret)
	}
	for body, want := range map[string]string{
		`{"name":"牛小信","id":10001}`:    "87c3560d3331ae23f1021e2025722354",
		`{"id":10001,"name":"牛小信"}`:    "7750759da06333f20d0640be09355e34",
		`{"id": 10001, "name": "牛小信"}`: "d0c24a9886c629330d7f3f2056c65bc2",
	} {
		require.Equal(t, want, sign("fme2na3kdi3ki", "send", "1655710885431", "abciiiko2k3", body))
	}
	require.Equal(t, "786f1adcf7d8866a31463a96d45da3e5", sign("test-access-key-01", "numbercheck", "1700000000000", "test-secret-0123456789", ""))
}

func TestNXCloudGateway(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: -1, "+nxKeys+"}")
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	late := strconv.FormatInt(time.Now().Add(-2*time.Minute).UnixMilli(), 10)
	early := strconv.FormatInt(time.Now().Add(2*time.Minute).UnixMilli(), 10)
	body := map[string]any{"phone": "8613900000000", "appkey": "app"}
	for _, tc := range []struct {
		name   string
		change func(http.Header)
		want   int
	}{
		{"no sign", func(h http.Header) { h.Del("Sign") }, 1001},
		{"no ts", func(h http.Header) { h.Del("Ts") }, 1001},
		{"other bizType", set("bizType", "2"), 1002},
		{"other action", set("action", "send"), 1002},
		{"no JSON type", set("Content-Type", "text/plain"), 1002},
		{"upper case", func(h http.Header) { h.Set("Sign", strings.ToUpper(h.Get("Sign"))) }, 1003},
		{"wrong sign", set("sign", strings.Repeat("0", 32)), 1003},
		{"late", set("ts", late), 1004},
		{"early", set("ts", early), 1004},
		{"unknown key", set("accessKey", "who"), 1005},
	} {
		for _, path := range []string{"/api/number/check", "/api/number/query", "/api/number/check/get"} {
			code, _, text := nx(t, s, path, body, tc.change)
			if code == http.StatusTooManyRequests {
				continue // queries of one key are 3 s apart
			}
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, tc.want, object(t, text)["code"], tc.name+path)
		}
	}
	require.Zero(t, s.LedgerOf(UpstreamNXCloud).Summary().Numbers)
}

func TestNXCloudSubmitCodes(t *testing.T) {
	t.Parallel()
	s := start(t, `nxcloud: {generation: g1, small_rate: -1, large_rate: -1, unpriced: [FR], poison: {numbers: ["8613900000009"]},
	  keys: [{key: acc, secret: sec, apps: [app], balance: 0.004}, {key: other, secret: x, apps: [app2]}]}`)
	many := strings.Join(phones(5001), ",")
	for _, tc := range []struct {
		name string
		body map[string]any
		want int
	}{
		{"no app", map[string]any{"phone": "8613900000000", "appkey": ""}, 202},
		{"unknown app", map[string]any{"phone": "8613900000000", "appkey": "x"}, 202},
		{"foreign app", map[string]any{"phone": "8613900000000", "appkey": "app2"}, 210},
		{"no number", map[string]any{"phone": ""}, 201},
		{"too many", map[string]any{"phone": many}, 201},
		{"poison", map[string]any{"phone": "8613900000000,8613900000009"}, 201},
		{"two countries", map[string]any{"phone": "8613900000000,4479111000000"}, 203},
		{"no price", map[string]any{"phone": "33612345678"}, 205},
		{"odd level", map[string]any{"phone": "8613900000000", "checkLevel": 2}, 207},
		{"long batchNo", map[string]any{"phone": "8613900000000", "batchNo": strings.Repeat("b", 65)}, 212},
		{"too dear", map[string]any{"phone": strings.Join(phones(3), ",")}, 211},
		{"elsewhere", map[string]any{"phone": "8613900000000", "drUrl": "http://192.0.2.1/x"}, 201},
		{"good", map[string]any{"phone": strings.Join(phones(2), ",")}, 0},
		{"money gone", map[string]any{"phone": "8613900000000"}, 211},
	} {
		require.Equal(t, tc.want, submit(t, s, tc.body)["code"], tc.name)
	}
	require.Equal(t, int64(1), s.LedgerOf(UpstreamNXCloud).Summary().Oversized)

	newest := start(t, "nxcloud: {small_rate: -1, "+nxKeys+"}")
	require.Equal(t, 207, submit(t, newest, map[string]any{"phone": "8613900000000", "checkLevel": 4})["code"])
	o := submit(t, newest, map[string]any{"phone": "8613900000000,4479111000000,123,9999999999999"})
	require.Equal(t, 0, o["code"], "the newest document mixes countries")
	require.Len(t, dig(o, "data", "failNumber"), 2)
	require.Equal(t, "123", dig(o, "data", "failNumber", 0, "number"))
	require.Len(t, dig(o, "data", "requestId"), 32)
	require.NotEmpty(t, dig(o, "data", "batchNo"))
	require.Equal(t, int64(2), newest.LedgerOf(UpstreamNXCloud).Summary().Numbers)
}

func TestNXCloudRates(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: 0.1, query_every: 1h, "+nxKeys+"}")
	one := map[string]any{"phone": "8613900000000", "appkey": "app"}
	code, _, _ := nx(t, s, "/api/number/check", one)
	require.Equal(t, http.StatusOK, code)
	code, h, _ := nx(t, s, "/api/number/check", one)
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Equal(t, "1", h.Get("Retry-After"))
	code, _, _ = nx(t, s, "/api/number/query", map[string]any{"batchNo": "x", "page": 1, "pageSize": 1, "date": today()})
	require.Equal(t, http.StatusOK, code, "queries have a rate of their own")
	code, _, _ = nx(t, s, "/api/number/query", one)
	require.Equal(t, http.StatusTooManyRequests, code)
	sum := s.LedgerOf(UpstreamNXCloud).Summary()
	require.Equal(t, [4]int64{1, 2, 2, 1}, [4]int64{sum.Calls, sum.Refused, sum.Deferred.Queries, sum.Numbers})
	require.Positive(t, sum.Deferred.QueryGap)

	s = start(t, "nxcloud: {large_rate: 0.1, limit_code: 288, "+nxKeys+"}")
	large := map[string]any{"phone": strings.Join(phones(2001), ",")}
	require.Equal(t, 0, submit(t, s, large)["code"])
	require.Equal(t, 288, submit(t, s, large)["code"])
}

// TestNXCloudReceipts: every number of a batch gets one receipt that says its truth,
// in each generation and level; a query says the same.
func TestNXCloudReceipts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		generation string
		level      int
		fields     []string // where a good answer has its facts
	}{
		{"g1", 1, []string{"data", "basic"}},
		{"g1", 4, []string{"data", "dial"}},
		{"g1", 5, []string{"data", "live"}},
		{"g2", 4, []string{"data"}},
		{"g3", 1, []string{"data"}},
		{"g3", 5, []string{"data"}},
		{"mixed", 5, []string{"data"}},
	} {
		name := tc.generation + " " + strconv.Itoa(tc.level)
		s := start(t, "nxcloud: {query_every: -1s, generation: "+tc.generation+", receipts: {jitter: 50ms, order: shuffled}, unknown: 0.1, invalid: 0.1, "+nxKeys+"}")
		r := newReceiver(t, 0)
		numbers := phones(120)
		o := submit(t, s, map[string]any{"phone": strings.Join(numbers, ","), "batchNo": "b-1", "checkLevel": tc.level, "drUrl": r.URL + "/hook"})
		require.Equal(t, 0, o["code"], name)
		bad := 0
		for _, got := range r.take(t, len(numbers)) {
			require.Equal(t, "b-1", got["batchNo"])
			phone, _ := got["phone"].(string)
			numbers = slices.DeleteFunc(numbers, func(n string) bool { return n == phone })
			truth := s.snapshot().Truth(Ask{Upstream: UpstreamNXCloud, CheckLevel: tc.level}, "+"+phone)
			if truth.Status != StatusOK {
				bad++
				require.Equal(t, truth.Code, fmt.Sprint(got["code"]), name)
				require.Nil(t, got["data"])
				continue
			}
			require.Equal(t, 0, got["code"])
			require.Equal(t, truth.Price.Currency, dig(got, "cost", "currency"))
			at := any(got)
			for _, f := range tc.fields {
				at = dig(at, f)
			}
			require.NotNil(t, at, name)
		}
		require.Empty(t, numbers, name)
		require.Greater(t, bad, 5)

		first := nxQuery(t, s, map[string]any{"batchNo": "b-1"})
		require.Equal(t, 120, dig(first, "data", "totalSize"))
		require.Equal(t, 2, dig(first, "data", "totalPage"))
		require.Len(t, dig(first, "data", "result"), 100)
		second := nxQuery(t, s, map[string]any{"batchNo": "b-1", "page": 2})
		require.Len(t, dig(second, "data", "result"), 20)
		sum := s.LedgerOf(UpstreamNXCloud).Summary().Deferred
		require.Equal(t, [2]int64{120, 0}, [2]int64{sum.Receipts, sum.Retried})
	}
}

// TestNXCloudReceiptRetries: what is not answered with 200 comes again, and is given up in the end.
func TestNXCloudReceiptRetries(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: -1, receipts: {retry_every: 5ms, retries: 3, duplicate: 1}, "+nxKeys+"}")
	r := newReceiver(t, 2)
	submit(t, s, map[string]any{"phone": strings.Join(phones(5), ","), "batchNo": "b", "drUrl": r.URL})
	r.take(t, 10) // each twice
	deferred := func() Deferred { return s.LedgerOf(UpstreamNXCloud).Summary().Deferred }
	require.Eventually(t, func() bool { return deferred().Accepted == 10 }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, int64(20), deferred().Receipts)

	deaf := newReceiver(t, 1000)
	submit(t, s, map[string]any{"phone": "8613900000077", "batchNo": "c", "drUrl": deaf.URL})
	require.Eventually(t, func() bool { return deferred().GivenUp == 2 }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, int64(20+8), deferred().Receipts)
}

// TestNXCloudLost: lost receipts are found by queries, missing numbers never.
func TestNXCloudLost(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: -1, query_every: -1s, missing: 0.2, receipts: {lost: 1}, "+nxKeys+"}")
	o := submit(t, s, map[string]any{"phone": strings.Join(phones(100), ","), "batchNo": "b", "drUrl": "http://127.0.0.1:1/"})
	total, _ := dig(nxQuery(t, s, map[string]any{"batchNo": "b"}), "data", "totalSize").(int)
	require.InDelta(t, 80, total, 18)
	require.Less(t, total, 100)
	require.Equal(t, total, dig(nxQuery(t, s, map[string]any{"requestId": dig(o, "data", "requestId")}), "data", "totalSize"))
	require.Zero(t, s.LedgerOf(UpstreamNXCloud).Summary().Deferred.Receipts)

	// A batch that is not answered yet is known, and empty.
	s.SetProfile(Profile{NXCloud: NXCloud{QueryEvery: -1, Receipts: Receipts{Base: time.Hour}}})
	submit(t, s, map[string]any{"phone": "8613900000000", "batchNo": "later"})
	empty := nxQuery(t, s, map[string]any{"batchNo": "later"})
	require.Equal(t, []any{}, dig(empty, "data", "result"))
	require.Equal(t, 0, dig(empty, "data", "totalPage"))
}

func TestNXCloudQueryFaults(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {query_every: -1s, "+nxKeys+"}")
	submit(t, s, map[string]any{"phone": "8613900000000", "batchNo": "b"})
	for name, body := range map[string]map[string]any{
		"date form": {"batchNo": "b", "date": "2026/01/01"},
		"old date":  {"batchNo": "b", "date": "2020-01-01"},
		"page":      {"batchNo": "b", "page": 0},
		"page size": {"batchNo": "b", "pageSize": 101},
		"no batch":  {},
	} {
		o := nxQuery(t, s, body)
		require.Equal(t, 88, o["code"], name)
		require.Equal(t, map[string]any{}, o["data"], name)
		require.NotEmpty(t, o["msg"], name)
	}
	require.Equal(t, 202, nxQuery(t, s, map[string]any{"batchNo": "b", "appkey": "no"})["code"])
	yesterday := time.Now().In(time.FixedZone("", 8*60*60)).AddDate(0, 0, -1).Format(time.DateOnly)
	require.Equal(t, 0, dig(nxQuery(t, s, map[string]any{"batchNo": "b", "date": yesterday}), "data", "totalSize"))
	require.Equal(t, 1, dig(nxQuery(t, s, map[string]any{"batchNo": "b"}), "data", "totalSize"))
}

// TestNXCloudLostReplies: the batch is taken and paid, and nobody is told.
func TestNXCloudLostReplies(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {query_every: -1s, lost_replies: 1, small_rate: -1, "+nxKeys+"}")
	body := map[string]any{"phone": "8613900000000,8613900000001", "batchNo": "b", "appkey": "app"}
	code, _, text := nx(t, s, "/api/number/check", body)
	require.Zero(t, code, text)
	require.Equal(t, 2, dig(nxQuery(t, s, map[string]any{"batchNo": "b"}), "data", "totalSize"))
	nx(t, s, "/api/number/check", body)
	sum := s.LedgerOf(UpstreamNXCloud).Summary()
	require.Equal(t, [2]int64{4, 2}, [2]int64{sum.Numbers, sum.AskedTwice})
	require.Equal(t, [3]int64{2, 1, 2}, [3]int64{sum.Deferred.LostReplies, sum.Deferred.DuplicateBatches, sum.Deferred.Blind})
	require.Equal(t, map[string]uint32{"+8613900000000": 2, "+8613900000001": 2}, s.LedgerOf(UpstreamNXCloud).Numbers(2))
}

// TestNXCloudReasonToSubmitAgain: after a receipt that asks for it nobody is blind.
func TestNXCloudReasonToSubmitAgain(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: -1, item_errors: [{share: 1, code: 103}], "+nxKeys+"}")
	for range 2 {
		submit(t, s, map[string]any{"phone": "8613900000000"})
	}
	sum := s.LedgerOf(UpstreamNXCloud).Summary()
	require.Equal(t, [2]int64{1, 0}, [2]int64{sum.AskedTwice, sum.Deferred.Blind})
}
