package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

func TestPoison(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunMiniRedis(t)
	j := newJournal(r)
	for n := 1; n <= journal.MaxClaims+2; n++ {
		got := claim(t, j, request("a", 2))[0]
		require.Equal(t, n, got.Claims)
		want := journal.StateKnown
		if n == 1 {
			want = journal.StateNew
		} else if n >= journal.MaxClaims {
			want = journal.StatePoison
		}
		require.Equal(t, want, got.State)
		if n == 3 { // a clean hand-back is no claim
			require.NoError(t, j.HandBack(t.Context(), []*journal.Slot{got.Slot}))
			require.Equal(t, 3, claim(t, j, request("a", 2))[0].Claims)
		}
	}
	// Poison is the caller's to fail; what it settles is progress.
	got := claim(t, j, request("a", 2))[0]
	require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, journal.Entry{Slot: got.Slot, Settled: []results.Settled{settled(0)}}))
	got = claim(t, j, request("a", 2))[0]
	require.Equal(t, 1, got.Claims)
	require.Equal(t, journal.StateKnown, got.State)
}

// TestLateWriterOfDoneJob: what a job's page was closed for stays closed.
func TestLateWriterOfDoneJob(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		late := claim(t, j, request("a", 1), request("b", 1))
		now := claim(t, j, request("a", 1), request("b", 1))
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{now[0].Slot}))
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{now[1].Slot}))
		states := settle(t, j, journal.Entry{Slot: late[0].Slot, Settled: []results.Settled{settled(0)}},
			journal.Entry{Slot: late[1].Slot, Settled: []results.Settled{settled(0)}})
		require.Equal(t, []journal.SettleState{journal.Refused, journal.Refused}, states)
		states, err := j.Owns(t.Context(), []*journal.Slot{late[0].Slot, now[0].Slot})
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.Refused, journal.Refused}, states)
		require.NoError(t, j.HandBack(t.Context(), []*journal.Slot{late[0].Slot}))
		require.Equal(t, journal.StateDone, claim(t, j, request("a", 1))[0].State)
	})
}

// TestPartlyRefused: of jobs that share a page some are taken over; the rest is written.
func TestPartlyRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		var reqs []journal.ClaimRequest
		for i := range 40 {
			reqs = append(reqs, request(fmt.Sprint(i), 1))
		}
		first := claim(t, j, reqs...)
		var taken []journal.ClaimRequest
		for i := 0; i < 40; i += 3 {
			taken = append(taken, reqs[i])
		}
		claim(t, j, taken...)
		var entries []journal.Entry
		for i := range first {
			entries = append(entries, journal.Entry{Slot: first[i].Slot, Settled: []results.Settled{settled(0)}})
		}
		for i, s := range settle(t, j, entries...) {
			require.Equal(t, i%3 == 0, s == journal.Refused, "job %d", i)
		}
		for i, got := range claim(t, j, reqs...) {
			require.Len(t, got.Log.Settled, min(i%3, 1), "job %d", i)
		}
	})
}

func TestTwinAndReused(t *testing.T) {
	t.Parallel()
	j := newJournal(embeddedtest.RunMiniRedis(t))
	other := request("a", 1)
	other.Digest[0]++
	got := claim(t, j, request("a", 1), request("b", 1), request("a", 1))
	require.Equal(t, journal.StateNew, got[0].State)
	require.Equal(t, journal.StateTwin, got[2].State)
	require.Nil(t, got[2].Slot)
	got = claim(t, j, other)
	require.Equal(t, journal.StateReused, got[0].State)
	// The same id of another tenant or campaign is another job.
	other.ID.Tenant = "other"
	require.Equal(t, journal.StateNew, claim(t, j, other)[0].State)
	_, err := j.Claim(t.Context(), journal.Owner{}, []journal.ClaimRequest{other})
	require.ErrorContains(t, err, "zero owner")
	none, err := j.Claim(t.Context(), journal.NewOwner(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// TestBusy: a job that is in the queue twice belongs to the message that came first.
func TestBusy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		message := func(seq, gone uint64) journal.ClaimRequest {
			req := request("a", 2)
			req.Seq, req.Gone = seq, gone
			return req
		}
		first := claim(t, j, message(7, 0))[0]
		require.Equal(t, journal.StateNew, first.State)
		second := claim(t, j, message(9, 0), request("b", 1))
		require.Equal(t, journal.StateBusy, second[0].State)
		require.EqualValues(t, 7, second[0].Other)
		require.Nil(t, second[0].Slot)
		require.Equal(t, journal.StateNew, second[1].State)
		e := journal.Entry{Slot: first.Slot, Settled: []results.Settled{settled(0)}}
		require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, e), "nothing was taken over")

		// Redis lost and restored: still the first message's.
		r.FlushAll()
		require.Equal(t, []journal.SettleState{journal.Lost}, settle(t, j, e))
		_, err := j.Restore(t.Context(), []journal.Entry{e})
		require.NoError(t, err)
		require.Equal(t, journal.StateBusy, claim(t, j, message(9, 0))[0].State)

		again := claim(t, j, message(7, 0))[0] // redelivered
		require.Equal(t, journal.StateKnown, again.State)
		require.Equal(t, []journal.SettleState{journal.Refused}, settle(t, j, e))
		taken := claim(t, j, message(9, 7))[0]
		require.Equal(t, journal.StateKnown, taken.State)
		require.Len(t, taken.Log.Settled, 1)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{taken.Slot}))
		require.Equal(t, journal.StateDone, claim(t, j, message(9, 0))[0].State)
		require.Equal(t, journal.StateDone, claim(t, j, message(7, 0))[0].State)
	})
}

// TestForeign: what another version wrote is neither read nor changed nor taken for absent.
func TestForeign(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j, rdb := newJournal(r), r.Client()
		mine := claim(t, j, request("a", 1))[0]
		keys := rdb.Keys(t.Context(), "lookup:{j0}:p*").Val()
		require.Len(t, keys, 1)

		require.NoError(t, rdb.SetRange(t.Context(), keys[0], 0, "\x02").Err())
		before := rdb.Get(t.Context(), keys[0]).Val()
		got := claim(t, j, request("a", 1), request("b", 1))
		require.Equal(t, journal.StateForeign, got[0].State)
		require.Nil(t, got[0].Slot)
		require.Equal(t, journal.StateNew, got[1].State)
		states := settle(t, j, journal.Entry{Slot: mine.Slot, Settled: []results.Settled{settled(0)}})
		require.Equal(t, []journal.SettleState{journal.Refused}, states)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{mine.Slot}))
		require.NoError(t, j.HandBack(t.Context(), []*journal.Slot{mine.Slot}))
		require.Equal(t, before, rdb.Get(t.Context(), keys[0]).Val())

		// A log that cannot be read is lost: the job is new, and doubtful.
		require.NoError(t, rdb.SetRange(t.Context(), keys[0], 0, "\x01").Err())
		require.NoError(t, rdb.Append(t.Context(), keys[0], "Q").Err())
		got = claim(t, j, request("a", 1))
		require.Equal(t, journal.StateNew, got[0].State)
		require.True(t, got[0].Doubt)
		states = settle(t, j, journal.Entry{Slot: mine.Slot, Settled: []results.Settled{settled(0)}})
		require.Equal(t, []journal.SettleState{journal.Refused}, states)

		for field := range rdb.HGetAll(t.Context(), "lookup:{j0}:i0").Val() {
			require.NoError(t, rdb.HSet(t.Context(), "lookup:{j0}:i0", field, "\x02new").Err())
		}
		require.Equal(t, journal.StateForeign, claim(t, j, request("a", 1))[0].State)
	})
}

// TestPageLost: a page that is gone by itself makes its jobs new, and doubtful.
func TestPageLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j, rdb := newJournal(r), r.Client()
		late := claim(t, j, request("a", 1), request("b", 1), request("c", 1))
		require.NoError(t, rdb.Del(t.Context(), rdb.Keys(t.Context(), "lookup:{j0}:p*").Val()...).Err())
		states, err := j.Owns(t.Context(), []*journal.Slot{late[0].Slot})
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.Lost}, states)
		got := claim(t, j, request("a", 1))[0]
		require.Equal(t, journal.StateNew, got.State)
		require.True(t, got.Doubt)
		entries := []journal.Entry{{Slot: late[0].Slot, Settled: []results.Settled{settled(0)}}, {Slot: late[1].Slot, Settled: []results.Settled{settled(0)}}}
		require.Equal(t, []journal.SettleState{journal.Lost, journal.Lost}, settle(t, j, entries...))
		states, err = j.Restore(t.Context(), entries)
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.Refused, journal.OK}, states)
		require.Len(t, claim(t, j, request("b", 1))[0].Log.Settled, 1)
		require.NoError(t, j.Done(t.Context(), []*journal.Slot{late[2].Slot}))
		require.Equal(t, journal.StateDone, claim(t, j, request("c", 1))[0].State)
	})
}

// TestRestoreAgain: a Restore whose reply was lost, repeated, finds its job where
// the first has put it.
func TestRestoreAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		slot := claim(t, j, request("a", 1))[0].Slot
		r.FlushAll()
		e := journal.Entry{Slot: slot, Settled: []results.Settled{settled(0)}}
		require.Equal(t, []journal.SettleState{journal.Lost}, settle(t, j, e))
		before := *slot
		for range 2 {
			*slot = before // as if nothing had come back
			states, err := j.Restore(t.Context(), []journal.Entry{e})
			require.NoError(t, err)
			require.Equal(t, []journal.SettleState{journal.OK}, states)
		}
		states, err := j.Owns(t.Context(), []*journal.Slot{slot})
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.OK}, states)
		require.Len(t, claim(t, j, request("a", 1))[0].Log.Settled, 1)
	})
}

// TestRestart: after a restart what Redis holds may be stale, so its holder puts
// it back; and whoever claims a job that nobody put back must ask the stream.
func TestRestart(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	if !r.Real() {
		t.Skip("needs redis-server on PATH: the in-process one does not tell that it was restarted")
	}
	j := newJournal(r)
	got := claim(t, j, request("a", 2), request("b", 2))
	first := journal.Entry{Slot: got[0].Slot, Settled: []results.Settled{settled(0)}}
	require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, first))
	r.Restart()
	second := journal.Entry{Slot: got[0].Slot, Settled: []results.Settled{settled(0), settled(1)}}
	require.Equal(t, []journal.SettleState{journal.Lost}, settle(t, j, second))
	states, err := j.Restore(t.Context(), []journal.Entry{second})
	require.NoError(t, err)
	require.Equal(t, []journal.SettleState{journal.OK}, states)

	next := claim(t, newJournal(r), request("a", 2), request("b", 2))
	require.Len(t, next[0].Log.Settled, 2)
	require.False(t, next[0].Doubt, "its holder has put it back")
	require.Equal(t, journal.StateKnown, next[1].State)
	require.True(t, next[1].Doubt, "nobody has")
	// Once asked, nobody else need ask.
	e := journal.Entry{Slot: next[1].Slot, Checked: true}
	e.Stored.Set(1)
	require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, e))
	last := claim(t, j, request("b", 2))[0]
	require.False(t, last.Doubt)
	require.True(t, last.Log.Stored.Has(1))
}

// TestDoubt: a job that may have been worked on before Redis' data began.
func TestDoubt(t *testing.T) {
	t.Parallel()
	j := newJournal(embeddedtest.RunMiniRedis(t))
	old, again, fresh := request("old", 1), request("again", 1), request("fresh", 1)
	old.Stored = time.Now()
	again.Redelivered = true
	got := claim(t, j, old, again, fresh)
	require.Equal(t, []bool{true, true, false}, []bool{got[0].Doubt, got[1].Doubt, got[2].Doubt})
	require.WithinDuration(t, time.Now(), got[0].Epoch.Created, time.Minute)
}

// TestManyOwners: a job that goes from hand to hand for ever.
func TestManyOwners(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	j := newJournal(r)
	first := claim(t, j, request("a", 1), request("b", 1))
	var last journal.ClaimReply
	for range 450 {
		last = claim(t, j, request("a", 1))[0]
	}
	require.Equal(t, journal.StatePoison, last.State)
	require.Equal(t, 127, last.Claims)
	states := settle(t, j,
		journal.Entry{Slot: first[0].Slot, Settled: []results.Settled{settled(0)}},
		journal.Entry{Slot: first[1].Slot, Settled: []results.Settled{settled(0)}},
		journal.Entry{Slot: last.Slot, Settled: []results.Settled{settled(0)}})
	require.Equal(t, []journal.SettleState{journal.Refused, journal.OK, journal.OK}, states)
	size := r.Client().StrLen(t.Context(), r.Client().Keys(t.Context(), "lookup:{j0}:p*").Val()[0]).Val()
	require.Less(t, size, int64(6000))
}

// TestOneWinner: workers that claim the same jobs at once end with one owner a job.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		const workers, jobs = 6, 50
		replies := make([][]journal.ClaimReply, workers)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				var reqs []journal.ClaimRequest
				for i := range jobs {
					reqs = append(reqs, request(fmt.Sprint((i*7+w*11)%jobs), 1))
				}
				var err error
				replies[w], err = newJournal(r).Claim(t.Context(), journal.NewOwner(), reqs)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		won := map[int]int{}
		j := newJournal(r)
		for w := range workers {
			var entries []journal.Entry
			for i := range replies[w] {
				entries = append(entries, journal.Entry{Slot: replies[w][i].Slot, Settled: []results.Settled{settled(0)}})
			}
			for i, s := range settle(t, j, entries...) {
				if s == journal.OK {
					won[(i*7+w*11)%jobs]++
				}
			}
		}
		require.Len(t, won, jobs)
		for job, n := range won {
			require.Equal(t, 1, n, "job %d", job)
		}
	})
}

// TestPagesClose: when all jobs of a page are done, only its head is left.
func TestPagesClose(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		j := newJournal(r)
		first := claim(t, j, request("a", 1), request("b", 1), request("c", 1))
		second := claim(t, j, request("d", 1), request("b", 1), request("e", 1))
		var slots []*journal.Slot
		for _, got := range append(first, second...) {
			settle(t, j, journal.Entry{Slot: got.Slot, Settled: []results.Settled{settled(0)}})
			slots = append(slots, got.Slot)
		}
		require.NoError(t, j.Done(t.Context(), slots))
		require.NoError(t, j.Done(t.Context(), slots), "a second time")
		keys := r.Client().Keys(t.Context(), "lookup:{j0}:p*").Val()
		require.Len(t, keys, 2)
		for _, key := range keys {
			require.EqualValues(t, 12, r.Client().StrLen(t.Context(), key).Val())
		}
		require.Equal(t, []journal.SettleState{journal.Refused}, settle(t, j, journal.Entry{Slot: slots[0]}))
	})
}

// TestLargeJobs: pages stay of moderate size, and the largest job fits.
func TestLargeJobs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		const largest = 1000
		j := newJournal(r)
		var reqs []journal.ClaimRequest
		for i := range 30 {
			reqs = append(reqs, request(fmt.Sprint(i), 400))
		}
		claim(t, j, reqs...)
		require.Len(t, r.Client().Keys(t.Context(), "lookup:{j0}:p*").Val(), 15)

		big := claim(t, j, request("big", largest))[0]
		e := journal.Entry{Slot: big.Slot}
		raw := json.RawMessage(`"` + strings.Repeat("raw", results.MaxRaw/3-10) + `"`)
		for i := range largest {
			s, _ := results.Settle(nil, "big", &results.Result{Index: i, Status: results.StatusOK, Raw: raw[:len(raw)*(i%20/19)]})
			e.Settled = append(e.Settled, s)
		}
		require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, e))
		got := claim(t, j, request("big", largest))[0]
		require.Len(t, got.Log.Settled, largest)
		for i := range got.Log.Settled {
			require.True(t, bytes.Equal(e.Settled[i].JSON, got.Log.Settled[i].JSON))
		}
	})
}

// TestScriptFlush: a Redis that forgets its scripts, by SCRIPT FLUSH or failover.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	j, rdb := newJournal(r), r.Client()
	forget := func() { require.NoError(t, rdb.ScriptFlush(t.Context()).Err()) }
	slot := claim(t, j, request("a", 1))[0].Slot
	forget()
	require.Equal(t, []journal.SettleState{journal.OK}, settle(t, j, journal.Entry{Slot: slot, Settled: []results.Settled{settled(0)}}))
	forget()
	got := claim(t, j, request("a", 1))[0]
	require.Len(t, got.Log.Settled, 1)
	forget()
	require.NoError(t, j.HandBack(t.Context(), []*journal.Slot{got.Slot}))
}

// TestAway: errors while Redis is away, and no harm from repeating afterwards.
func TestAway(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunMiniRedis(t)
	opt, err := redis.ParseURL(r.URL())
	require.NoError(t, err)
	opt.MaxRetries, opt.DialerRetries = -1, 1
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	j := journal.New(rdb, "lookup", nil)
	got := claim(t, j, request("a", 1), request("b", 1))
	slot := got[0].Slot
	r.Stop()
	e := journal.Entry{Slot: slot, Settled: []results.Settled{settled(0)}, Parts: []journal.Part{part(0)}}
	states, err := j.Settle(t.Context(), []journal.Entry{e}, nil)
	require.ErrorContains(t, err, "settle in the journal")
	require.Nil(t, states)
	_, err = j.Claim(t.Context(), journal.NewOwner(), []journal.ClaimRequest{request("b", 1)})
	require.ErrorContains(t, err, "claim in the journal")
	require.Error(t, j.Done(t.Context(), []*journal.Slot{slot}))
	require.Error(t, j.HandBack(t.Context(), []*journal.Slot{got[1].Slot}))
	_, err = j.Owns(t.Context(), []*journal.Slot{slot})
	require.Error(t, err)
	_, err = j.Restore(t.Context(), []journal.Entry{e})
	require.Error(t, err)
	r.Start()
	require.Eventually(t, func() bool { return rdb.Ping(t.Context()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	states, err = j.Restore(t.Context(), []journal.Entry{e})
	require.NoError(t, err)
	require.Equal(t, []journal.SettleState{journal.OK}, states)
	require.Equal(t, []journal.Part{part(0)}, claim(t, j, request("a", 1))[0].Log.Parts)
}

func TestSettleWithCache(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		rdb := r.Client()
		answers := cache.New(rdb, cache.Config{Prefix: "lookup"})
		j := journal.New(rdb, "lookup", answers)
		slot := claim(t, j, request("a", 1))[0].Slot
		key := answers.Key(&cache.Scope{Route: "r", TTL: time.Hour}, "", "+8613972565391")
		a := cache.Answer{Status: results.StatusNotFound, Provider: "qxt", AnsweredAt: time.Now().Truncate(time.Millisecond)}
		entries := []journal.Entry{{Slot: slot, Settled: []results.Settled{settled(0)}}}
		states, err := j.Settle(t.Context(), entries, []cache.Entry{{Key: key, Answer: a}})
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.OK}, states)
		got, err := answers.Get(t.Context(), []cache.Key{key})
		require.NoError(t, err)
		require.Equal(t, []*cache.Answer{&a}, got)
		// Answers alone; and a cache that fails does not fail the journal.
		_, err = j.Settle(t.Context(), nil, []cache.Entry{{Key: key, Answer: a}})
		require.NoError(t, err)
		require.NoError(t, rdb.Del(t.Context(), "lookup:{c3600-0}:0").Err())
		require.NoError(t, rdb.Set(t.Context(), "lookup:{c3600-0}:0", "not a hash", 0).Err())
		entries[0].Settled = []results.Settled{settled(1)}
		states, err = j.Settle(t.Context(), entries, []cache.Entry{{Key: key, Answer: a}})
		require.ErrorContains(t, err, "write the answer cache")
		require.Equal(t, []journal.SettleState{journal.OK}, states)
		require.Len(t, claim(t, j, request("a", 1))[0].Log.Settled, 2)
	})
}

// TestAging: a done job is known for a day after it was done, and forgotten after
// two more; memory does not grow.
func TestAging(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	now := time.Now()
	m.SetTime(now)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	j := journal.New(rdb, "lookup", nil)
	pass := func(d time.Duration) {
		now = now.Add(d)
		m.SetTime(now)
		m.FastForward(d)
	}
	state := func(id string) journal.State { return claim(t, j, request(id, 1))[0].State }

	// a is claimed, and done 20 h later, in the next period.
	claim(t, j, request("first", 1)) // begins the period
	pass(20 * time.Hour)
	a := claim(t, j, request("a", 1))[0]
	pass(20 * time.Hour)
	claim(t, j, request("turn", 1))
	require.NoError(t, j.Done(t.Context(), []*journal.Slot{a.Slot}))
	pass(23 * time.Hour)
	require.Equal(t, journal.StateDone, state("a"))
	pass(59 * time.Minute)
	require.Equal(t, journal.StateDone, state("a"))
	pass(25 * time.Hour)
	claim(t, j, request("turn", 1))
	require.Equal(t, journal.StateNew, state("a"), "forgotten")

	// A job that is held for long keeps its identity by asking who owns it.
	held := claim(t, j, request("held", 1))[0]
	for range 6 {
		pass(23 * time.Hour)
		claim(t, j, request("turn", 1))
		states, err := j.Owns(t.Context(), []*journal.Slot{held.Slot})
		require.NoError(t, err)
		require.Equal(t, []journal.SettleState{journal.OK}, states)
	}
	require.Equal(t, journal.StateKnown, state("held"))

	for i := range 8 {
		pass(26 * time.Hour)
		state(fmt.Sprint("x", i))
	}
	fields := func(key string) int64 { return rdb.HLen(t.Context(), key).Val() }
	require.EqualValues(t, 1, fields("lookup:{j0}:i0"))
	require.EqualValues(t, 1, fields("lookup:{j0}:i1"))
	require.LessOrEqual(t, rdb.DBSize(t.Context()).Val(), int64(8), "%v", m.Keys())
	require.Positive(t, rdb.PTTL(t.Context(), "lookup:{j0}:i0").Val(), "an installation given up leaves nothing for ever")
	// After a long silence everything old goes at once.
	pass(60 * time.Hour)
	state("y")
	require.EqualValues(t, 1, fields("lookup:{j0}:i0")+fields("lookup:{j0}:i1"))
}

// TestCluster: the same life on a Redis Cluster, whose keys lie in several hash slots.
func TestCluster(t *testing.T) {
	t.Parallel()
	rdb := runCluster(t)
	answers := cache.New(rdb, cache.Config{Prefix: "lookup"})
	j := journal.New(rdb, "lookup", answers)
	var reqs []journal.ClaimRequest
	var stored []cache.Entry
	var keys []cache.Key
	for i := range 200 {
		reqs = append(reqs, request(fmt.Sprint(i), 1))
		keys = append(keys, answers.Key(&cache.Scope{Route: "r", TTL: time.Hour}, "", fmt.Sprint("+86139725", i)))
		stored = append(stored, cache.Entry{Key: keys[i], Answer: cache.Answer{Status: results.StatusOK, AnsweredAt: time.Now()}})
	}
	late := claim(t, j, reqs...)
	var entries []journal.Entry
	var slots []*journal.Slot
	for i := range late {
		require.Equal(t, journal.StateNew, late[i].State)
		entries = append(entries, journal.Entry{Slot: late[i].Slot, Settled: []results.Settled{settled(0)}})
	}
	states, err := j.Settle(t.Context(), entries, stored)
	require.NoError(t, err)
	require.NotContains(t, states, journal.Lost)
	got, err := answers.Get(t.Context(), keys)
	require.NoError(t, err)
	require.NotContains(t, got, (*cache.Answer)(nil))

	now := claim(t, j, reqs...)
	for i := range now {
		require.Equal(t, journal.StateKnown, now[i].State)
		require.Len(t, now[i].Log.Settled, 1)
		slots = append(slots, now[i].Slot)
	}
	states, err = j.Owns(t.Context(), slots)
	require.NoError(t, err)
	require.NotContains(t, states, journal.Refused)
	flushCluster(t, rdb)
	for i := range entries {
		entries[i].Slot = slots[i]
	}
	states, err = j.Restore(t.Context(), entries)
	require.NoError(t, err)
	require.NotContains(t, states, journal.Refused)
	require.NoError(t, j.HandBack(t.Context(), slots[:100]))
	require.NoError(t, j.Done(t.Context(), slots[100:]))
	for i, c := range claim(t, j, reqs...) {
		require.Equal(t, i >= 100, c.State == journal.StateDone)
	}
}

// TestSlotsOfManyJobs: all identities of a large claim lead to their own logs.
func TestSlotsOfManyJobs(t *testing.T) {
	t.Parallel()
	j := newJournal(embeddedtest.RunRedis(t))
	var reqs []journal.ClaimRequest
	for i := range 1000 {
		reqs = append(reqs, request(fmt.Sprint(i), 1))
	}
	got := claim(t, j, reqs...)
	var entries []journal.Entry
	for i := range got {
		s := settled(0)
		s.JSON = bytes.ReplaceAll(s.JSON, []byte("湖北"), []byte(fmt.Sprint("job", i)))
		entries = append(entries, journal.Entry{Slot: got[i].Slot, Settled: []results.Settled{s}})
	}
	settle(t, j, entries...)
	for i, c := range claim(t, j, reqs...) {
		require.Equal(t, entries[i].Settled, c.Log.Settled)
	}
}

// TestErrorsNameNothing: an error of Redis names no job.
func TestErrorsNameNothing(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunMiniRedis(t)
	j := newJournal(r)
	require.NoError(t, r.Client().Set(t.Context(), "lookup:{j0}:i0", "not a hash", 0).Err())
	_, err := j.Claim(t.Context(), journal.NewOwner(), []journal.ClaimRequest{{ID: names.Identity{JobID: "secret"}}})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	require.NotErrorIs(t, err, redis.Nil)
}
