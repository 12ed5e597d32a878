package tickets

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// reclaimed are the asks of a redelivered job.
func reclaimed(all ...string) []Ask {
	asks := make([]Ask, len(all))
	for i, n := range all {
		asks[i] = Ask{Number: n, Partition: "p", ShareGroup: "acme", Reclaimed: true}
	}
	return asks
}

// attach attaches the items of a redelivered job, all to one ticket.
func (w *worker) attach(ticket string, all ...string) {
	w.fleet.t.Helper()
	got, err := w.Attach(w.fleet.t.Context(), reclaimed(all...))
	require.NoError(w.fleet.t, err)
	for _, a := range got {
		require.Equal(w.fleet.t, Attachment{Ticket: ticket}, a)
	}
	w.Parked(ticket, all)
}

func TestAWorkerDiesWithItsTickets(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter, f.up.pace.PollAfter = time.Hour, 300*time.Millisecond
	all := numbers(6)
	w := f.start("w1")
	reply := w.call(all...)
	w.awaitStored(reply.Ticket, "submitted")
	token := f.up.token(t, reply.Ticket)
	require.Equal(t, http.StatusOK, w.post(token, body(reply.Ticket, all[0], "before")))
	w.die()

	next := f.start("w2")
	next.attach(reply.Ticket, all...)
	require.Equal(t, http.StatusOK, next.post(token, body(reply.Ticket, all[1], "after")))
	late := next.awaitLate(reply.Ticket, all[0], all[1])
	require.Equal(t, "before", late[0].Outcome.Facts.CallResponse)
	require.Equal(t, "after", late[1].Outcome.Facts.CallResponse)
	f.up.answer(reply.Ticket, all[2:]...)
	next.awaitLate(reply.Ticket, all...) // only the owner asks
	next.eventually(func(s Status) bool { return s.Own == 1 && s.Adopted == 1 })
	next.awaitStored(reply.Ticket, "done")
	require.Contains(t, next.logs.text(), "taken over")

	// And that one dies before its results are stored: the kept ticket has them.
	next.die()
	last := f.start("w3")
	last.attach(reply.Ticket, all...)
	last.awaitLate(reply.Ticket, all...)
	require.EqualValues(t, 1, f.up.submits.Load())
}

func TestAWorkerDiesInTheSubmit(t *testing.T) {
	t.Parallel()
	for name, arrived := range map[string]bool{"it arrived": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, newUpstream(quick()))
			f.up.pace.GiveUpAfter = time.Hour
			w := f.start("w1")
			handed, release := make(chan string, 1), make(chan struct{})
			f.up.setScript(func(_ context.Context, _ providers.Query, ticket string) providers.Reply {
				if !arrived {
					f.up.forget(ticket)
				}
				handed <- ticket
				<-release
				return providers.Reply{Failure: &providers.Failure{Kind: providers.KindCutOff}}
			})
			var call sync.WaitGroup
			call.Go(func() { w.Provider().Call(t.Context(), query(number(1))) })
			ticket := <-handed
			w.die()
			close(release)
			call.Wait()

			next := f.start("w2")
			next.attach(ticket, number(1))
			if arrived {
				f.up.answer(ticket, number(1))
				require.Equal(t, providers.Found, next.awaitLate(ticket, number(1))[0].Outcome.Kind)
			} else {
				require.Equal(t, neverTaken(), next.awaitLate(ticket, number(1))[0].Outcome)
				next.awaitStored(ticket, "void")
				got, err := next.Attach(t.Context(), reclaimed(number(1)))
				require.NoError(t, err)
				require.Empty(t, got[0].Ticket, "now it is asked again")
			}
			require.EqualValues(t, 1, f.up.submits.Load())
		})
	}
}

func TestOneOfManyTakesOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w0")
	tickets := make([]string, 20)
	for i := range tickets {
		tickets[i] = w.call(number(i)).Ticket
		w.awaitStored(tickets[i], "submitted")
	}
	others := []*worker{f.start("w1"), f.start("w2"), f.start("w3")}
	w.die()
	require.Eventually(t, func() bool {
		own, adopted := 0, uint64(0)
		for _, o := range others {
			own += o.Status().Own
			adopted += o.Status().Adopted
		}
		return own == 20 && adopted == 20
	}, patience, look)
}

func TestReceiptsAtTheOtherWorker(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	a, b := f.start("w1"), f.start("w2")
	ra, rb := a.call(number(1), number(2)), b.call(number(1), number(3))
	for _, r := range []providers.Reply{ra, rb} {
		w := map[string]*worker{ra.Ticket: b, rb.Ticket: a}[r.Ticket]
		require.NoError(t, w.catchUp(t.Context()))
		for _, n := range numbers(4) {
			w.post(f.up.token(t, r.Ticket), body(r.Ticket, n, "ok"))
		}
	}
	a.awaitLate(ra.Ticket, number(1), number(2))
	b.awaitLate(rb.Ticket, number(1), number(3))
	require.Zero(t, a.delivered(rb.Ticket), "nobody waits for it here")
	require.Zero(t, b.delivered(ra.Ticket))
	a.awaitStored(ra.Ticket, "done")
	a.awaitStored(rb.Ticket, "done")
}

func TestRacesForOneReceipt(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	a, b := f.start("w1"), f.start("w2")
	reply := a.call(numbers(20)...)
	require.NoError(t, b.catchUp(t.Context()))
	var posts sync.WaitGroup
	for _, n := range numbers(20) {
		for _, w := range []*worker{a, b, a, b} {
			posts.Go(func() { _ = w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, n, w.id)) })
		}
	}
	posts.Wait()
	a.awaitLate(reply.Ticket, numbers(20)...)
	sa, sb := a.Status(), b.Status()
	require.EqualValues(t, 20, sa.Receipts+sb.Receipts)
	require.EqualValues(t, 60, sa.Duplicates+sb.Duplicates)
	require.Equal(t, 20, a.delivered(reply.Ticket))
}

// TestCatchUpMissesNoTicket: also none whose status is written at the same time.
func TestCatchUpMissesNoTicket(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	a, b := f.start("w1"), f.start("w2")
	for i := range 200 {
		reply := a.call(number(i))
		got, err := b.Attach(t.Context(), reclaimed(number(i)))
		require.NoError(t, err)
		require.Equal(t, reply.Ticket, got[0].Ticket)
	}
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	a, b := f.start("w1"), f.start("w2")
	all := numbers(40)
	reply := a.call(all...)
	b.attach(reply.Ticket, all...)
	token := f.up.token(t, reply.Ticket)
	// Posts go on through the restart, and come again as the upstream's do.
	var posts sync.WaitGroup
	for i, n := range all {
		posts.Go(func() {
			w := []*worker{a, b}[i%2]
			for w.post(token, body(reply.Ticket, n, "ok")) != http.StatusOK && t.Context().Err() == nil {
				wait(t.Context(), 10*time.Millisecond)
			}
		})
		if i == len(all)/2 {
			f.nats.Stop()
		}
	}
	f.nats.Start()
	posts.Wait()
	a.awaitLate(reply.Ticket, all...)
	b.awaitLate(reply.Ticket, all...)
	a.awaitStored(reply.Ticket, "done")
	second := a.call(number(100))
	require.NotEmpty(t, second.Ticket)
	require.NoError(t, b.catchUp(t.Context()))
	require.Equal(t, http.StatusOK, b.post(f.up.token(t, second.Ticket), body(second.Ticket, number(100), "ok")))
	a.awaitLate(second.Ticket, number(100))
}

func TestWithoutNATSNothingIsSent(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	reply := w.call(number(1))
	f.nats.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	none := w.Provider().Call(ctx, query(number(2)))
	require.Equal(t, notSent("the ticket could not be stored"), none.Failure)
	require.Contains(t, none.Failure.Message, "not sent")
	require.Empty(t, none.Ticket)
	require.EqualValues(t, 1, f.up.submits.Load())
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := w.Attach(ctx, reclaimed(number(1)))
	require.Error(t, err, "it cannot be known whether the number was handed in")
	w.eventually(func(s Status) bool { return !s.Watching })
	require.Equal(t, http.StatusServiceUnavailable, w.post(f.up.token(t, reply.Ticket)[:63]+"x", nil), "the ticket may be another worker's new one")

	// The ticket that was not sent leaves nothing behind.
	f.nats.Start()
	require.NoError(t, w.catchUp(t.Context()))
	w.eventually(func(s Status) bool { return s.Tickets == 1 && s.Outstanding == 1 })
	w.Desk.mu.Lock()
	discards := len(w.discards)
	w.Desk.mu.Unlock()
	require.LessOrEqual(t, discards, 1)
}

func TestTheReplyIsKeptThoughNATSIsAway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	f.up.setScript(func(_ context.Context, q providers.Query, _ string) providers.Reply {
		f.nats.Stop()
		return providers.Reply{Outcomes: pending(len(q.Numbers))}
	})
	reply := w.call(number(1))
	require.NotEmpty(t, reply.Ticket)
	require.Equal(t, 1, w.Status().Unstored)
	f.nats.Start()
	w.awaitStored(reply.Ticket, "submitted")
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(1), "ok")))
	w.awaitLate(reply.Ticket, number(1))
}

// TestReadingEverythingAgain: a watcher that was cut off for long finds out what
// was removed meanwhile, also when the marks are gone.
func TestReadingEverythingAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	gone, stays := w.call(number(1)), w.call(number(2))
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, stays.Ticket), body(stays.Ticket, number(2), "ok")))
	w.awaitStored(stays.Ticket, "done")
	w.awaitLate(stays.Ticket, number(2))

	stream, err := w.js.Stream(t.Context(), w.stream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context())) // no watcher is told
	require.Equal(t, 1, w.Status().Tickets)
	w.startOver()
	rouse(w.stalled)
	w.eventually(func(s Status) bool { return s.Ready && s.Tickets+s.Kept == 0 })
	require.Equal(t, missing(), w.awaitLate(gone.Ticket, number(1))[0].Outcome)
	require.Equal(t, 1, w.delivered(stays.Ticket))
}

func TestAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	w := f.start("w1", func(d *Desk) { d.keep = time.Millisecond })
	strange := `{"version":2,"state":{"a":1},"owner":"dead"}`
	_, err := w.js.Publish(t.Context(), w.prefix+"01STRANGE", []byte(strange))
	require.NoError(t, err)
	w.eventually(func(s Status) bool { return s.Unreadable == 1 })
	reply := w.call(number(1)) // a life goes by
	w.awaitLate(reply.Ticket, number(1))
	w.awaitStored(reply.Ticket, "")
	kv, err := w.js.KeyValue(t.Context(), "LOOKUP_TICKETS")
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), "nx.01STRANGE")
	require.NoError(t, err)
	require.Equal(t, strange, string(e.Value()))
}
