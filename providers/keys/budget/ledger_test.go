package budget

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// want is n numbers at 1000 a number from one budget of 10000.
func want(n int) Want { return Want{N: n, Limits: []Limit{{ID: "c", Most: 10_000, Price: 1000}}} }

func TestReserveAndSettle(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a, b := w.open(t), w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	require.Equal(t, Grant{N: 6, By: -1}, a.must(want(6)))
	require.Equal(t, Grant{N: 4, By: 0, Soft: true}, b.must(want(6)), "two ledgers, one budget")
	a.settle(Entry{ID: "c", Reserved: 6000, Actual: 5000})
	require.Equal(t, int64(9000), b.spent("c"))
	require.Equal(t, Grant{N: 1, By: 0, Soft: true}, b.must(want(2)), "what was not charged is there again")
	b.settle(Entry{ID: "c", Reserved: 5000, Actual: 5500})
	require.Equal(t, int64(10_500), a.spent("c"), "what costs more is added")
	require.Equal(t, Grant{By: 0, Tell: true}, a.must(want(1)))
	a.Told("c", "10000")
	require.NoError(t, a.Flush(t.Context()))
	require.Equal(t, Grant{By: 0}, b.must(want(1)), "operators are told once")
	raised := want(3)
	raised.Limits[0].Most = 12_000
	require.Equal(t, Grant{N: 1, By: 0, Soft: true}, b.must(raised))
}

func TestAllBudgetsOfAPurse(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a := w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	tenant := Limit{ID: "t", Most: 5000, Price: 1000}
	one := Want{N: 4, Limits: []Limit{tenant, {ID: "c1", Most: 3000, Price: 1000}}}
	two := Want{N: 4, Limits: []Limit{tenant, {ID: "c2", Most: 9000, Price: 1000}}}
	got, err := a.reserve(one, two)
	require.NoError(t, err)
	require.Equal(t, []Grant{{N: 3, By: 1, Soft: true}, {N: 2, By: 0, Soft: true}}, got)
	require.Equal(t, int64(5000), a.spent("t"))
	require.Equal(t, int64(3000), a.spent("c1"))
	require.Equal(t, int64(2000), a.spent("c2"))
}

func TestDeadHolderHasSpent(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a, b := w.open(t), w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	a.must(want(10))
	require.True(t, b.must(want(1)).Soft, "it may come back")
	w.sleep(DefaultPatience)
	require.Equal(t, Grant{By: 0, Tell: true}, b.must(want(1)))
}

func TestLostDataIsLearned(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		results int64
		last    Mark
		told    bool // a live ledger tells what it remembers
		spent   int64
	}{
		"nothing known":             {spent: 0},
		"results":                   {results: 4000, spent: 4000},
		"remembered elsewhere":      {results: 4000, last: Mark{Spent: 6000, Epoch: 5, N: 9}, spent: 6000},
		"results are newer":         {results: 7000, last: Mark{Spent: 6000, Epoch: 5, N: 9}, spent: 7000},
		"a live ledger knows":       {results: 1000, told: true, spent: 8000},
		"a live ledger knows best":  {results: 1000, last: Mark{Spent: 9000, Epoch: 5, N: 99}, told: true, spent: 8000},
		"dead ledgers stored more":  {results: 9000, told: true, spent: 9000},
		"remembered by who is gone": {last: Mark{Spent: 9000, Epoch: 1 << 50, N: 1}, told: true, spent: 9000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := inWorld(t)
			a, b := w.open(t), w.open(t)
			a.waits(want(1), "guard")
			w.sleep(DefaultGuard)
			a.must(want(8))
			a.settle(Entry{ID: "c", Reserved: 8000, Actual: 8000})
			w.results["c"], w.last["c"] = test.results, test.last
			w.mini.FlushAll()
			w.sleep(time.Hour)
			b.waits(want(1), "guard")
			if test.told {
				require.NoError(t, a.Look(t.Context()))
			}
			w.sleep(DefaultGuard)
			require.Equal(t, int((10_000-test.spent)/1000), b.must(want(10)).N)
			w.sleep(DefaultPatience)
			if !test.told && test.spent < 8000 {
				require.NoError(t, a.Look(t.Context()), "it was cut off, and comes late")
				require.Equal(t, 10_000-test.spent+8000, a.spent("c"), "what was granted since counts too")
			}
		})
	}
}

func TestNothingIsGrantedBeforeItIsLearned(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a := w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	w.err = errTest
	_, err := a.Reserve(t.Context(), []Want{want(1)})
	var wait *WaitError
	require.ErrorAs(t, err, &wait)
	require.Equal(t, "learning", wait.Reason)
	w.mu.Lock()
	w.err = nil
	w.mu.Unlock()
	require.Equal(t, 1, a.must(want(1)).N)
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a, b := w.open(t), w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	a.must(want(1))
	a.deaf.Store(true)
	a.waits(want(5), "redis_away")
	require.Equal(t, 4, b.must(want(9)).N, "it was reserved all the same")
	a.deaf.Store(false)
	require.NoError(t, a.Flush(t.Context()))
	require.Equal(t, int64(5000), b.spent("c"), "and is given back")

	a.Settle(Entry{ID: "c", Reserved: 1000})
	a.deaf.Store(true)
	require.Error(t, a.Flush(t.Context()))
	a.deaf.Store(false)
	a.Settle(Entry{ID: "c", Actual: 7})
	require.NoError(t, a.Flush(t.Context()))
	require.Equal(t, int64(4007), b.spent("c"), "done once")
}

func TestNewerFormIsNotTakenForAbsent(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a := w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	a.must(want(1))
	w.mini.HSet("lookup:{budget}:b:c", "v", "2")
	a.waits(want(1), "version")
	require.Error(t, a.Look(t.Context(), "c"))
}

func TestRunTellsAndLearns(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	a := w.open(t)
	a.waits(want(1), "guard")
	w.sleep(DefaultGuard)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	a.Prepare("c")
	require.Eventually(t, func() bool { _, known := a.Spent("c"); return known }, 10*time.Second, time.Millisecond)
	a.must(want(3))
	a.Settle(Entry{ID: "c", Reserved: 3000, Actual: 1000})
	b := w.open(t)
	require.Eventually(t, func() bool { return b.spent("c") == 1000 }, 10*time.Second, time.Millisecond)
	a.Settle(Entry{ID: "c", Actual: 500})
	stop()
	<-done
	require.Equal(t, int64(1500), b.spent("c"), "a clean stop tells what is pending")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	for _, cfg := range []Config{{}, {Prefix: "a{b", Learn: w.past}, {Prefix: "a"}} {
		_, err := New(nil, cfg)
		require.Error(t, err)
	}
}
