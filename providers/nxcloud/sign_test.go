package nxcloud

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// The first three vectors are the vendor's own samples.
func TestSignature(t *testing.T) {
	t.Parallel()
	sample := headers{"fme2na3kdi3ki", "send", "1", "1655710885431"}
	ours := headers{testAccess, "numbercheck", "1", "1700000000000"}
	tests := []struct {
		headers      headers
		secret, body string
		want         string
	}{
		{sample, "abciiiko2k3", `{"name":"牛小信","id":10001}`, "87c3560d3331ae23f1021e2025722354"},
		{sample, "abciiiko2k3", `{"id":10001,"name":"牛小信"}`, "7750759da06333f20d0640be09355e34"},
		{sample, "abciiiko2k3", `{"id": 10001, "name": "牛小信"}`, "d0c24a9886c629330d7f3f2056c65bc2"},
		{ours, testSecret, `{"phone":"8613800138000,8613900139000","batchNo":"job-0001-batch-0001","checkLevel":1,"drUrl":"https://example.test/hooks/nxcloud/abc","appkey":"app0001"}`, "1663174c01b7524af33dc077d077f043"},
		{ours, testSecret, `{"batchNo":"job-0001-batch-0001","page":1,"pageSize":100,"date":"2023-11-15"}`, "bca0609e0206178f87836c52871208cb"},
		{ours, testSecret, `{"phone":"85261234567","appkey":"应用1"}`, "75582e64a5427e6da477923a5096d3bf"},
		{ours, testSecret, "", "786f1adcf7d8866a31463a96d45da3e5"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.headers.sign([]byte(tt.body), providers.NewSecret(tt.secret)), tt.body)
	}
}

// The requests made are those of the vectors, to the byte.
func TestRequestsAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := newVendor(t, ok(`{"code":0,"data":{}}`), ok(`{"code":0,"data":{"result":[],"totalSize":0}}`))
	p := v.provider(t, "")
	r := p.Submit(t.Context(), query(numberA, numberB), "job-0001-batch-0001", "https://example.test/hooks/nxcloud/abc")
	require.Nil(t, r.Failure)
	page := p.Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: "job-0001-batch-0001", SubmittedAt: testTime(), Page: 1})
	require.Nil(t, page.Failure)
	got := v.requests()
	require.Len(t, got, 2)
	require.Equal(t, "/api/number/check", got[0].path)
	require.Equal(t, "1663174c01b7524af33dc077d077f043", got[0].header.Get("Sign"))
	require.Equal(t, "/api/number/query", got[1].path)
	require.Equal(t, "bca0609e0206178f87836c52871208cb", got[1].header.Get("Sign"))
	for _, r := range got {
		require.Equal(t, testAccess, r.header.Get("Accesskey"))
		require.Equal(t, "numbercheck", r.header.Get("Action"))
		require.Equal(t, "1", r.header.Get("Biztype"))
		require.Equal(t, "1700000000000", r.header.Get("Ts"))
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
	}
}

// A stale time is measured against the reply's Date, and later calls use it.
func TestStaleTimeIsSignedAgain(t *testing.T) {
	t.Parallel()
	date := testTime().Add(2 * time.Minute).UTC().Truncate(time.Second)
	stale := reply{status: 200, header: map[string]string{"Date": date.Format(http.TimeFormat)}, body: `{"code":1004,"msg":"timestamp expired"}`}
	taken := ok(`{"code":0,"data":{"batchNo":"` + testTicket + `"}}`)
	for _, status := range []int{200, 401, 500} {
		stale.status = status
		v := newVendor(t, stale, taken)
		p := v.provider(t, "")
		for range 2 {
			require.Nil(t, p.Submit(t.Context(), query(numberA), testTicket, "").Failure)
		}
		got := v.requests()
		require.Len(t, got, 3, "one request more in the first call, none in the second")
		require.Equal(t, "1700000000000", got[0].header.Get("Ts"))
		require.Equal(t, "1700000120500", got[1].header.Get("Ts"))
		require.Equal(t, "1700000120500", got[2].header.Get("Ts"))
		require.Equal(t, got[0].body, got[1].body)
		require.NotEqual(t, got[0].header.Get("Sign"), got[1].header.Get("Sign"))
	}
}

// A question has a permit for one request: the next one uses what was learned.
func TestQuestionsAreNotSignedAgain(t *testing.T) {
	t.Parallel()
	date := testTime().Add(2 * time.Minute).UTC().Truncate(time.Second)
	stale := reply{status: 200, header: map[string]string{"Date": date.Format(http.TimeFormat)}, body: `{"code":1004,"msg":"timestamp expired"}`}
	empty := ok(`{"code":0,"data":{"result":[],"totalSize":0}}`)
	for _, refusal := range []reply{stale, {status: 401, header: stale.header, body: stale.body}, ok(`{"code":1003}`)} {
		v := newVendor(t, refusal, empty)
		p := v.provider(t, "")
		f := providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Page: 1}
		page := p.Fetch(t.Context(), f)
		require.Len(t, v.requests(), 1)
		require.Equal(t, providers.KindUnavailable, page.Failure.Kind)
		require.Equal(t, time.Second, page.Failure.RetryAfter)
		require.Nil(t, p.Fetch(t.Context(), f).Failure)
		got := v.requests()
		require.Len(t, got, 2)
		if refusal.header != nil {
			require.Equal(t, "1700000120500", got[1].header.Get("Ts"))
		}
	}
}

func TestSecondRequestIsTheLast(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		replies []reply
		want    providers.Kind
		code    string
		asked   int
	}{
		"signature twice":        {[]reply{ok(`{"code":1003}`)}, providers.KindUnauthorized, "1003", 2},
		"time twice":             {[]reply{ok(`{"code":"1004"}`)}, providers.KindUnavailable, "1004", 2},
		"time, then signature":   {[]reply{ok(`{"code":1004}`), ok(`{"code":1003}`)}, providers.KindUnauthorized, "1003", 2},
		"signature, then money":  {[]reply{ok(`{"code":1003}`), ok(`{"code":211}`)}, providers.KindNoBalance, "211", 2},
		"time behind a gateway":  {[]reply{{status: 502, body: `{"code":1004}`}}, providers.KindCutOff, "502", 1},
		"time, and too much":     {[]reply{{status: 429, body: `{"code":1004}`}}, providers.KindThrottled, "429", 1},
		"any other code is once": {[]reply{ok(`{"code":1005}`)}, providers.KindUnauthorized, "1005", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, tt.replies...)
			r := v.provider(t, "").Submit(t.Context(), query(numberA), testTicket, "")
			require.NotNil(t, r.Failure)
			require.Equal(t, tt.want, r.Failure.Kind)
			require.Equal(t, tt.code, r.Failure.Code)
			require.Len(t, v.requests(), tt.asked)
		})
	}
}

// A Date that is none leaves the guess as it was.
func TestSkewNeedsADate(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "")
	p.measureSkew(http.Header{"Date": {"yesterday"}})
	require.Equal(t, testTime(), p.now())
	p.measureSkew(http.Header{})
	require.Equal(t, testTime(), p.now())
}
