package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// The keys of a house with every upstream: how many calls each may have open.
const (
	qxtCalls       = 4
	portcheckCalls = 16
	telnyxCalls    = 8
	nxKeys         = 6 // a key asks once in 3 s what became of its tickets
	nxCalls        = 1 // of each
)

// everything is a house with all upstreams and the given routes.
func everything(routes string) string {
	keys, accounts := make([]string, nxKeys), make([]string, nxKeys)
	for i := range nxKeys {
		keys[i] = fmt.Sprintf(`{name: k%d, secret: "secret-%d", concurrency: %d, rate: "1000/s"}`, i, i, nxCalls)
		accounts[i] = fmt.Sprintf(`k%d: {access_key: access-%d, app_key: app-%d}`, i, i, i)
	}
	return houseBasics + `
http: {listen: "", public_listen: "PUBLIC", public_url: "http://PUBLIC"}
routes:
` + routes + `
providers:
  offline: {type: offline}
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    batch: 100
    timeout: 2s
    keys: [{name: main, secret: "KEY", concurrency: ` + fmt.Sprint(qxtCalls) + `, rate: "1000/s", price: "0.002CNY"}]
  portcheck:
    type: portcheck
    base_url: "SIM/portcheck"
    timeout: 2s
    keys: [{name: main, secret: portcheck-key, concurrency: ` + fmt.Sprint(portcheckCalls) + `, rate: "1000/s", price: "0.02CNY"}]
    settings: {path: /mobile-transfer, auth: {mode: header, header: X-API-Key}}
  telnyx:
    type: telnyx
    base_url: "SIM/telnyx/v2"
    batch: 100
    timeout: 2s
    keys: [{name: main, secret: telnyx-key, concurrency: ` + fmt.Sprint(telnyxCalls) + `, rate: "1000/s"}]
  nxcloud:
    type: nxcloud
    base_url: "SIM/nxcloud"
    batch: 100
    timeout: 4s
    keys: [` + strings.Join(keys, ", ") + `]
    settings:
      accounts: {` + strings.Join(accounts, ", ") + `}
      poll_after: 2s
      poll_every: 3s
      unknown_after: 5s
      give_up_after: 7s
`
}

// nxAccounts are the keys of everything, as the simulator knows them.
func nxAccounts() string {
	keys := make([]string, nxKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("{key: access-%d, secret: secret-%d, apps: [app-%d]}", i, i, i)
	}
	return "[" + strings.Join(keys, ", ") + "]"
}

// asking is a way to ask an upstream: a route, and what it is asked with.
type asking struct {
	route   string
	ask     simulator.Ask
	options string // of the route
	number  func(i int) string
	lone    bool // one number a call
}

// askings are all ways to ask.
func askings() []asking {
	return []asking{
		{"qxt", simulator.Ask{Upstream: simulator.UpstreamQXT}, "{}", judge.Chinese, false},
		{"portcheck", simulator.Ask{Upstream: simulator.UpstreamPortcheck}, "{}", judge.Chinese, true},
		{"portability", simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpPortability}, "{}", judge.American, false},
		{"lookup", simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpNumberLookup}, "{operation: number_lookup}", judge.American, true},
		{"level1", simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 1}, "{}", judge.Mixed, false},
		{"level5", simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 5}, "{check_level: 5}", twoCountries, false},
	}
}

// twoCountries are Chinese and British mobiles: each country is a batch of its own.
func twoCountries(i int) string { return judge.Mixed(2 * i) }

// routes are a line of configuration for each of the ways; then is what follows
// the provider in its list, and suffix what follows the route's name.
func routes(all []asking, suffix, then string) string {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "  %s%s: {providers: [%s%s], linger: 20ms, options: %s}\n", a.route, suffix, a.ask.Upstream, then, a.options)
	}
	return b.String()
}

// list is a list of YAML.
func list(numbers ...string) string { return `["` + strings.Join(numbers, `", "`) + `"]` }

// nastyNight: about 5 % ask to try again, 1 % spoil their batch (fewer of qxt: to
// find them takes a while where little else is asked), 2 % are left out; everybody
// gets 429 at first and now and then, and nobody answers for a while.
const nastyNight = `
seed: 21
qxt:
  latency: {base: 60ms, jitter: 40ms}
  limits: {concurrency: 4, retry_after: 1s, retry_after_form: date}
  shuffle: true
  spelling: mixed
  missing: 0.02
  extra: 0.005
  duplicate: 0.005
  unknown: 0.02
  poison: {numbers: QXTPOISON}
  item_errors: [{share: 0.03, code: -8}]
  http_errors: [{share: 0.02, status: 503}, {share: 0.01, mode: reset}, {share: 0.01, mode: truncate}]
  bursts: {every: 8s, length: 500ms}
  outages: [{to: 2s, mode: "429"}, {from: 3s, to: 6s}]
portcheck:
  auth: {mode: header, header: X-API-Key}
  latency: {base: 30ms, jitter: 20ms}
  limits: {concurrency: 16, retry_after: 1s, retry_after_form: ms}
  spelling: mixed
  missing: 0.02
  unknown: 0.02
  invalid: 0.01
  poison: {share: 0.01}
  item_errors: [{share: 0.03, code: SYSTEM_ERROR}]
  http_errors: [{share: 0.01, status: 502}, {share: 0.005, mode: reset}, {share: 0.005, mode: html}]
  bursts: {every: 8s, length: 500ms}
  outages: [{to: 2s, mode: "429"}, {from: 3s, to: 6s, mode: reset}]
telnyx:
  latency: {base: 30ms, jitter: 20ms}
  limits: {concurrency: 8, retry_after: 1s, retry_after_form: none}
  shuffle: true
  missing: 0.02
  extra: 0.005
  duplicate: 0.005
  unknown: 0.02
  invalid: 0.01
  poison: {share: 0.01}
  call_errors: [{share: 0.02, code: 10007}, {share: 0.02, code: 10008}]
  http_errors: [{share: 0.01, status: 503}, {share: 0.005, mode: reset}, {share: 0.005, mode: truncate}]
  bursts: {every: 8s, length: 500ms}
  outages: [{to: 2s, mode: "429"}, {from: 3s, to: 6s}]
nxcloud:
  keys: KEYS
  small_rate: -1
  generation: mixed
  fail_number: mixed
  latency: {base: 50ms, jitter: 50ms}
  limits: {concurrency: 2, retry_after: 1s}
  missing: 0.02
  unknown: 0.02
  invalid: 0.01
  poison: {numbers: NXPOISON}
  item_errors: [{share: 0.02, code: 103}, {share: 0.01, code: 112}, {share: 0.01, code: 121}]
  call_errors: [{share: 0.02, code: 288}, {share: 0.01, code: 299}]
  http_errors: [{share: 0.01, status: 503}]
  lost_replies: 0.1
  late_replies: {share: 0.05, delay: 1s}
  receipts: {base: 300ms, jitter: 1s, order: shuffled, duplicate: 0.05, lost: 0.02, retry_every: 1s}
  bursts: {every: 8s, length: 500ms}
  outages: [{to: 2s, mode: "429"}, {from: 3s, to: 6s}]
`

// TestNastyNight: on a bad night at every upstream each number ends with the
// truth, exactly the poison is refused, nobody is asked more often than the tables
// allow, and no key is used beyond its limits.
func TestNastyNight(t *testing.T) {
	t.Parallel()
	qxt, level1, level5 := judge.Chinese, judge.Mixed, twoCountries
	profile := strings.NewReplacer("KEYS", nxAccounts(),
		"QXTPOISON", list(qxt(17), qxt(333), qxt(555), qxt(801), qxt(1100)),
		"NXPOISON", list(level1(8010), level1(8111), level1(8222), level5(10_050), level5(10_151), level5(10_252))).Replace(nastyNight)
	h := openHouse(t, profile, everything(routes(askings(), "", "")), patientAckWait)
	// Of the numbers that a call answers: how many it leaves out, or asks to try again.
	again := map[string]float64{"qxt": 0.05, "portcheck": 0.02, "portability": 0.02, "lookup": 0.02, "level1": 0.08, "level5": 0.08}
	count := map[string]int{"qxt": 1200, "portcheck": 600, "portability": 1000, "lookup": 600, "level1": 300, "level5": 300}
	numbers := map[string][]string{}
	h.sim.Reset() // the night begins
	began := time.Now()
	for i, a := range askings() {
		numbers[a.route] = many(a.number, i*2000, count[a.route])
		h.ask(a.route, a.route, numbers[a.route])
	}
	for _, a := range askings() {
		n := h.account(a, h.read(a.route, count[a.route]), numbers[a.route])
		t.Logf("%s: after %.1f s %+v", a.route, time.Since(began).Seconds(), n)
		require.LessOrEqualf(t, n.unlucky, count[a.route]/100, "%s: numbers that met a fault each time", a.route)
		require.LessOrEqualf(t, n.surplus, atMost(count[a.route], again[a.route]), "%s: numbers paid for more than once", a.route)
		require.NotZerof(t, n.poison, "%s", a.route)
	}
	h.empty()
	t.Log(h.ledgers())
	for u, calls := range map[simulator.Upstream]int{
		simulator.UpstreamQXT: qxtCalls, simulator.UpstreamPortcheck: portcheckCalls,
		simulator.UpstreamTelnyx: telnyxCalls, simulator.UpstreamNXCloud: nxCalls + 1, // and a question
	} {
		sum := h.sim.LedgerOf(u).Summary()
		require.NotZero(t, sum.Throttled, "the night had bursts")
		require.Greater(t, sum.Failed, sum.Throttled, "and an outage")
		require.Zero(t, sum.Oversized)
		require.Zero(t, sum.Mutations)
		for _, k := range sum.Keys {
			require.LessOrEqualf(t, k.Peak, calls, "calls of %s open at once", u)
		}
	}
	handed := h.sim.LedgerOf(simulator.UpstreamNXCloud).Summary().Deferred
	require.Zero(t, handed.Blind, "numbers handed in again though they were answered, or could still be")
	require.Zero(t, handed.DuplicateBatches)
	require.GreaterOrEqual(t, handed.QueryGap, queryGap)
	require.NotContains(t, h.log.String(), "panic")
}

// queryGap is the least time between two questions of one key, 3 s, less what a
// busy machine may hold the first one up.
const queryGap = 2.5

// tally is what came of the numbers of one route.
type tally struct {
	right, poison, unlucky, surplus int
}

// account holds every result of ask against the truth, and what was paid for each number
// against what its result says of the calls.
func (h *house) account(a asking, got map[string]results.Result, numbers []string) tally {
	h.t.Helper()
	paid := h.sim.LedgerOf(a.ask.Upstream).Numbers(1)
	var n tally
	var wrong []error
	for id, r := range got {
		var job, index int
		_, err := fmt.Sscanf(id, "job-%d.%d", &job, &index)
		require.NoError(h.t, err)
		truth := h.profile.Truth(a.ask, numbers[100*job+index])
		times := int(paid[r.E164])
		n.surplus += max(times-1, 0)
		if times > r.Attempts {
			wrong = append(wrong, fmt.Errorf("paid %d times in %d attempts", times, r.Attempts))
		}
		err = judge.Check(&truth, &r)
		switch {
		case truth.Status == simulator.StatusPoison:
			n.poison++
			if r.Status == results.StatusFailed && r.Error.Code != results.CodeProviderRejected {
				err = fmt.Errorf("poison ended as %s", r.Error.Code)
			}
		case unlucky(&r):
			n.unlucky++
			err = nil
		case err == nil:
			n.right++
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("truth %s, result %s after %d attempts: %w", truth.Status, r.Status, r.Attempts, err))
		}
	}
	require.Emptyf(h.t, wrong, "%s: %d of %d results are wrong", a.route, len(wrong), len(got))
	return n
}

// unlucky says that every call with a number met a fault that passes, as often as
// the tables have it asked.
func unlucky(r *results.Result) bool {
	const leastCalls = 2
	return r.Status == results.StatusFailed && r.Attempts >= leastCalls &&
		(r.Error.Code == results.CodeNoAnswer || r.Error.Code == results.CodeProviderUnavailable)
}

// atMost is how many of n numbers may be paid again where a share of them is, each
// time: five standard deviations more than are to be expected.
func atMost(n int, share float64) int {
	mean := float64(n) * share / (1 - share)
	return int(mean + 5*math.Sqrt(mean))
}
