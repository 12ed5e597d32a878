package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// TestKeyRunsDry: a key whose money is spent rests, operators are told once,
// numbers with another provider go there, the others wait; a top-up is noticed.
func TestKeyRunsDry(t *testing.T) {
	t.Parallel()
	const n, money = 500, 300
	purse := func(balance string) string { return "qxt: {keys: [{key: " + apiKey + ", balance: " + balance + "}]}" }
	h := openHouse(t, purse("300"), houseBasics+`
http: {listen: ""}
routes:
  alone: {providers: [qxt], linger: 20ms}
  both: {providers: [qxt, offline], linger: 20ms}
providers:
  offline: {type: offline}
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    batch: 100
    keys: [{name: main, secret: "KEY", concurrency: 1, rate: "1000/s", price: "0.002CNY", low_balance: 150}]
`, patientAckWait)
	h.ask("rich", "both", many(judge.Chinese, 0, money))
	for _, r := range h.read("rich", money) {
		require.Equal(t, "qxt", r.Provider)
	}
	began := time.Now()
	h.ask("patient", "alone", many(judge.Chinese, 10_000, n))
	quarantined := h.keyEvent("key_quarantined")
	require.Equal(t, "no_balance", quarantined["reason"])
	h.ask("hurried", "both", many(judge.Chinese, 20_000, n))
	for _, r := range h.read("hurried", n) {
		require.Equal(t, "offline", r.Provider)
	}
	t.Logf("failed over after %.1f s", time.Since(began).Seconds())
	low := h.keyEvent("low_balance")
	require.InDelta(t, 0, low["balance"], 0)
	require.Equal(t, "main", low["key"])
	h.read("patient", 0)
	require.Equal(t, int64(money), h.sim.Ledger().Summary().Numbers)

	h.heal(purse("100000"))
	for _, r := range h.read("patient", n) {
		require.Equal(t, results.StatusOK, r.Status)
		require.Equal(t, "qxt", r.Provider)
	}
	t.Logf("topped up and answered after %.1f s", time.Since(began).Seconds())
	require.Equal(t, "no_balance", h.keyEvent("key_resumed")["reason"])
	for name, times := range map[string]uint64{"low_balance": 1, "key_quarantined": 1, "key_resumed": 1} {
		require.Equal(t, times, h.keyEvents(name), name)
	}
	sum := h.sim.LedgerOf(simulator.UpstreamQXT).Summary()
	require.Equal(t, int64(money+n), sum.Numbers)
	require.Zero(t, sum.AskedTwice)
	h.empty()
}

// keyEvent waits for an event about a key and returns the last one.
func (h *house) keyEvent(name string) map[string]any {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), names.Default().EventsStream())
	require.NoError(h.t, err)
	var body map[string]any
	require.Eventuallyf(h.t, func() bool {
		m, err := s.GetLastMsgForSubject(h.t.Context(), names.Default().EventSubject(names.SystemTenant, names.NoCampaign, name))
		return err == nil && json.Unmarshal(m.Data, &body) == nil
	}, time.Minute, 20*time.Millisecond, "event %s", name)
	require.Equal(h.t, "qxt", body["provider"])
	return body
}

// keyEvents counts the events of that name.
func (h *house) keyEvents(name string) uint64 {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), names.Default().EventsStream())
	require.NoError(h.t, err)
	subject := names.Default().EventSubject(names.SystemTenant, names.NoCampaign, name)
	info, err := s.Info(h.t.Context(), jetstream.WithSubjectFilter(subject))
	require.NoError(h.t, err)
	return info.State.Subjects[subject]
}
