package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/worker"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

// calm answers everything, not too fast for two workers to share the work.
const calm = "qxt:\n  latency: {base: 60ms}\n  limits: {concurrency: 4}\n"

// secondWorker starts another worker of the house.
func (h *house) secondWorker(tenants string) {
	h.t.Helper()
	file := h.t.TempDir() + "/worker.yaml"
	text := strings.Replace(houseConfig, "TENANTS", tenants, 1)
	text = strings.Replace(text, `public_listen: "PUBLIC", public_url: "http://PUBLIC"`, `public_listen: ""`, 1)
	writeFile(h.t, file, strings.NewReplacer("NATS", h.nats.URL(), "REDIS", h.redis.URL(), "SIM", h.sim.URL(), "KEY", apiKey).Replace(text))
	cfg, err := worker.LoadConfig(file, func(string) (string, bool) { return "", false }, types())
	require.NoError(h.t, err)
	w, err := worker.New(h.t.Context(), worker.Options{
		Config: cfg, ID: "second", Version: "e2e", AckWait: ackWait, Lease: lease, Unserved: unserved, Log: zerolog.New(h.log),
	})
	require.NoError(h.t, err)
	ctx, stop := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		require.NoError(h.t, <-done)
		require.NoError(h.t, w.Close(context.WithoutCancel(ctx)))
	})
}

// allow writes the campaign's record, whatever it was.
func (h *house) allow(amount, onExhausted string) {
	h.t.Helper()
	records := jobs.NewCampaigns(h.nc, names.Default(), "")
	rec, err := records.Get(h.t.Context(), tenant, campaign)
	if err != nil {
		require.ErrorIs(h.t, err, jobs.ErrNoCampaign)
	}
	rec.State = jobs.CampaignActive
	rec.Budget = &jobs.Budget{Amount: amount, Currency: "CNY", OnExhausted: onExhausted}
	_, err = records.Put(h.t.Context(), tenant, campaign, &rec.Campaign, rec.Revision)
	require.NoError(h.t, err)
}

// fill sends n distinct numbers from first on in jobs of 50.
func (h *house) fill(who string, first, n int) {
	h.t.Helper()
	for i := 0; i < n; i += 50 {
		h.sendAs(who, "cn", fmt.Sprintf(`{"id":"job-%d","items":%s}`, first+i, items(first+i, min(50, n-i))))
	}
}

// sorted counts results by status and error code, and sums their costs.
func sorted(t *testing.T, got map[string]results.Result) (counts map[string]int, cost string) {
	t.Helper()
	counts = map[string]int{}
	var sum results.CostSum
	for _, r := range got {
		word := string(r.Status)
		if r.Error != nil {
			word += "/" + string(r.Error.Code)
		}
		counts[word]++
		require.NoError(t, sum.Add(r.Cost))
	}
	if costs := sum.Costs(); len(costs) > 0 {
		cost = costs[0].Amount + costs[0].Currency
	}
	return counts, cost
}

// exhausted waits for the event that a budget is spent, and returns it.
func (h *house) exhausted(who, campaign string) map[string]any {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), names.Default().EventsStream())
	require.NoError(h.t, err)
	var body map[string]any
	require.Eventually(h.t, func() bool {
		m, err := s.GetLastMsgForSubject(h.t.Context(), names.Default().EventSubject(who, campaign, "budget_exhausted"))
		return err == nil && json.Unmarshal(m.Data, &body) == nil
	}, 30*time.Second, 20*time.Millisecond)
	return body
}

func TestBudgetOfACampaign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, calm, "")
	h.allow("0.6", "")
	h.secondWorker("")
	h.fill(tenant, 0, 600)
	counts, cost := sorted(t, h.results(600))
	require.Equal(t, map[string]int{"ok": 300, "failed/budget_exhausted": 300}, counts)
	require.Equal(t, "0.600CNY", cost)
	require.Equal(t, int64(300), h.sim.Ledger().Summary().Numbers)
	e := h.exhausted(tenant, campaign)
	require.Equal(t, "campaign", e["scope"])
	require.Equal(t, map[string]any{"amount": "0.6", "currency": "CNY"}, e["spent"])
}

func TestCampaignWaitsForMoney(t *testing.T) {
	t.Parallel()
	h := newHouse(t, calm, "")
	h.allow("0.2", "wait")
	h.secondWorker("")
	h.fill(tenant, 0, 400)
	h.exhausted(tenant, campaign)
	h.fill("other", 1000, 200)
	counts, _ := sorted(t, h.read("other", 200))
	require.Equal(t, map[string]int{"ok": 200}, counts, "what waits for money stands in nobody's way")
	require.Equal(t, int64(300), h.sim.Ledger().Summary().Numbers)
	h.allow("0.5", "wait")
	require.Eventually(t, func() bool { return h.sim.Ledger().Summary().Numbers == 450 }, 30*time.Second, 20*time.Millisecond)
	h.allow("1", "fail")
	counts, cost := sorted(t, h.results(400))
	require.Equal(t, map[string]int{"ok": 400}, counts)
	require.Equal(t, "0.800CNY", cost)
}

func TestBudgetOfATenantIsForTheDay(t *testing.T) {
	t.Parallel()
	tenants := `tenants: {acme: {budget: {amount: "0.3", currency: CNY, per: day}}, "*": {}}`
	h := newHouse(t, calm, tenants)
	h.secondWorker(tenants)
	h.fill(tenant, 0, 250)
	h.fill("other", 1000, 100)
	counts, cost := sorted(t, h.read(tenant, 250))
	require.Equal(t, map[string]int{"ok": 150, "failed/budget_exhausted": 100}, counts)
	require.Equal(t, "0.300CNY", cost)
	counts, _ = sorted(t, h.read("other", 100))
	require.Equal(t, map[string]int{"ok": 100}, counts)
	require.Equal(t, "tenant", h.exhausted(tenant, names.NoCampaign)["scope"])
	h.empty()
}

// What cannot be paid goes to the route's next provider, like any failure.
func TestUnaffordableFailsOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, calm, "")
	h.allow("0.1", "")
	h.send("both", fmt.Sprintf(`{"id":"job-0","items":%s}`, items(0, 100)))
	got := h.results(100)
	counts, cost := sorted(t, got)
	require.Equal(t, map[string]int{"ok": 100}, counts)
	require.Equal(t, "0.100CNY", cost)
}

func TestBudgetThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, calm, "")
	h.allow("much", "")
	h.fill(tenant, 0, 50)
	counts, _ := sorted(t, h.results(50))
	require.Equal(t, map[string]int{"failed/budget_exhausted": 50}, counts)
	require.Zero(t, h.sim.Ledger().Summary().Numbers)
}

// Redis loses everything in the middle: what was spent is learned again, and at most
// what was on the wire then is spent beyond the budget.
func TestBudgetOutlivesRedis(t *testing.T) {
	t.Parallel()
	h := newHouse(t, calm, "")
	h.allow("1", "")
	h.secondWorker("")
	h.fill(tenant, 0, 1000)
	require.Eventually(t, func() bool { return h.sim.Ledger().Summary().Numbers >= 250 }, 30*time.Second, time.Millisecond)
	h.redis.FlushAll()
	counts, _ := sorted(t, h.results(1000))
	require.Equal(t, 1000, counts["ok"]+counts["failed/budget_exhausted"])
	const onWire = 4 * 100
	require.LessOrEqual(t, h.sim.Ledger().Summary().Numbers, int64(500+onWire))
	require.GreaterOrEqual(t, counts["ok"], 500-2*onWire, "and it is not taken for spent")
}
