package upstream_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const secret = "0123456789abcdefKEY+/=xyz9876543"

// noon is the clock of every client here.
func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// newClient calls a server that handles with h.
func newClient(t *testing.T, h http.HandlerFunc) *upstream.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL)
}

func clientOf(t *testing.T, base string) *upstream.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := upstream.New(upstream.Config{BaseURL: base, Transport: transport, Clock: noon, MaxBody: 1 << 20})
	require.NoError(t, err)
	return c
}

func get() upstream.Request {
	return upstream.Request{Method: http.MethodGet, Path: "/x", Secrets: []providers.Secret{providers.NewSecret(secret)}}
}

func post() upstream.Request {
	r := get()
	r.Method, r.Body, r.ContentType = http.MethodPost, []byte(`{"key":"`+secret+`"}`), "application/json"
	return r
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://api.example.com", "http://127.0.0.1:8080", "https://api.example.com/v2/", " https://[::1]:8443/a%20b ", "HTTPS://api.example.com",
	} {
		_, err := upstream.New(upstream.Config{BaseURL: good})
		require.NoError(t, err, good)
	}
	for bad, want := range map[string]string{
		"":                           "does not start with https:// or http://",
		"api.example.com":            "does not start with",
		"ftp://api.example.com":      "does not start with",
		"https://":                   "names no host",
		"https://:8080":              "names no host",
		"https://u:pw@example.com":   "holds a user or password",
		"https://example.com?key=pw": "query or fragment",
		"https://example.com/?":      "query or fragment",
		"https://example.com/#pw":    "query or fragment",
		"https://example.com:pw":     "is not a URL",
		"https://example.com:99999":  "port",
		"https://example.com:":       "port",
		"https://exa mple.com/pw":    "is not a URL",
	} {
		_, err := upstream.New(upstream.Config{BaseURL: bad})
		require.ErrorContains(t, err, "base_url: ", bad)
		require.ErrorContains(t, err, want, bad)
		require.ErrorContains(t, err, "write it like", bad)
		require.NotContains(t, err.Error(), "pw", bad)
	}
}

func TestRequestAsSent(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	defer server.Close()
	r := get()
	r.Query = map[string][]string{"page": {"2"}}
	r.Header = http.Header{"Authorization": {"Bearer " + secret}}
	res, failure := clientOf(t, server.URL+"/v2/").Do(t.Context(), r)
	require.Nil(t, failure)
	require.Equal(t, http.StatusOK, res.Status)
	sent := <-got
	require.Equal(t, "/v2/x?page=2", sent.RequestURI)
	require.Equal(t, "Bearer "+secret, sent.Header.Get("Authorization"))
	require.Regexp(t, "^lookupq/", sent.Header.Get("User-Agent"))
	require.Equal(t, "gzip", sent.Header.Get("Accept-Encoding"))
	require.Zero(t, sent.ContentLength)
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true // one call at a time
		status, kind := http.StatusOK, r.Header.Get("X-Kind")
		if kind == "error" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		_, _ = w.Write(make([]byte, 10_000))
	})
	for i := range 20 {
		r := post()
		r.Header = http.Header{"X-Kind": {[]string{"error", "fine"}[i%2]}}
		_, _ = c.Do(t.Context(), r)
	}
	require.Len(t, addresses, 1)
}

// Without a transport given, the client's own is used: no proxy of the
// environment sees a key.
func TestOwnTransportUsesNoProxy(t *testing.T) {
	proxied := make(chan struct{}, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied <- struct{}{} }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	c, err := upstream.New(upstream.Config{BaseURL: "http://upstream.invalid"})
	require.NoError(t, err)
	_, failure := c.Do(t.Context(), get())
	require.Equal(t, providers.KindUnavailable, failure.Kind)
	require.Empty(t, proxied)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := make(chan struct{}, 1)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere <- struct{}{} }))
	defer target.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target.URL+"/?apikey="+secret)
			w.WriteHeader(status)
		})
		_, failure := c.Do(t.Context(), post())
		require.Equal(t, providers.KindMisconfigured, failure.Kind)
		require.NotContains(t, failure.Error(), secret)
	}
	require.Empty(t, elsewhere)
}

func TestBadRequestIsOurFault(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(http.ResponseWriter, *http.Request) {})
	for _, r := range []upstream.Request{{Method: "GET", Path: "x"}, {Method: "B AD", Path: "/x"}, {Method: "GET", Path: "/\x7f" + secret}} {
		r.Secrets = get().Secrets
		_, failure := c.Do(t.Context(), r)
		require.Equal(t, providers.KindInternal, failure.Kind)
		require.NotContains(t, failure.Error(), secret)
	}
}
