package tickets

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// hasty clears settled tickets away at once and keeps others for long.
func hasty(d *Desk) { d.keep = 20 * time.Millisecond }

// stays checks that a ticket is not cleared away though a settled one is.
func (w *worker) stays(ticket string) {
	w.fleet.t.Helper()
	w.awaitStored(ticket, "done")
	settled := w.call(number(500))
	require.Equal(w.fleet.t, http.StatusOK, w.post(w.fleet.up.token(w.fleet.t, settled.Ticket), body(settled.Ticket, number(500), "ok")))
	w.awaitStored(settled.Ticket, "")
	require.Equal(w.fleet.t, "done", w.stored(ticket))
}

// TestAnAdoptersTicketsWaitForTheirJobs: those of the dead worker may come back
// long after everything was answered.
func TestAnAdoptersTicketsWaitForTheirJobs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	w := f.start("w1")
	all := numbers(3)
	reply := w.call(all...)
	closed := w.call(number(9))
	w.awaitStored(reply.Ticket, "submitted")
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, closed.Ticket), body(closed.Ticket, number(9), "ok")))
	w.awaitStored(closed.Ticket, "done")
	w.die()
	next := f.start("w2", hasty)
	for _, n := range all {
		require.Equal(t, http.StatusOK, next.post(f.up.token(t, reply.Ticket), body(reply.Ticket, n, "ok")))
	}
	next.eventually(func(s Status) bool { return s.Adopted == 2 })
	next.stays(reply.Ticket)
	require.Equal(t, "done", next.stored(closed.Ticket), "the job's results may not have been stored")
	next.attach(reply.Ticket, all...)
	next.awaitLate(reply.Ticket, all...)
	next.stays(reply.Ticket)
}

// TestWhatNobodyTookIsKept: also where the worker that handed it in lives on.
func TestWhatNobodyTookIsKept(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	f.up.pace.PollEvery = 40 * time.Millisecond
	w := f.start("w1", hasty)
	reply := w.Provider().Call(t.Context(), query(number(1), number(2)))
	w.Parked(reply.Ticket, []string{number(1)})
	for _, n := range []string{number(1), number(2)} {
		require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, n, "ok")))
	}
	w.stays(reply.Ticket)
}

// TestADoubtfulWorkersTicketsAreKept: others may have taken its jobs over.
func TestADoubtfulWorkersTicketsAreKept(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	f.up.pace.PollEvery = 40 * time.Millisecond
	var doubt atomic.Bool
	w := f.start("w1", hasty, func(d *Desk) { d.cfg.Sure = func() bool { return !doubt.Load() } })
	reply := w.call(number(1))
	doubt.Store(true)
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(1), "ok")))
	w.awaitLate(reply.Ticket, number(1))
	w.awaitStored(reply.Ticket, "done")
	doubt.Store(false)
	w.stays(reply.Ticket)
}

func TestKeptTicketsGoInTheEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	w := f.start("w1", hasty, func(d *Desk) { d.keepLong = 50 * time.Millisecond })
	reply := w.Provider().Call(t.Context(), query(number(1)))
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(1), "ok")))
	w.awaitStored(reply.Ticket, "")
	w.eventually(func(s Status) bool { return s.Tickets+s.Kept == 0 })
}

// TestReclaimedJobsOfLaterTimes: an item takes no answer from before its job was
// stored for its own.
func TestReclaimedJobsOfLaterTimes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	reply := w.call(number(1), number(2))
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(2), "ok")))
	require.NoError(t, w.catchUp(t.Context()))
	open, answered := number(1), number(2)
	before, about, after := time.Now().Add(-time.Hour), time.Now().Add(30*time.Second), time.Now().Add(2*time.Minute)
	own, paid := Attachment{Ticket: reply.Ticket}, Attachment{Ticket: reply.Ticket, Paid: true}
	for name, c := range map[string]struct {
		number string
		stored time.Time
		fresh  bool
		want   Attachment
	}{
		"open, its own":           {open, before, false, own},
		"open, a later job":       {open, after, false, paid},
		"open, a later fresh job": {open, after, true, Attachment{}},
		"its own":                 {answered, before, true, own},
		"within the clocks' skew": {answered, about, true, own},
		"not known":               {answered, time.Time{}, false, own},
		"a later job":             {answered, after, false, Attachment{}},
		"a later fresh job":       {answered, after, true, Attachment{}},
	} {
		got, err := w.Attach(t.Context(), []Ask{{
			Number: c.number, Partition: "p", ShareGroup: "acme", Reclaimed: true, Fresh: c.fresh, Stored: c.stored,
		}})
		require.NoError(t, err, name)
		require.Equal(t, []Attachment{c.want}, got, name)
	}
}

// TestWhoWaitsForABatchThatIsNotHandedIn is innocent of it.
func TestWhoWaitsForABatchThatIsNotHandedIn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	handed, refuse := make(chan string, 1), make(chan struct{})
	f.up.setScript(func(_ context.Context, _ providers.Query, ticket string) providers.Reply {
		handed <- ticket
		<-refuse
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnavailable}}
	})
	w, other := f.start("w1"), f.start("w2")
	called := make(chan providers.Reply, 1)
	go func() { called <- w.Provider().Call(t.Context(), query(number(1))) }()
	ticket := <-handed
	other.attach(ticket, number(1))
	close(refuse)
	require.Equal(t, providers.KindUnavailable, (<-called).Failure.Kind)
	require.Equal(t, neverSent(), other.awaitLate(ticket, number(1))[0].Outcome)
}
