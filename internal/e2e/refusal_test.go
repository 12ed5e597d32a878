package e2e

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

const (
	refusing = `
seed: 5
qxt: {refuse_all: true, latency: {base: 20ms}}
portcheck: {refuse_all: true, latency: {base: 20ms}, auth: {mode: header, header: X-API-Key}}
telnyx: {refuse_all: true, latency: {base: 20ms}}
nxcloud: {refuse_all: true, latency: {base: 20ms}, small_rate: -1}
`
	healed = `
seed: 5
portcheck: {auth: {mode: header, header: X-API-Key}}
nxcloud: {receipts: {base: 100ms}, small_rate: -1}
`
)

// believed is how many refusals in a row a lone number each is blamed for.
const believed = 4

// TestEveryUpstreamRefusesEverything: nobody looks for a bad number where all are
// refused. The provider is paused; numbers with another provider get their answer
// there, the others wait, burn nothing, and are answered once it is well again.
func TestEveryUpstreamRefusesEverything(t *testing.T) {
	t.Parallel()
	const n = 200
	h := openHouse(t, refusing, everything(routes(askings(), "", "")+routes(withoutOptions(), "-or", ", offline")), patientAckWait)
	began := time.Now()
	waiting := map[string][]string{}
	for i, a := range askings() {
		waiting[a.route] = many(oneCountry(a), i*2000, n)
		h.ask(a.route, a.route, waiting[a.route])
	}
	for i, a := range withoutOptions() {
		h.ask(a.route+"-or", a.route+"-or", many(oneCountry(a), 20_000+i*2000, n))
	}
	for _, a := range withoutOptions() {
		tried := 0
		for _, r := range h.read(a.route+"-or", n) {
			if r.Status == results.StatusInvalid { // the number of a probe that QXT calls invalid: its documents leave no other reading
				tried++
				continue
			}
			require.Equal(t, results.SourceOffline, r.Source, a.route)
			require.Equal(t, results.StatusOK, r.Status, a.route)
		}
		require.LessOrEqual(t, tried, believed, a.route)
	}
	t.Logf("failed over after %.1f s\n%s", time.Since(began).Seconds(), h.ledgers())
	lookups := func() int64 {
		return h.sim.LedgerOf(simulator.UpstreamTelnyx).Summary().Operations["number_lookup"]
	}
	require.Eventually(t, func() bool { return lookups() > telnyxCalls+3 }, time.Minute, 20*time.Millisecond, "probes go on")
	for _, a := range askings() {
		burnt := 0
		if a.lone {
			// With nothing to bisect, the first few refusals are taken for the numbers' fault.
			burnt = believed
		}
		require.LessOrEqual(t, len(h.gather(a.route, 0)), burnt, "%s waits", a.route)
	}
	// The permits that were free at the start, and then one number now and then.
	const probes = 12
	h.refused(probes)
	require.Contains(t, h.log.String(), "the provider fails and is paused")

	h.heal(healed)
	for _, a := range askings() {
		got := h.read(a.route, n)
		if a.lone {
			maps.DeleteFunc(got, func(_ string, r results.Result) bool { return r.Status == results.StatusFailed })
			require.GreaterOrEqual(t, len(got), n-believed, a.route)
		}
		counted := h.account(a, got, waiting[a.route])
		require.Equal(t, tally{right: len(got)}, counted, a.route)
	}
	t.Logf("answered after %.1f s", time.Since(began).Seconds())
	h.empty()
}

// withoutOptions are the ways to ask that offline can stand in for: it takes no options.
func withoutOptions() []asking {
	return slices.DeleteFunc(askings(), func(a asking) bool { return a.options != "{}" })
}

// refused checks that hardly more was asked than permits were free at the start:
// nothing is bisected, nothing paid.
func (h *house) refused(probes int) {
	h.t.Helper()
	for u, atStart := range map[simulator.Upstream]int{
		simulator.UpstreamQXT: qxtCalls, simulator.UpstreamPortcheck: portcheckCalls,
		simulator.UpstreamTelnyx: 2 * telnyxCalls, simulator.UpstreamNXCloud: 2 * nxKeys * nxCalls, // two ways to ask
	} {
		sum := h.sim.LedgerOf(u).Summary()
		require.LessOrEqualf(h.t, sum.Calls, int64(atStart+probes), "calls of %s", u)
		require.Zero(h.t, sum.Numbers)
	}
}

// oneCountry are numbers that can share a batch.
func oneCountry(a asking) func(int) string {
	if a.ask.Upstream == simulator.UpstreamTelnyx {
		return judge.American
	}
	return judge.Chinese
}
