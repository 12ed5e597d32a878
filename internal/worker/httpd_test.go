package worker

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/names"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startHTTP serves on a free port; the test ends with a clean Close.
func startHTTP(t *testing.T, checks []Check) *HTTPServer {
	t.Helper()
	m := NewMetrics(DefaultConfig(), "test")
	s, err := StartHTTP(t.Context(), HTTPOptions{
		Listen: "127.0.0.1:0",
		Status: func(context.Context) any {
			return Status{WorkerID: "w1", State: "running", Routes: []RouteStatus{{Name: "offline"}}}
		},
		Ready:   func(context.Context) []Check { return checks },
		Metrics: m.Handler(),
		Log:     zerolog.Nop(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
	return s
}

// get fetches a path and returns the status code, the header and the body.
func get(t *testing.T, s *HTTPServer, path string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, http.NoBody)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	return reply.StatusCode, reply.Header, string(body)
}

func TestHTTPAddresses(t *testing.T) {
	t.Parallel()
	s := startHTTP(t, []Check{{Name: "nats", OK: true}})
	for path, want := range map[string]struct {
		code       int
		kind, body string
	}{
		"/healthz":            {200, "application/json", `"ok": true`},
		"/readyz":             {200, "application/json", `"ready": true`},
		"/metrics":            {200, "text/plain", "lookupq_build_info{version=\"test\"} 1"},
		"/v1/status":          {200, "application/json", `"worker_id": "w1"`},
		"/":                   {200, "text/html", "/static/status.js"},
		"/static/status.js":   {200, "text/javascript", "/v1/status"},
		"/static/status.css":  {200, "text/css", "table"},
		"/static/none":        {404, "", ""},
		"/static/..%2fx.go":   {404, "", ""},
		"/nothing":            {404, "", ""},
		"/callbacks/nxcloud/": {404, "", ""},
	} {
		code, header, body := get(t, s, path)
		require.Equal(t, want.code, code, path)
		require.True(t, strings.HasPrefix(header.Get("Content-Type"), want.kind), "%s is %s", path, header.Get("Content-Type"))
		require.Contains(t, body, want.body, path)
	}
}

// What is served must be the Status that Go readers decode.
func TestStatusIsJSON(t *testing.T) {
	t.Parallel()
	s := startHTTP(t, nil)
	_, _, body := get(t, s, "/v1/status")
	var st Status
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	require.Equal(t, "offline", st.Routes[0].Name)
}

func TestNotReadyNamesTheReason(t *testing.T) {
	t.Parallel()
	s := startHTTP(t, []Check{{Name: "nats", OK: true}, {Name: "redis", Detail: "connection refused"}})
	code, _, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, `"ready": false`)
	require.Contains(t, body, "connection refused")
	code, _, _ = get(t, s, "/healthz")
	require.Equal(t, http.StatusOK, code, "a worker that waits for Redis must not be restarted for it")
}

func TestHTTPListenFaults(t *testing.T) {
	t.Parallel()
	s := startHTTP(t, nil)
	_, err := StartHTTP(t.Context(), HTTPOptions{Listen: s.Addr()})
	require.ErrorContains(t, err, s.Addr()+" is in use; stop what listens there")

	none, err := StartHTTP(t.Context(), HTTPOptions{})
	require.NoError(t, err)
	require.Empty(t, none.Addr())
	require.NoError(t, none.Close(t.Context()))
}

// Close must not wait for ever for a request that hangs.
func TestCloseEndsHangingRequests(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s, err := StartHTTP(t.Context(), HTTPOptions{
		Listen: "127.0.0.1:0", Metrics: http.NotFoundHandler(), Log: zerolog.Nop(),
		Ready: func(context.Context) []Check { return nil },
		Status: func(ctx context.Context) any {
			close(asked)
			<-ctx.Done()
			return nil
		},
	})
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/v1/status", http.NoBody)
		if err != nil {
			failed <- err
			return
		}
		reply, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err == nil {
			_ = reply.Body.Close()
		}
		failed <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
	require.Error(t, <-failed)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Providers["qxt"] = Provider{Type: "qxt", Keys: []Key{{Name: "main"}}}
	m := NewMetrics(c, "v1")
	m.JobsClaimed(names.Lane{Route: "offline", Priority: names.High}, 2)
	m.JobsClaimed(names.Lane{Route: "made-up-by-a-producer"}, 1)
	m.JobDead("malformed_job")
	m.JobsSettled(3)
	m.ItemsSettled("offline", "ok", "upstream", 500)
	m.PartsStored(4)
	m.Called(CallDone{Provider: "qxt", Key: "main", Kind: "ok", Numbers: 500, Max: 1000, Took: time.Second, Extra: 1, Duplicates: 2})
	m.Called(CallDone{Provider: "qxt", Key: "nobody's", Kind: "timeout", Numbers: 1, Max: 1000})
	m.NumbersFailed("qxt", "missing", 7)
	m.PermitWaited("qxt", "rate", 1500*time.Millisecond)
	m.Settled(20 * time.Millisecond)
	m.JournalRefused(1)
	m.JournalLost(2)
	m.Gauge("held_items", "Items held.", nil, func() float64 { return 42 })
	m.Counter("resends_total", "Resends.", map[string]string{"of": "acks"}, func() float64 { return 5 })

	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		require.True(t, strings.HasPrefix(f.GetName(), "lookupq_"), f.GetName())
	}
	s, err := StartHTTP(t.Context(), HTTPOptions{Listen: "127.0.0.1:0", Metrics: m.Handler(), Log: zerolog.Nop()})
	require.NoError(t, err)
	_, _, text := get(t, s, "/metrics")
	require.NoError(t, s.Close(t.Context()))
	for _, want := range []string{
		`lookupq_jobs_claimed_total{priority="high",route="offline"} 2`,
		`lookupq_jobs_claimed_total{priority="bulk",route="other"} 1`,
		`lookupq_jobs_dead_total{reason="malformed_job"} 1`,
		`lookupq_jobs_settled_total 3`,
		`lookupq_items_total{route="offline",source="upstream",status="ok"} 500`,
		`lookupq_parts_total 4`,
		`lookupq_calls_total{key="main",kind="ok",provider="qxt"} 1`,
		`lookupq_calls_total{key="other",kind="timeout",provider="qxt"} 1`,
		`lookupq_call_numbers_total{provider="qxt"} 501`,
		`lookupq_batch_fill_ratio_sum{provider="qxt"} 0.501`,
		`lookupq_surplus_entries_total{provider="qxt",what="duplicate"} 2`,
		`lookupq_number_failures_total{kind="missing",provider="qxt"} 7`,
		`lookupq_permit_waits_total{provider="qxt",reason="rate"} 1`,
		`lookupq_permit_wait_seconds_total{provider="qxt",reason="rate"} 1.5`,
		`lookupq_settle_seconds_count 1`,
		`lookupq_journal_refused_total 1`,
		`lookupq_journal_lost_total 2`,
		`lookupq_held_items 42`,
		`lookupq_resends_total{of="acks"} 5`,
		`lookupq_build_info{version="v1"} 1`,
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "made-up")
}
