package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

const (
	batchMax    = 200
	concurrency = 4
	latency     = 100 * time.Millisecond
	apiKey      = "0123456789abcdef0123456789abcdef"
	tenant      = "acme"
	campaign    = "faults"
)

// scene is the upstream of a rig, and how its workers use it.
type scene struct {
	ask             simulator.Ask
	profile, config string // of the simulator, and of the workers below what all have
	number          func(i int) string
	batch           int // numbers of a call at most
	calls           int // open at once with a key
	ackWait, lease  time.Duration
}

// rig is NATS, Redis, an upstream and some workers around one campaign on the
// route "r".
type rig struct {
	scene

	t       *testing.T
	dir     string
	file    string // the workers' configuration
	nats    *embeddedtest.NATS
	redis   *embeddedtest.Redis
	sim     *simulator.Server
	said    simulator.Profile
	workers int
	jobs    int
	size    int
	numbers []string
}

// newRig starts the servers, for workers with the given ackWait and QXT.
func newRig(t *testing.T, ackWait time.Duration) *rig {
	t.Helper()
	return openRig(t, scene{
		ask:     simulator.Ask{Upstream: simulator.UpstreamQXT},
		profile: fmt.Sprintf("seed: 11\nqxt:\n  latency: {base: %s}\n  limits: {concurrency: %d}\n", latency, concurrency),
		config: `
routes:
  r: {providers: [qxt]}
providers:
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    batch: 200
    timeout: 5s
    keys: [{name: main, secret: "KEY", concurrency: 4, rate: "1000/s", price: "0.002CNY"}]
`,
		number: func(i int) string { return fmt.Sprintf("+86138%08d", i) },
		batch:  batchMax, calls: concurrency, ackWait: ackWait, lease: lease,
	})
}

// openRig starts the servers of a scene, in whose configuration SIM is the
// simulator's address.
func openRig(t *testing.T, s scene) *rig {
	t.Helper()
	r := &rig{t: t, scene: s, dir: t.TempDir(), nats: embeddedtest.RunNATS(t), redis: embeddedtest.RunRedis(t)}
	var err error
	r.said, err = simulator.ParseProfile([]byte(s.profile))
	require.NoError(t, err)
	r.sim, err = simulator.Start(t.Context(), "127.0.0.1:0", r.said)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.sim.Close(t.Context()) }) // its context has ended: open calls are cut off
	r.file = filepath.Join(r.dir, "worker.yaml")
	const basics = `
nats: {url: "NATS"}
redis: {url: "REDIS"}
http: {listen: ""}
results: {max_wait: 500ms}
retry: {initial: 50ms, max: 1s}
`
	values := strings.NewReplacer("NATS", r.nats.URL(), "REDIS", r.redis.URL(), "SIM", r.sim.URL(), "KEY", apiKey)
	writeFile(t, r.file, values.Replace(basics+s.config))
	r.ensureStreams()
	return r
}

// ledger is what the rig's upstream saw.
func (r *rig) ledger() *simulator.Ledger { return r.sim.LedgerOf(r.ask.Upstream) }

func (r *rig) connect() (*nats.Conn, jetstream.JetStream) {
	r.t.Helper()
	nc, err := nats.Connect(r.nats.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(r.t, err)
	r.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(r.t, err)
	return nc, js
}

func (r *rig) ensureStreams() {
	_, js := r.connect()
	require.NoError(r.t, jobs.EnsureStreams(r.t.Context(), js, names.Default(), jobs.StreamOptions{Replicas: 1}))
}

// publish sends n distinct mobiles in jobs of size.
func (r *rig) publish(n, size int) {
	r.t.Helper()
	_, js := r.connect()
	lane := names.Lane{Route: "r", Priority: names.Bulk, Tenant: tenant, Campaign: campaign}
	type item struct {
		Number string `json:"number"`
		Ref    int    `json:"ref"`
	}
	r.size = size
	for first := 0; first < n; first += size {
		items := make([]item, 0, size)
		for i := first; i < min(first+size, n); i++ {
			number := r.number(i)
			r.numbers = append(r.numbers, number)
			items = append(items, item{number, i})
		}
		id := fmt.Sprintf("job-%d", r.jobs)
		r.jobs++
		body, err := json.Marshal(map[string]any{"id": id, "items": items})
		require.NoError(r.t, err)
		_, err = js.PublishMsgAsync(&nats.Msg{
			Subject: names.Default().JobsSubject(lane), Data: body,
			Header: nats.Header{nats.MsgIdHdr: {tenant + "." + campaign + "." + id}},
		})
		require.NoError(r.t, err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		r.t.Fatal("jobs not stored")
	}
}

// asked waits until the upstream has answered for n numbers.
func (r *rig) asked(n int) {
	r.t.Helper()
	r.until(func(s simulator.Summary) bool { return s.Numbers >= int64(n) }, "the upstream should have been asked for %d numbers", n)
}

// until waits for something that the ledger shows.
func (r *rig) until(so func(simulator.Summary) bool, text string, args ...any) {
	r.t.Helper()
	require.Eventuallyf(r.t, func() bool { return so(r.ledger().Summary()) }, time.Minute, 5*time.Millisecond, text, args...)
}

// drained waits until no job is left on the stream.
func (r *rig) drained(within time.Duration) {
	r.t.Helper()
	_, js := r.connect()
	require.Eventually(r.t, func() bool {
		s, err := js.Stream(r.t.Context(), names.Default().JobsStream())
		if err != nil {
			return false
		}
		info, err := s.Info(r.t.Context())
		return err == nil && info.State.Msgs == 0
	}, within, 50*time.Millisecond, "every job should be answered and acknowledged")
}

// verify checks G1 to G4: every item has exactly one result, with the upstream's
// own words about this number; no more than surplus numbers were asked again; the
// limits held.
func (r *rig) verify(surplus int64) {
	r.t.Helper()
	_, js := r.connect()
	seen := make(map[string]int, len(r.numbers))
	reader := results.NewReader(js, names.Default())
	err := reader.Read(r.t.Context(), results.ReadOptions{Tenant: tenant, Campaign: campaign}, func(p results.StoredPart) error {
		require.NoError(r.t, p.Err)
		for i := range p.Part.Results {
			res := &p.Part.Results[i]
			seen[fmt.Sprintf("%s.%d", p.Part.JobID, res.Index)]++
			r.check(p.Part.JobID, res)
		}
		return nil
	})
	require.NoError(r.t, err)
	double := 0
	for _, n := range seen {
		if n > 1 {
			double++
		}
	}
	require.Len(r.t, seen, len(r.numbers), "every item has a result")
	require.Zero(r.t, double, "result ids that appear more than once")

	sum := r.ledger().Summary()
	r.t.Logf("calls %d, refused %d, numbers %d, asked again %d", sum.Calls, sum.Refused, sum.Numbers, sum.AskedTwice)
	require.Equal(r.t, int64(len(r.numbers)), sum.Distinct)
	require.LessOrEqual(r.t, sum.AskedTwice, surplus, "numbers paid twice")
	require.LessOrEqual(r.t, sum.LargestBatch, r.batch)
	for _, k := range sum.Keys {
		require.LessOrEqual(r.t, k.Peak, r.calls, "calls open at once")
	}
}

// check holds one result against the simulator's truth.
func (r *rig) check(jobID string, res *results.Result) {
	r.t.Helper()
	var job int
	_, err := fmt.Sscanf(jobID, "job-%d", &job)
	require.NoError(r.t, err)
	place := job*r.size + res.Index
	number := r.numbers[place]
	truth := r.said.Truth(r.ask, number)
	require.NoErrorf(r.t, judge.Check(&truth, res), "%s.%d", jobID, res.Index)
	require.Equal(r.t, number, res.Number)
	require.Equal(r.t, strconv.Itoa(place), string(res.Ref))
}
