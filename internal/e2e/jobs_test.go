package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/journal"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestItemsAreAnsweredSingly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	h.send("cn", `{"id":"one","items":[
		{"number":"13712345678","ref":"crm-42"},
		{"number":13712345679},
		{"number":"１３７１２３４５６７７"},
		{"number":"12345"},
		{"number":true},
		{"number":"+1 415 555 2671"}]}`)
	got := h.results(6)
	truth := got["one.0"]
	require.Equal(t, results.StatusOK, truth.Status)
	require.Equal(t, `"crm-42"`, string(truth.Ref))
	require.Equal(t, "+8613712345678", truth.E164)
	require.Equal(t, results.SourceUpstream, truth.Source)
	require.Equal(t, results.Cost{Amount: "0.002", Currency: "CNY"}, truth.Cost)
	require.Equal(t, "CN", truth.Lookup.Country)
	require.NotEmpty(t, truth.Lookup.OriginalCarrier.ID)
	require.Equal(t, "+8613712345679", got["one.1"].E164)
	require.Equal(t, "+8613712345677", got["one.2"].E164)
	require.Equal(t, results.CodeInvalidNumber, got["one.3"].Error.Code)
	require.Equal(t, results.StatusInvalid, got["one.4"].Status)
	require.Equal(t, results.CodeMalformedItem, got["one.4"].Error.Code)
	require.Equal(t, results.StatusFailed, got["one.5"].Status)
	require.Equal(t, results.CodeUnsupportedNumber, got["one.5"].Error.Code)
}

func TestDeadJobs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason, body string
		results      int
	}{
		{"malformed_job", `{"id":`, 0},
		{"malformed_job", `{"items":[{"number":"13712345678"}]}`, 0},
		{"malformed_job", `{"id":"x"}`, 0},
		{"malformed_job", `{"id":"x","region":"Mars","items":[{"number":"13712345678"}]}`, 1},
		{"too_many_items", `{"id":"x","items":` + items(0, 1001) + `}`, 1001},
	} {
		t.Run(fmt.Sprint(tc.reason, tc.results), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "", "")
			h.send("cn", tc.body)
			letter := h.dead(tc.reason, tenant)
			require.Equal(t, tc.body, string(letter.Data))
			require.NotEmpty(t, letter.Header.Get(results.HeaderError))
			require.Equal(t, tc.reason, h.event(tenant)["reason"])
			h.empty()
			for _, res := range h.results(tc.results) {
				require.Equal(t, results.CodeMalformedJob, res.Error.Code)
			}
			require.Zero(t, h.sim.Ledger().Summary().Calls)
		})
	}
}

func TestSameJobAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	body := `{"id":"x","items":` + items(0, 50) + `}`
	h.send("cn", body)
	h.results(50)
	h.send("cn", body)
	h.empty()
	h.results(50)
	h.send("cn", strings.Replace(body, `"ref":7`, `"ref":70`, 1))
	h.dead("id_reused", tenant)
	h.results(50)
	require.Equal(t, int64(50), h.sim.Ledger().Summary().Numbers)
}

// TestSameJobTwiceInTheQueue: two messages of one job, from a producer that sends
// no message ids, are answered once.
func TestSameJobTwiceInTheQueue(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "qxt: {latency: {base: 300ms}}", "")
	body := `{"id":"x","items":` + items(0, 50) + `}`
	for range 3 {
		h.send("cn", body)
	}
	h.results(50)
	require.Equal(t, int64(50), h.sim.Ledger().Summary().Numbers)
	require.NotContains(t, h.log.String(), "dead")
}

func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "tenants: {acme: {weight: 2}}")
	h.sendAs("mallory", "cn", `{"id":"x","items":`+items(0, 2)+`}`)
	h.dead("unknown_tenant", "mallory")
	require.Len(t, h.resultsOf("mallory", 2), 2)
	h.send("cn", `{"id":"x","items":`+items(0, 2)+`}`)
	require.Equal(t, results.StatusOK, h.results(2)["x.0"].Status)
}

func TestUnknownRoute(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	h.send("nobody", `{"id":"x","items":`+items(0, 2)+`}`)
	h.dead("unknown_route", tenant)
	require.Equal(t, results.StatusFailed, h.results(2)["x.1"].Status)
	s, err := h.js.Stream(t.Context(), names.Default().EventsStream())
	require.NoError(t, err)
	_, err = s.GetLastMsgForSubject(t.Context(), names.Default().EventSubject(tenant, campaign, results.EventRouteUnserved))
	require.NoError(t, err, "the event comes before the death")
}

func TestUnreadableSubject(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	_, err := h.js.Publish(t.Context(), "lookup.jobs.cn.urgent.acme.faults", []byte(`{"id":"x","items":`+items(0, 2)+`}`))
	require.NoError(t, err)
	require.Equal(t, "lookup.jobs.cn.urgent.acme.faults", h.dead("bad_subject", names.SystemTenant).Header.Get(results.HeaderSubject))
	h.empty()
}

func TestCrashLoop(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	// Four workers claimed the job before, and died without settling an item.
	j := journal.New(h.redis.Client(), names.Default().Prefix, nil)
	body := `{"id":"poison","items":` + items(0, 3) + `}`
	for range journal.MaxClaims - 1 {
		_, err := j.Claim(t.Context(), journal.NewOwner(), []journal.ClaimRequest{{
			ID: names.Identity{Tenant: tenant, Campaign: campaign, JobID: "poison"}, Digest: digestOf(body), Items: 3, Stored: time.Now(),
		}})
		require.NoError(t, err)
	}
	h.send("cn", body)
	h.dead("crash_loop", tenant)
	require.Equal(t, results.CodeInternal, h.results(3)["poison.1"].Error.Code)
	require.Zero(t, h.sim.Ledger().Summary().Calls)
}

func TestExpiryCallbackAndOptions(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	h.send("cn", `{"id":"late","expires_at":"2026-01-01T00:00:00Z","items":`+items(0, 2)+`}`)
	h.send("cn", `{"id":"hook","callback":{"url":"https://crm.example/x"},"items":`+items(0, 1)+`}`)
	h.send("cn", `{"id":"opts","options":{"check_level":5},"items":`+items(0, 1)+`}`)
	got := h.results(4)
	require.Equal(t, results.StatusExpired, got["late.0"].Status)
	require.Equal(t, results.CodeUnsupportedOption, got["hook.0"].Error.Code)
	require.Equal(t, results.CodeUnsupportedOption, got["opts.0"].Error.Code)
	require.Zero(t, h.sim.Ledger().Summary().Calls)
}

func TestCachedAndSharedAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	h.send("cn", `{"id":"first","items":[{"number":"13712345678"},{"number":"+8613712345678"}]}`)
	got := h.results(2)
	sources := map[results.Source]int{got["first.0"].Source: 1}
	sources[got["first.1"].Source]++
	require.Equal(t, map[results.Source]int{results.SourceUpstream: 1, results.SourceShared: 1}, sources)

	h.send("cn", `{"id":"second","items":[{"number":"13712345678"}]}`)
	cached := h.results(3)["second.0"]
	require.Equal(t, results.SourceCache, cached.Source)
	require.Empty(t, cached.Cost)
	require.Equal(t, got["first.0"].Lookup, cached.Lookup)
	require.Equal(t, got["first.0"].AnsweredAt.UnixMilli(), cached.AnsweredAt.UnixMilli())

	h.send("cn", `{"id":"third","max_age":"0","items":[{"number":"13712345678"}]}`)
	require.Equal(t, results.SourceUpstream, h.results(4)["third.0"].Source)
	h.sendAs("other", "cn", `{"id":"fourth","items":[{"number":"13712345678"}]}`)
	require.Equal(t, results.SourceUpstream, h.resultsOf("other", 1)["fourth.0"].Source, "answers are shared within a tenant")
}

func TestRawIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "", "")
	h.send("raw", `{"id":"x","items":`+items(0, 1)+`}`)
	require.Contains(t, string(h.results(1)["x.0"].Raw), `"Init_`)
}

// TestNastyUpstream: whatever the upstream does, every item ends, exactly the
// poison is refused, and nothing is mixed up.
func TestNastyUpstream(t *testing.T) {
	t.Parallel()
	const n = 4000
	profile := `
seed: 4
qxt:
  latency: {base: 5ms}
  limits: {concurrency: 4}
  shuffle: true
  missing: 0.02
  extra: 0.02
  duplicate: 0.02
  spelling: mixed
  numeric_res: true
  poison: {numbers: ["13700000123"]}
  item_errors: [{share: 0.05, code: -8}]
  http_errors: [{share: 0.02, status: 503}, {share: 0.01, mode: truncate}, {share: 0.01, mode: reset}, {share: 0.01, mode: html}]
`
	h := newHouse(t, profile, "")
	for i := 0; i < n; i += 100 {
		h.send("cn", fmt.Sprintf(`{"id":"job-%d","items":%s}`, i/100, items(i, 100)))
	}
	refused, unanswered := map[string]bool{}, 0
	for id, res := range h.results(n) {
		switch {
		case res.Status == results.StatusOK:
		case res.Error.Code == results.CodeNoAnswer: // three ambiguous replies in a row
			unanswered++
		default:
			t.Logf("%s %+v", id, res.Error)
			refused[res.Number] = true
		}
	}
	require.Equal(t, map[string]bool{"13700000123": true}, refused)
	require.Less(t, unanswered, n/200)
	require.NotContains(t, h.log.String(), "1370000", "numbers never reach the log")
	require.NotContains(t, h.log.String(), apiKey)
}

func digestOf(body string) [16]byte {
	sum := sha256.Sum256([]byte(body))
	return [16]byte(sum[:16])
}
