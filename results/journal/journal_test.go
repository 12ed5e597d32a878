package journal_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBoth runs a test on a real Redis, where one is installed, and in process.
func onBoth(t *testing.T, test func(t *testing.T, r *embeddedtest.Redis)) {
	t.Helper()
	for name, run := range map[string]func(testing.TB) *embeddedtest.Redis{
		"real": embeddedtest.RunRedis, "mini": embeddedtest.RunMiniRedis,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, run(t))
		})
	}
}

func newJournal(r *embeddedtest.Redis) *journal.Journal {
	return journal.New(r.Client(), "lookup", nil)
}

// request is a job of n items that JetStream has just stored.
func request(id string, n int) journal.ClaimRequest {
	sum := sha256.Sum256([]byte("body of " + id))
	return journal.ClaimRequest{
		ID:     names.Identity{Tenant: "acme", Campaign: "c1", JobID: id},
		Digest: [16]byte(sum[:16]), Items: n, Stored: time.Now().Add(2 * time.Minute),
	}
}

func claim(t *testing.T, j *journal.Journal, reqs ...journal.ClaimRequest) []journal.ClaimReply {
	t.Helper()
	replies, err := j.Claim(t.Context(), journal.NewOwner(), reqs)
	require.NoError(t, err)
	require.Len(t, replies, len(reqs))
	return replies
}

// settled is the result of item i, as it would be encoded.
func settled(i int) results.Settled {
	s, _ := results.Settle(nil, "job", &results.Result{
		Index: i, Number: fmt.Sprintf("1397256%04d", i), E164: fmt.Sprintf("+861397256%04d", i),
		Status: results.StatusOK, Provider: "qxt", Source: results.SourceUpstream,
		AnsweredAt: time.UnixMilli(1795287731213), Cost: results.Cost{Amount: "0.0020", Currency: "CNY"}, Attempts: 1,
		Lookup: &results.Lookup{
			Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes, Ported: results.Yes,
			OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"},
			CurrentCarrier:  results.Carrier{ID: "china_telecom", Name: "电信"},
		},
	})
	return s
}

func settle(t *testing.T, j *journal.Journal, entries ...journal.Entry) []journal.SettleState {
	t.Helper()
	states, err := j.Settle(t.Context(), entries, nil)
	require.NoError(t, err)
	require.Len(t, states, len(entries))
	return states
}

// part is a part made of items, at a fixed time.
func part(items ...int) journal.Part {
	p := journal.Part{At: time.UnixMilli(1795287732000)}
	for _, i := range items {
		p.Items.Set(i)
	}
	return p
}

func TestLifeOfAJob(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		first := claim(t, j, request("a", 2), request("b", 1))
		require.Equal(t, journal.StateNew, first[0].State)
		require.Equal(t, 1, first[0].Claims)
		require.False(t, first[0].Doubt)
		require.NotEmpty(t, first[0].Epoch.ID)

		a, b := first[0].Slot, first[1].Slot
		states := settle(t, j, journal.Entry{Slot: a, Settled: []results.Settled{settled(1)}},
			journal.Entry{Slot: b, Settled: []results.Settled{settled(0)}, Parts: []journal.Part{part(0)}})
		require.Equal(t, []journal.SettleState{journal.OK, journal.OK}, states)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{b}))

		// Another worker: a is redelivered, b too, c is new.
		second := claim(t, newJournal(r), request("c", 1), request("b", 1), request("a", 2))
		require.Equal(t, journal.StateNew, second[0].State)
		require.Equal(t, journal.StateDone, second[1].State)
		require.Nil(t, second[1].Slot)
		require.Equal(t, journal.StateKnown, second[2].State)
		require.Equal(t, 1, second[2].Claims, "something was settled since the first claim")
		require.Equal(t, []results.Settled{settled(1)}, second[2].Log.Settled)
		require.Empty(t, second[2].Log.Parts)

		// The first worker has lost a.
		states = settle(t, j, journal.Entry{Slot: a, Settled: []results.Settled{settled(0)}})
		require.Equal(t, []journal.SettleState{journal.Refused}, states)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{a}))

		a = second[2].Slot
		states = settle(t, j, journal.Entry{Slot: a, Settled: []results.Settled{settled(0)}, Parts: []journal.Part{part(0, 1)}})
		require.Equal(t, []journal.SettleState{journal.OK}, states)
		third := claim(t, j, request("a", 2))
		require.Equal(t, []results.Settled{settled(1), settled(0)}, third[0].Log.Settled)
		require.Equal(t, []journal.Part{part(0, 1)}, third[0].Log.Parts)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{third[0].Slot}))
		require.Equal(t, journal.StateDone, claim(t, j, request("a", 2))[0].State)
	})
}
