package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

func TestRouteFailsOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "qxt: {item_errors: [{share: 1, code: -4, sticky: true}]}", "")
	h.send("both", `{"id":"a","items":[{"number":"13712345678"},{"number":"+1 415 555 2671"}]}`)
	h.send("strict", `{"id":"b","items":[{"number":"13712345679"}]}`)
	got := h.results(3)
	require.Equal(t, results.StatusNotFound, got["a.0"].Status, "not found is final unless the route says otherwise")
	require.Equal(t, "offline", got["a.1"].Provider, "outside the first provider's scope")
	require.Equal(t, results.SourceOffline, got["a.1"].Source)
	require.Equal(t, "offline", got["b.0"].Provider)
	require.Equal(t, results.Cost{Amount: "0.002", Currency: "CNY"}, got["b.0"].Cost, "the first one's not_found was paid for")
}

// TestNotFoundFailsOver: what one provider knows nothing of, the next is asked.
// Where it answers, both are paid; where it fails, the not_found stands.
func TestNotFoundFailsOver(t *testing.T) {
	t.Parallel()
	const n = 200
	h := openHouse(t, `
qxt: {unknown: 0.5}
portcheck: {auth: {mode: header, header: X-API-Key}, unknown: 0.2, poison: {share: 0.15}}
`, everything("  r: {providers: [qxt, portcheck], linger: 20ms, failover_on: [not_found]}\n"), patientAckWait)
	h.ask(tenant, "r", many(judge.Chinese, 0, n))
	count := map[string]int{}
	for _, r := range h.results(n) {
		first := h.profile.Truth(simulator.Ask{Upstream: simulator.UpstreamQXT}, r.E164)
		second := h.profile.Truth(simulator.Ask{Upstream: simulator.UpstreamPortcheck}, r.E164)
		truth, provider, cost := first, "qxt", "0.002"
		if first.Status == simulator.StatusNotFound && second.Status != simulator.StatusPoison {
			truth, provider, cost = second, "portcheck", "0.022"
		}
		require.NoError(t, judge.Check(&truth, &r))
		require.Equal(t, provider, r.Provider)
		require.Equal(t, results.Cost{Amount: cost, Currency: "CNY"}, r.Cost)
		count[fmt.Sprint(provider, " ", r.Status, ", second ", second.Status)]++
	}
	t.Log(count)
	for _, seen := range []string{"qxt ok, second ok", "qxt not_found, second poison", "portcheck ok, second ok", "portcheck not_found, second not_found"} {
		require.NotZero(t, count[seen], seen)
	}
}

// TestScopes: a number goes to the first provider of its route that takes it.
func TestScopes(t *testing.T) {
	t.Parallel()
	h := openHouse(t, "", everything(`
  one: {providers: [qxt], linger: 20ms}
  two: {providers: [qxt, telnyx], linger: 20ms}
`), patientAckWait)
	here, there := judge.Chinese(1), judge.American(1)
	h.send("one", job("one", "{}", here, there))
	h.send("two", job("two", "{}", here, there))
	got := h.results(4)
	require.Equal(t, "qxt", got["one.0"].Provider)
	require.Equal(t, results.StatusFailed, got["one.1"].Status)
	require.Equal(t, results.CodeUnsupportedNumber, got["one.1"].Error.Code)
	require.Equal(t, "qxt", got["two.0"].Provider)
	require.Equal(t, "telnyx", got["two.1"].Provider)
	truth := h.profile.Truth(simulator.Ask{Upstream: simulator.UpstreamTelnyx}, there)
	r := got["two.1"]
	require.NoError(t, judge.Check(&truth, &r))
	require.Equal(t, int64(1), h.sim.LedgerOf(simulator.UpstreamTelnyx).Summary().Calls)
}

// TestOptions: a job's options win over its route's, and each is answered by what
// it asks for; what no provider takes is refused before anything is paid.
func TestOptions(t *testing.T) {
	t.Parallel()
	h := openHouse(t, "nxcloud: {generation: mixed, receipts: {base: 100ms}}", everything(routes(askings(), "", "")), patientAckWait)
	number := map[simulator.Upstream]string{simulator.UpstreamTelnyx: judge.American(0), simulator.UpstreamNXCloud: judge.Chinese(0)}
	for i, bad := range []struct{ route, options string }{
		{"level1", `{"check_level":7}`},
		{"level1", `{"check_level":"five"}`},
		{"level5", `{"check_lvl":1}`},
		{"portability", `{"operation":"order_pizza"}`},
		{"lookup", `{"check_level":5}`},
		{"qxt", `{"operation":"portability"}`},
		{"portcheck", `{"check_level":1}`},
	} {
		h.sendAs("careless", bad.route, job(fmt.Sprintf("bad-%d", i), bad.options, judge.Chinese(0)))
	}
	for id, r := range h.read("careless", 7) {
		require.Equal(t, results.StatusFailed, r.Status, id)
		require.Equal(t, results.CodeUnsupportedOption, r.Error.Code, id)
	}
	for _, u := range simulator.Upstreams() {
		require.Zero(t, h.sim.LedgerOf(u).Summary().Calls, u)
	}

	telnyx := func(op string) simulator.Ask { return simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: op} }
	nxcloud := func(level int) simulator.Ask {
		return simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: level}
	}
	good := []struct {
		route, options string
		ask            simulator.Ask
	}{
		{"portability", `{}`, telnyx(simulator.OpPortability)},
		{"portability", `{"operation":"number_lookup"}`, telnyx(simulator.OpNumberLookup)},
		{"lookup", `{}`, telnyx(simulator.OpNumberLookup)},
		{"lookup", `{"operation":"portability"}`, telnyx(simulator.OpPortability)},
		{"lookup", `{"operation":"porting_status"}`, telnyx(simulator.OpPortingOrder)},
		{"level1", `{}`, nxcloud(1)},
		{"level1", `{"check_level":4}`, nxcloud(4)},
		{"level1", `{"check_level":5}`, nxcloud(5)},
		{"level5", `{}`, nxcloud(5)},
		{"level5", `{"check_level":1}`, nxcloud(1)},
	}
	for i, g := range good {
		h.send(g.route, job(fmt.Sprintf("good-%d", i), g.options, number[g.ask.Upstream]))
	}
	got := h.results(len(good))
	for i, g := range good {
		truth := h.profile.Truth(g.ask, number[g.ask.Upstream])
		r := got[fmt.Sprintf("good-%d.0", i)]
		require.NoErrorf(t, judge.Check(&truth, &r), "%s %s", g.route, g.options)
	}
}
