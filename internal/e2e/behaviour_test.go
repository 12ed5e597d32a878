package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/internal/worker"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// house is one worker in this process, with everything it needs.
type house struct {
	t     *testing.T
	nats  *embeddedtest.NATS
	redis *embeddedtest.Redis
	sim   *simulator.Server
	// profile is how the upstreams behave; heal replaces it.
	profile simulator.Profile
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *logBuffer
}

// logBuffer keeps the worker's log for a test to look at.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

const houseBasics = `
nats: {url: "NATS"}
redis: {url: "REDIS"}
results: {max_wait: 200ms}
retry: {initial: 20ms, max: 200ms}
`

const houseConfig = houseBasics + `
http: {listen: ""}
TENANTS
routes:
  cn: {providers: [qxt], region: CN, linger: 20ms}
  both: {providers: [qxt, offline], region: CN, linger: 20ms}
  strict: {providers: [qxt, offline], region: CN, linger: 20ms, failover_on: [not_found]}
  raw: {providers: [qxt], region: CN, linger: 20ms, include_raw: true, cache_ttl: 0}
  offline: {providers: [offline]}
providers:
  offline: {type: offline}
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    batch: 100
    timeout: 2s
    keys: [{name: main, secret: "KEY", concurrency: 4, rate: "1000/s", price: "0.002CNY"}]
`

// newHouse starts everything; the worker stops cleanly at the test's end.
func newHouse(t *testing.T, profile, tenants string) *house {
	t.Helper()
	return openHouse(t, profile, strings.Replace(houseConfig, "TENANTS", tenants, 1), ackWait)
}

// openHouse is newHouse with a configuration, in which SIM is the simulator's
// address, and for jobs that rest for wait when the worker seems dead.
func openHouse(t *testing.T, profile, config string, wait time.Duration) *house {
	t.Helper()
	p, err := simulator.ParseProfile([]byte(profile))
	require.NoError(t, err)
	h := &house{t: t, profile: p, nats: embeddedtest.RunNATS(t), redis: embeddedtest.RunRedis(t), log: &logBuffer{}}
	h.sim, err = simulator.Start(t.Context(), "127.0.0.1:0", p)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.sim.Close(t.Context()) })
	file := t.TempDir() + "/worker.yaml"
	writeFile(t, file, strings.NewReplacer("NATS", h.nats.URL(), "REDIS", h.redis.URL(),
		"SIM", h.sim.URL(), "PUBLIC", embeddedtest.FreeAddr(t), "KEY", apiKey).Replace(config))
	cfg, err := worker.LoadConfig(file, func(string) (string, bool) { return "", false }, types())
	require.NoError(t, err)
	h.ageRedis()
	w, err := worker.New(t.Context(), worker.Options{
		Config: cfg, ID: "house", Version: "e2e", AckWait: wait, Lease: lease, Unserved: unserved, Log: zerolog.New(h.log),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, w.Close(context.WithoutCancel(ctx)))
		if t.Failed() {
			t.Log(tail(h.log.String()))
		}
	})
	h.nc, err = nats.Connect(h.nats.URL())
	require.NoError(t, err)
	t.Cleanup(h.nc.Close)
	h.js, err = jetstream.New(h.nc)
	require.NoError(t, err)
	return h
}

// ageRedis makes the data of Redis an hour old, as they are on an ordinary night:
// right after its start every job is in doubt, and nothing may be granted.
func (h *house) ageRedis() {
	h.t.Helper()
	rdb := h.redis.Client()
	epochs := []string{"lookup:{j0}:epoch", "lookupq:keys:{nxcloud.fetch}:epoch"}
	for _, u := range simulator.Upstreams() {
		epochs = append(epochs, "lookupq:keys:{"+string(u)+"}:epoch")
	}
	for _, key := range epochs {
		e, err := redisdb.SyncEpoch(h.t.Context(), rdb, key)
		require.NoError(h.t, err)
		value, err := rdb.Get(h.t.Context(), key).Result()
		require.NoError(h.t, err)
		old := strings.Replace(value, strconv.FormatInt(e.Created.UnixMilli(), 10), strconv.FormatInt(e.Created.Add(-time.Hour).UnixMilli(), 10), 1)
		require.NotEqual(h.t, value, old)
		require.NoError(h.t, rdb.Set(h.t.Context(), key, old, 0).Err())
	}
}

// send publishes a job's body on a lane of tenant acme.
func (h *house) send(route, body string) { h.sendAs(tenant, route, body) }

func (h *house) sendAs(who, route, body string) {
	h.t.Helper()
	lane := names.Lane{Route: route, Priority: names.Normal, Tenant: who, Campaign: campaign}
	_, err := h.js.Publish(h.t.Context(), names.Default().JobsSubject(lane), []byte(body))
	require.NoError(h.t, err)
}

// results waits until the campaign has n results and returns them by id. Then no
// job may be left, and none may come twice.
func (h *house) results(n int) map[string]results.Result {
	h.t.Helper()
	return h.resultsOf(tenant, n)
}

func (h *house) resultsOf(who string, n int) map[string]results.Result {
	h.t.Helper()
	got := h.read(who, n)
	h.empty()
	return got
}

// read waits until a tenant has n results and returns them by id; there may be no more.
func (h *house) read(who string, n int) map[string]results.Result {
	h.t.Helper()
	got := h.gather(who, n)
	require.Len(h.t, got, n)
	return got
}

// gather waits until a tenant has n results or more, and returns those there are
// by id. None may come twice.
func (h *house) gather(who string, n int) map[string]results.Result {
	h.t.Helper()
	got := map[string]results.Result{}
	reader := results.NewReader(h.js, names.Default())
	ctx, cancel := context.WithTimeout(h.t.Context(), 90*time.Second)
	defer cancel()
	opt := results.ReadOptions{Tenant: who, Campaign: campaign, Follow: n > 0}
	err := reader.Read(ctx, opt, func(p results.StoredPart) error {
		require.NoError(h.t, p.Err)
		for _, res := range p.Part.Results {
			id := fmt.Sprintf("%s.%d", p.Part.JobID, res.Index)
			require.NotContains(h.t, got, id)
			got[id] = res
		}
		if len(got) >= n {
			return results.ErrStop
		}
		return nil
	})
	require.NoErrorf(h.t, err, "%d of %d results of %s; the upstreams:\n%s", len(got), n, who, h.ledgers())
	return got
}

// ledgers is what each upstream saw, a line each.
func (h *house) ledgers() string {
	var b strings.Builder
	for _, u := range simulator.Upstreams() {
		fmt.Fprintf(&b, "%s: %s\n", u, figures(h.sim.LedgerOf(u).Summary()))
	}
	return b.String()
}

// figures are a ledger's, as JSON.
func figures(s simulator.Summary) string {
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// empty waits until every job is acknowledged.
func (h *house) empty() {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		s, err := h.js.Stream(h.t.Context(), names.Default().JobsStream())
		return err == nil && s.CachedInfo().State.Msgs == 0
	}, 20*time.Second, 20*time.Millisecond, "every job should be acknowledged")
}

// dead waits for one dead letter and returns it.
func (h *house) dead(reason, who string) *jetstream.RawStreamMsg {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), names.Default().DeadStream())
	require.NoError(h.t, err)
	var letter *jetstream.RawStreamMsg
	require.Eventually(h.t, func() bool {
		letter, err = s.GetLastMsgForSubject(h.t.Context(), names.Default().DeadSubject(reason, who))
		return err == nil
	}, 20*time.Second, 20*time.Millisecond, "a dead letter for %s", reason)
	require.Equal(h.t, reason, letter.Header.Get(results.HeaderReason))
	return letter
}

// event waits for a job_dead event and returns it.
func (h *house) event(who string) map[string]any {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), names.Default().EventsStream())
	require.NoError(h.t, err)
	var body map[string]any
	require.Eventually(h.t, func() bool {
		m, err := s.GetLastMsgForSubject(h.t.Context(), names.Default().EventSubject(who, campaign, results.EventJobDead))
		return err == nil && json.Unmarshal(m.Data, &body) == nil
	}, 20*time.Second, 20*time.Millisecond)
	return body
}

// items makes n distinct mobiles from first on, as JSON.
func items(first, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"number":"137%08d","ref":%d}`, first+i, i)
	}
	return "[" + strings.Join(out, ",") + "]"
}

// ask sends numbers in E.164 on a route, for a tenant, in jobs of 100.
func (h *house) ask(who, route string, numbers []string) {
	h.t.Helper()
	for i, some := range slices.Collect(slices.Chunk(numbers, 100)) {
		h.sendAs(who, route, job(fmt.Sprintf("job-%d", i), "{}", some...))
	}
}

// job is the body of a job of numbers in E.164.
func job(id, options string, numbers ...string) string {
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = fmt.Sprintf(`{"number":%q,"ref":%d}`, n, i)
	}
	return fmt.Sprintf(`{"id":%q,"options":%s,"items":[%s]}`, id, options, strings.Join(list, ","))
}

// many are n numbers from the first on.
func many(number func(i int) string, first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = number(first + i)
	}
	return out
}

// heal changes how the upstreams behave.
func (h *house) heal(profile string) {
	h.t.Helper()
	p, err := simulator.ParseProfile([]byte(profile))
	require.NoError(h.t, err)
	h.profile = p
	h.sim.SetProfile(p)
}
