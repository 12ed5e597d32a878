package upstream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

func TestStatusKinds(t *testing.T) {
	t.Parallel()
	want := map[int]providers.Kind{
		301: providers.KindMisconfigured, 304: providers.KindMisconfigured,
		400: providers.KindRefused, 401: providers.KindUnauthorized, 402: providers.KindNoBalance, 403: providers.KindForbidden,
		404: providers.KindMisconfigured, 405: providers.KindMisconfigured, 408: providers.KindUnavailable, 409: providers.KindUnavailable,
		413: providers.KindTooMany, 414: providers.KindTooMany, 415: providers.KindInternal, 418: providers.KindUndocumented,
		422: providers.KindRefused, 425: providers.KindUnavailable, 429: providers.KindThrottled,
		500: providers.KindUnavailable, 501: providers.KindMisconfigured, 502: providers.KindUnavailable, 503: providers.KindUnavailable,
		504: providers.KindUnavailable, 529: providers.KindUnavailable,
	}
	for status, kind := range want {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":"key `+secret+` of +8613972565391"}`)
		})
		res, failure := c.Do(t.Context(), get())
		require.Equal(t, kind, failure.Kind, status)
		require.Equal(t, strconv.Itoa(status), failure.Code)
		require.Equal(t, status, res.Status)
		require.NotContains(t, failure.Error(), secret)
		require.NotContains(t, failure.Error(), "1397256")
		if status != http.StatusNotModified {
			require.Contains(t, failure.Message, "key [redacted] of +…5391")
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":               {http.Header{}, 0},
		"seconds":            {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"fraction":           {http.Header{"Retry-After": {" 0.25 "}}, 250 * time.Millisecond},
		"date":               {http.Header{"Retry-After": {"Sat, 21 Nov 2026 12:01:30 GMT"}}, 90 * time.Second},
		"date of old":        {http.Header{"Retry-After": {"Saturday, 21-Nov-26 12:00:09 GMT"}}, 9 * time.Second},
		"date in the past":   {http.Header{"Retry-After": {"Sat, 21 Nov 2026 11:00:00 GMT"}}, 0},
		"milliseconds":       {http.Header{"Retry-After-Ms": {"1500"}}, 1500 * time.Millisecond},
		"milliseconds first": {http.Header{"Retry-After-Ms": {"20"}, "Retry-After": {"9"}}, 20 * time.Millisecond},
		"bad milliseconds":   {http.Header{"Retry-After-Ms": {"soon"}, "Retry-After": {"9"}}, 9 * time.Second},
		"words":              {http.Header{"Retry-After": {"tomorrow"}}, 0},
		"negative":           {http.Header{"Retry-After": {"-5"}}, 0},
		"absurd":             {http.Header{"Retry-After": {"1e300"}}, 24 * time.Hour},
		"not a number":       {http.Header{"Retry-After": {"NaN"}}, 0},
		"infinite":           {http.Header{"Retry-After": {"Inf"}}, 24 * time.Hour},
		"next century":       {http.Header{"Retry-After": {"Sat, 21 Nov 2126 12:00:00 GMT"}}, 24 * time.Hour},
	}
	for name, tt := range tests {
		require.Equal(t, tt.want, upstream.RetryAfter(tt.header, noon()), name)
	}
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "Sat, 21 Nov 2026 12:00:03 GMT")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, failure := c.Do(t.Context(), get())
	require.Equal(t, 3*time.Second, failure.RetryAfter, "on the client's clock")
}

func TestNotSent(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	untrusted.StartTLS()
	defer untrusted.Close()
	for base, words := range map[string]string{
		closed.URL:                "connection refused",
		"http://upstream.invalid": "host name not found",
		untrusted.URL:             "certificate not trusted",
	} {
		_, failure := clientOf(t, base).Do(t.Context(), post())
		require.Equal(t, providers.KindUnavailable, failure.Kind, base)
		require.Empty(t, failure.Code)
		require.Equal(t, "not sent: "+words, failure.Message)
	}
}

// A peer that takes the connection and never speaks TLS: the time runs out
// before anything is sent.
func TestTimeoutBeforeSending(t *testing.T) {
	t.Parallel()
	mute, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = mute.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, failure := clientOf(t, "https://"+mute.Addr().String()).Do(ctx, post())
	require.Equal(t, providers.KindUnavailable, failure.Kind)
	require.Equal(t, "no reply in time, nothing was sent", failure.Message)
}

func TestContextOverBeforeTheCall(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, failure := c.Do(ctx, post())
	require.Equal(t, providers.KindUnavailable, failure.Kind)
	require.Equal(t, "cancelled before the reply, nothing was sent", failure.Message)
}

// A transport that does not say what it has sent is taken to have sent it.
func TestForeignTransport(t *testing.T) {
	t.Parallel()
	c, err := upstream.New(upstream.Config{BaseURL: "https://api.example", Transport: broken{}})
	require.NoError(t, err)
	_, failure := c.Do(t.Context(), post())
	require.Equal(t, providers.KindCutOff, failure.Kind)
	require.NotContains(t, failure.Error(), secret)
}

type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: "Post", URL: r.URL.String() + "?apikey=" + secret, Err: errors.New("broken with " + secret)}
}

func TestTimeoutAfterSending(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{"no header": "", "no body": "["} {
		// On a busy machine the time may be over before the request has arrived:
		// then it is tried with more.
		for patience := 50 * time.Millisecond; ; patience *= 3 {
			var arrived atomic.Bool
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				arrived.Store(true)
				if begin != "" {
					w.Header().Set("Content-Length", "100")
					_, _ = io.WriteString(w, begin)
					_ = http.NewResponseController(w).Flush()
				}
				hang(r)
			})
			ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("cause with "+secret))
			_, failure := c.Do(ctx, post())
			cancel()
			if !arrived.Load() {
				continue
			}
			require.Equal(t, providers.KindTimeout, failure.Kind, name)
			require.Equal(t, "no reply in time", failure.Message, name)
			break
		}
	}
}

// hang waits until the client has gone; the body is read first, or the server
// would not notice.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestCancelReturnsAtOnce(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		hang(r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *providers.Failure, 1)
	go func() {
		_, failure := c.Do(ctx, post())
		done <- failure
	}()
	<-arrived
	cancel()
	select {
	case failure := <-done:
		require.Equal(t, providers.KindTimeout, failure.Kind)
		require.Equal(t, "cancelled before the reply", failure.Message)
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting")
	}
}

func TestCutOff(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"reset":         func(w http.ResponseWriter, r *http.Request) { hijack(w, r, "", 0) },
		"closed":        func(w http.ResponseWriter, r *http.Request) { hijack(w, r, "", -1) },
		"in the header": func(w http.ResponseWriter, r *http.Request) { hijack(w, r, "HTTP/1.1 200 OK\r\nContent-", -1) },
		"in the body": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{", -1)
		},
		"in a chunk": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n[{", -1)
		},
		"before the last chunk": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[{\r\n", -1)
		},
		"in the compressed body": func(w http.ResponseWriter, r *http.Request) {
			z := zipped(bytes.Repeat([]byte("x"), 5000))
			hijack(w, r, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(len(z))+"\r\n\r\n"+string(z[:len(z)/2]), -1)
		},
	} {
		_, failure := newClient(t, h).Do(t.Context(), post())
		require.Equal(t, providers.KindCutOff, failure.Kind, name)
		require.NotContains(t, failure.Error(), secret)
		require.NotContains(t, failure.Error(), "http://")
	}
}

// hijack reads the request, answers with raw bytes and ends the connection: with
// a reset if linger is 0.
func hijack(w http.ResponseWriter, r *http.Request, raw string, linger int) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, raw)
	if tcp, ok := conn.(*net.TCPConn); ok && linger == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func zipped(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain)
	_ = z.Close()
	return b.Bytes()
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const body = `[{"code":0}]`
	tests := map[string]struct {
		header http.Header
		body   []byte
		want   string
		kind   providers.Kind
	}{
		"plain":            {http.Header{"Content-Type": {"application/json"}}, []byte(body), body, 0},
		"wrong type":       {http.Header{"Content-Type": {"text/html; charset=gbk"}}, []byte(body), body, 0},
		"byte order mark":  {nil, []byte("\uFEFF" + body), body, 0},
		"gzip":             {http.Header{"Content-Encoding": {"GZIP"}}, zipped([]byte(body)), body, 0},
		"identity":         {http.Header{"Content-Encoding": {"identity"}}, []byte(body), body, 0},
		"nothing":          {nil, nil, "", 0},
		"nothing, zipped":  {http.Header{"Content-Encoding": {"gzip"}}, nil, "", 0},
		"said to be gzip":  {http.Header{"Content-Encoding": {"gzip"}}, []byte(body), "", providers.KindGarbled},
		"unknown encoding": {http.Header{"Content-Encoding": {"br"}}, []byte(body), "", providers.KindGarbled},
		"damaged gzip":     {http.Header{"Content-Encoding": {"gzip"}}, damaged(zipped([]byte(body))), "", providers.KindGarbled},
		"at the cap":       {nil, bytes.Repeat([]byte("x"), 1<<20), strings.Repeat("x", 1<<20), 0},
		"above the cap":    {nil, bytes.Repeat([]byte("x"), 1<<20+1), "", providers.KindOversize},
		"a bomb":           {http.Header{"Content-Encoding": {"gzip"}}, zipped(make([]byte, 4<<20)), "", providers.KindOversize},
	}
	for name, tt := range tests {
		for _, chunked := range []bool{false, true} {
			c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), tt.header)
				if !chunked {
					w.Header().Set("Content-Length", strconv.Itoa(len(tt.body)))
				}
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				_, _ = w.Write(tt.body)
			})
			for range 2 { // the second starts with the first one's size
				res, failure := c.Do(t.Context(), post())
				if tt.kind != 0 {
					require.NotNil(t, failure, name)
					require.Equal(t, tt.kind, failure.Kind, name)
					continue
				}
				require.Nil(t, failure, name)
				require.Equal(t, tt.want, string(res.Body), name)
			}
		}
	}
}

// A key that the upstream repeats does not get into what is made of the reply.
func TestBodiesRepeatNoSecret(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	for _, status := range []int{200, 400} {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"a":%s,"b":"%s %s","c":"%s","d":"short"}`, quoted, secret, strings.ToUpper(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
		})
		r := get()
		r.Secrets = []providers.Secret{providers.NewSecret("short"), providers.NewSecret(secret), {}}
		res, _ := c.Do(t.Context(), r)
		require.JSONEq(t, `{"a":"[redacted]","b":"[redacted] [redacted]","c":"[redacted]","d":"short"}`, string(res.Body))
	}
}

func damaged(b []byte) []byte {
	b[len(b)-6] ^= 0xFF // in the checksum
	return b
}

// An endless reply is left as soon as it is above the cap.
func TestEndlessReply(t *testing.T) {
	t.Parallel()
	written := make(chan int, 1)
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		n, block := 0, make([]byte, 64<<10)
		for {
			m, err := w.Write(block)
			n += m
			if err != nil {
				written <- n
				return
			}
		}
	})
	_, failure := c.Do(t.Context(), post())
	require.Equal(t, providers.KindOversize, failure.Kind)
	require.Less(t, <-written, 16<<20, "the cap is 1 MiB, the rest is what the sockets hold")
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"": "empty reply", "\n": "empty reply", "<html>" + secret: "an HTML page instead of JSON", `{"a":1}`: "not the documented JSON",
	} {
		failure := upstream.Unreadable(upstream.Response{Body: []byte(body)})
		require.Equal(t, providers.KindGarbled, failure.Kind)
		require.Equal(t, want, failure.Message)
	}
}
