package upstream_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Whatever an upstream asks for, a key rests between nothing and a day.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "7", "-1", " 0.25 ", "NaN", "Inf", "1e300", "0x1p4", "Sat, 21 Nov 2026 12:01:30 GMT", "Saturday, 21-Nov-26 12:00:09 GMT", "\xff"} {
		f.Add(value, "")
		f.Add("9", value)
	}
	f.Fuzz(func(t *testing.T, seconds, millis string) {
		h := http.Header{"Retry-After": {seconds}, "Retry-After-Ms": {millis}}
		got := upstream.RetryAfter(h, noon())
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, 24*time.Hour)
		require.Equal(t, got, upstream.RetryAfter(h, noon()))
	})
}

// canned answers every request with the same bytes.
type canned http.Response

func (c *canned) RoundTrip(*http.Request) (*http.Response, error) {
	res := http.Response(*c)
	return &res, nil
}

// Whatever comes back and however it says it is packed: it is read whole and
// plain within the cap, or it is a failure that says so.
func FuzzBody(f *testing.F) {
	body := []byte(`[{"code":0}]`)
	f.Add(body, "", int64(len(body)), 200)
	f.Add(zipped(body), "gzip", int64(-1), 200)
	f.Add(zipped(make([]byte, 1<<12)), "x-gzip", int64(0), 200)
	f.Add(damaged(zipped(body)), "GZIP", int64(-1), 200)
	f.Add(zipped(body)[:8], " gzip ", int64(1)<<62, 429)
	f.Add(append(zipped(body), zipped(body)...), "gzip", int64(-1), 200)
	f.Add([]byte("\uFEFF"), "br", int64(3), 503)
	const most = 1 << 10
	f.Fuzz(func(t *testing.T, body []byte, encoding string, length int64, status int) {
		do := func(body []byte) (upstream.Response, *providers.Failure) {
			c, err := upstream.New(upstream.Config{
				BaseURL: "https://api.example.com", MaxBody: most, Clock: noon,
				Transport: &canned{StatusCode: status, Header: http.Header{"Content-Encoding": {encoding}}, ContentLength: max(length, -1), Body: io.NopCloser(bytes.NewReader(body))},
			})
			require.NoError(t, err)
			return c.Do(t.Context(), get())
		}
		res, failure := do(body)
		success := status >= 200 && status < 300
		switch {
		case !success:
			require.NotNil(t, failure)
			require.Equal(t, upstream.StatusKind(status), failure.Kind)
			require.LessOrEqual(t, len(res.Body), 64<<10)
		case failure != nil:
			require.Empty(t, res)
			require.Contains(t, []providers.Kind{providers.KindOversize, providers.KindGarbled, providers.KindCutOff}, failure.Kind)
		default:
			require.LessOrEqual(t, len(res.Body), most)
			if encoding == "" {
				require.Equal(t, string(bytes.TrimPrefix(body, []byte("\uFEFF"))), string(res.Body))
			}
		}
		if encoding == "gzip" && success && len(body) < most/2 {
			res, failure = do(zipped(body))
			require.Nil(t, failure)
			require.Equal(t, string(bytes.TrimPrefix(body, []byte("\uFEFF"))), string(res.Body))
		}
	})
}
