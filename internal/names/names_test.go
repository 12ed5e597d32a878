package names

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestValidToken(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "Z", "0", "acme", "nightly-1121", "a_b", "a-", "a_", strings.Repeat("a", 64)} {
		require.True(t, ValidToken(s), s)
		require.True(t, ValidCampaign(s), s)
	}
	for _, s := range []string{
		"", "-a", "_a", "a.b", "a b", "a*", "a>", "a/b", "é", "a\x00", "a\n", "中", strings.Repeat("a", 65),
	} {
		require.False(t, ValidToken(s), "%q", s)
		require.False(t, ValidCampaign(s), "%q", s)
	}
	require.False(t, ValidToken("_"))
	require.True(t, ValidCampaign("_"))
	require.False(t, ValidToken(SystemTenant), "no tenant may take the operators' name")
}

func TestPriority(t *testing.T) {
	t.Parallel()
	for _, p := range []Priority{Bulk, Normal, High} {
		got, err := ParsePriority(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
	require.Less(t, Bulk, Normal)
	require.Less(t, Normal, High)
	for _, s := range []string{"", "HIGH", "urgent", "bulk "} {
		_, err := ParsePriority(s)
		require.ErrorContains(t, err, "use high, normal or bulk", s)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	n := Default()
	lane := Lane{Route: "carrier-cn", Priority: High, Tenant: "acme", Campaign: "nightly"}
	id := Identity{Tenant: "acme", Campaign: "nightly", JobID: "j1"}
	for want, got := range map[string]string{
		"LOOKUP_JOBS": n.JobsStream(), "LOOKUP_RESULTS": n.ResultsStream(), "LOOKUP_EVENTS": n.EventsStream(),
		"LOOKUP_WEBHOOKS": n.WebhooksStream(), "LOOKUP_DEAD": n.DeadStream(),
		"LOOKUP_CAMPAIGNS": n.CampaignsBucket(), "LOOKUP_TICKETS": n.TicketsBucket(), "LOOKUP_WORKERS": n.WorkersBucket(),
		"lookup.jobs.carrier-cn.high.acme.nightly": n.JobsSubject(lane),
		"lookup.jobs.>":                  n.JobsWildcard(),
		"lookup.jobs.*.*.acme.nightly":   n.CampaignJobs("acme", "nightly"),
		"lookup.wake.>":                  n.WakeWildcard(),
		"lookup.results.acme.nightly":    n.ResultsSubject("acme", "nightly"),
		"lookup.events.acme._.job_dead":  n.EventSubject("acme", NoCampaign, "job_dead"),
		"lookup.webhooks.acme":           n.WebhooksSubject("acme"),
		"lookup.dead.malformed_job.acme": n.DeadSubject("malformed_job", "acme"),
		"acme.nightly.j1":                id.MsgID(),
		"acme.nightly.j1.00ff":           id.PartMsgID([]byte{0, 255}),
	} {
		require.Equal(t, want, got)
	}
	other := Names{Prefix: "a.b", StreamPrefix: "X"}
	require.Equal(t, "X_JOBS", other.JobsStream())
	got, err := other.ParseJobsSubject(other.JobsSubject(lane))
	require.NoError(t, err)
	require.Equal(t, lane, got)
}

func TestParseJobsSubject(t *testing.T) {
	t.Parallel()
	n := Default()
	for subject, want := range map[string]Lane{
		"lookup.jobs.offline.normal.default._":     {"offline", Normal, "default", "_"},
		"lookup.jobs.carrier-cn.bulk.acme.n-1":     {"carrier-cn", Bulk, "acme", "n-1"},
		"lookup.wake.carrier-cn.high.acme.nightly": {"carrier-cn", High, "acme", "nightly"},
	} {
		got, err := n.ParseJobsSubject(subject)
		require.NoError(t, err, subject)
		require.Equal(t, want, got)
	}
	for _, subject := range []string{
		"", "lookup", "lookup.jobs", "lookup.jobs.r.bulk.t", "lookup.jobs.r.bulk.t.c.x", "lookup.jobs.r.urgent.t.c",
		"lookup.jobs.r.BULK.t.c", "lookup.jobs..bulk.t.c", "lookup.jobs.r.bulk.t.", "lookup.jobs._.bulk.t.c",
		"lookup.jobs.r.bulk._.c", "lookup.jobs.r.bulk._system.c", "lookup.jobs.r.bulk.t._c", "lookup.results.r.bulk.t.c",
		"lookupx.jobs.r.bulk.t.c", "jobs.r.bulk.t.c", "lookup.jobs.r.bulk.t t.c", "lookup.jobs.*.bulk.t.c", "lookup.jobs.r.bulk.t.>",
		"lookup.jobs.r.bulk.t." + strings.Repeat("c", 65),
	} {
		got, err := n.ParseJobsSubject(subject)
		require.ErrorIs(t, err, ErrSubject, subject)
		require.Zero(t, got)
	}
}

func token() *rapid.Generator[string] { return rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,63}`) }

func lanes() *rapid.Generator[Lane] {
	return rapid.Custom(func(t *rapid.T) Lane {
		return Lane{
			Route:    token().Draw(t, "route"),
			Priority: Priority(rapid.IntRange(0, Priorities-1).Draw(t, "priority")),
			Tenant:   token().Draw(t, "tenant"),
			Campaign: rapid.OneOf(token(), rapid.Just(NoCampaign)).Draw(t, "campaign"),
		}
	})
}

// TestDurable: lanes share a durable only if they are the same lane, and the
// name is one that NATS takes.
func TestDurable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := lanes().Draw(t, "a"), lanes().Draw(t, "b")
		require.Equal(t, a == b, a.Durable() == b.Durable())
		require.True(t, ValidToken(a.Durable()))
		require.Len(t, a.Durable(), 26)
		got, err := Default().ParseJobsSubject(Default().JobsSubject(a))
		require.NoError(t, err)
		require.Equal(t, a, got)
	})
	// Tokens may hold what a joined name would use between them.
	require.NotEqual(t, Lane{"a-b", Bulk, "c", "d"}.Durable(), Lane{"a", Bulk, "b-c", "d"}.Durable())
}

func FuzzParseJobsSubject(f *testing.F) {
	for _, s := range []string{"lookup.jobs.r.high.t.c", "lookup.wake.r.bulk.t._", "lookup.jobs.r.urgent.t.c", "lookup.jobs....", ""} {
		f.Add(s, "lookup")
	}
	f.Add("a.b.jobs.r.normal.t.c", "a.b")
	f.Fuzz(func(t *testing.T, subject, prefix string) {
		n := Names{Prefix: prefix, StreamPrefix: "LOOKUP"}
		lane, err := n.ParseJobsSubject(subject)
		if err != nil {
			require.ErrorIs(t, err, ErrSubject)
			require.Zero(t, lane)
			return
		}
		require.True(t, ValidToken(lane.Route) && ValidToken(lane.Tenant) && ValidCampaign(lane.Campaign))
		back := n.JobsSubject(lane)
		require.Equal(t, back, strings.Replace(subject, prefix+".wake.", prefix+".jobs.", 1))
	})
}
