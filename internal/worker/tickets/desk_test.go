package tickets

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func TestSubmitThenReceipts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	all := numbers(3)
	reply := w.call(all...)
	require.Nil(t, reply.Failure)
	require.Equal(t, pending(3), reply.Outcomes)
	w.awaitStored(reply.Ticket, "submitted")
	now, limit := w.Outstanding()
	require.Equal(t, []int{3, 1000}, []int{now, limit})

	token := f.up.token(t, reply.Ticket)
	for _, n := range all {
		require.Equal(t, http.StatusOK, w.post(token, body(reply.Ticket, n, "ok")))
		require.Equal(t, http.StatusOK, w.post(token, body(reply.Ticket, n, "another word")), "a duplicate")
	}
	for i, l := range w.awaitLate(reply.Ticket, all...) {
		require.Equal(t, all[i], l.Number)
		require.Equal(t, "main", l.Key)
		require.Equal(t, providers.Found, l.Outcome.Kind)
		require.Equal(t, "ok", l.Outcome.Facts.CallResponse, "the first word counts")
		require.WithinDuration(t, time.Now(), l.At, time.Minute)
	}
	w.awaitStored(reply.Ticket, "done")
	w.eventually(func(s Status) bool { return s.Tickets == 0 && s.Kept == 1 && s.Outstanding == 0 && s.Waiting == 0 })
	require.EqualValues(t, 3, w.Status().Receipts)
	require.EqualValues(t, 3, w.Status().Duplicates)
	require.EqualValues(t, 1, f.up.submits.Load())
	require.Zero(t, f.up.fetches.Load())
}

func TestWhatIsNotDeferredIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	q := query(number(1))
	q.Options = providers.Options{"now": true}
	reply := w.Provider().Call(t.Context(), q)
	require.Empty(t, reply.Ticket)
	require.Equal(t, providers.Found, reply.Outcomes[0].Kind)
	require.Zero(t, w.Status().Tickets)
}

func TestReceiptsBeforeTheReply(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	f.up.setScript(func(ctx context.Context, q providers.Query, ticket string) providers.Reply {
		require.Equal(t, http.StatusOK, w.post(f.up.token(t, ticket), body(ticket, q.Numbers[0].E164, "early"))) //nolint:contextcheck // the upstream's request is another one
		require.NoError(t, w.catchUp(ctx))                                                                       // the watcher has seen it, and nobody waits yet
		return providers.Reply{Outcomes: pending(len(q.Numbers))}
	})
	reply := w.call(number(1), number(2))
	require.Equal(t, "early", w.awaitLate(reply.Ticket, number(1))[0].Outcome.Facts.CallResponse)
	_, ok := w.late(reply.Ticket, number(2))
	require.False(t, ok)
}

func TestNumbersRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	refused := providers.Outcome{Kind: providers.Invalid, Failure: &providers.Failure{Kind: providers.KindRejected, Code: "114", Message: "bad format"}}
	f.up.setScript(func(_ context.Context, q providers.Query, _ string) providers.Reply {
		out := pending(len(q.Numbers))
		out[0] = refused
		return providers.Reply{Outcomes: out}
	})
	reply := w.call(number(1), number(2))
	require.Equal(t, refused, reply.Outcomes[0])
	now, _ := w.Outstanding()
	require.Equal(t, 1, now)
	w.awaitStored(reply.Ticket, "submitted")

	// Another worker finds it, for a reclaimed job.
	other := f.start("w2")
	got, err := other.Attach(t.Context(), []Ask{
		{Number: number(1), Partition: "p", ShareGroup: "acme", Reclaimed: true},
		{Number: number(1), Partition: "p", ShareGroup: "acme"},
	})
	require.NoError(t, err)
	require.Equal(t, []Attachment{{Ticket: reply.Ticket}, {}}, got)
	other.Parked(reply.Ticket, []string{number(1)})
	require.Equal(t, refused, other.awaitLate(reply.Ticket, number(1))[0].Outcome)

	// All refused: there is nothing to wait for.
	f.up.setScript(func(context.Context, providers.Query, string) providers.Reply {
		return providers.Reply{Outcomes: []providers.Outcome{refused}}
	})
	reply = w.call(number(3))
	require.Empty(t, reply.Ticket)
	w.eventually(func(s Status) bool { return s.Tickets == 1 })
}

func TestACertainFailureLeavesNoTicket(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	var ticket string
	fail := &providers.Failure{Kind: providers.KindNoBalance, Code: "211"}
	f.up.setScript(func(_ context.Context, _ providers.Query, id string) providers.Reply {
		ticket = id
		return providers.Reply{Failure: fail}
	})
	reply := w.call(numbers(3)...)
	require.Equal(t, providers.Reply{Failure: fail}, reply)
	w.awaitStored(ticket, "")
	w.eventually(func(s Status) bool { return s.Tickets+s.Kept+s.Outstanding == 0 })
	require.Equal(t, http.StatusNotFound, w.post(f.up.token(t, ticket), body(ticket, number(0), "ok")))
	// Who was attached to it meanwhile is sent away.
	w.Parked(ticket, []string{number(0)})
	require.Equal(t, neverSent(), w.awaitLate(ticket, number(0))[0].Outcome)
}

func loseReply(context.Context, providers.Query, string) providers.Reply {
	return providers.Reply{Failure: &providers.Failure{Kind: providers.KindTimeout}}
}

func TestALostReplyIsResolvedByAQuestion(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	f.up.page = 2
	f.up.setScript(loseReply)
	w := f.start("w1")
	all := numbers(5)
	reply := w.call(all...)
	require.Equal(t, providers.KindTimeout, reply.Failure.Kind)
	require.Equal(t, pending(5), reply.Outcomes)
	f.up.answer(reply.Ticket, all...)
	for _, l := range w.awaitLate(reply.Ticket, all...) {
		require.Equal(t, providers.Found, l.Outcome.Kind)
	}
	w.awaitStored(reply.Ticket, "done")
	require.EqualValues(t, 1, f.up.submits.Load())
	require.Contains(t, w.logs.text(), "lost")
	require.NotContains(t, w.logs.text(), "86138")
	require.NotContains(t, w.logs.text(), f.up.token(t, reply.Ticket))
}

func TestALostReplyOfABatchNeverTaken(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	f.up.setScript(func(ctx context.Context, q providers.Query, ticket string) providers.Reply {
		f.up.forget(ticket)
		return loseReply(ctx, q, ticket)
	})
	w := f.start("w1")
	reply := w.call(numbers(2)...)
	w.eventually(func(s Status) bool { return s.Unsure == 1 && s.Outstanding == 2 })
	for _, l := range w.awaitLate(reply.Ticket, numbers(2)...) {
		require.Equal(t, neverTaken(), l.Outcome)
		require.Equal(t, 2, l.Outcome.Failure.Tries)
	}
	w.awaitStored(reply.Ticket, "void")
	s := w.Status()
	require.Equal(t, []uint64{1, 1, 2}, []uint64{s.LostReplies, s.Voided, s.GivenUp})
	require.Zero(t, s.Outstanding)
	require.EqualValues(t, 1, f.up.submits.Load(), "never handed in again by itself")
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	w := f.start("w1")
	all := numbers(3)
	reply := w.call(all...)
	f.up.answer(reply.Ticket, all[1])
	late := w.awaitLate(reply.Ticket, all...)
	require.Equal(t, []providers.OutcomeKind{providers.Failed, providers.Found, providers.Failed},
		[]providers.OutcomeKind{late[0].Outcome.Kind, late[1].Outcome.Kind, late[2].Outcome.Kind})
	w.awaitStored(reply.Ticket, "done")
	require.EqualValues(t, 2, w.Status().GivenUp)
	// A receipt that comes now is taken, and changes nothing.
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, all[0], "late")))
	require.NoError(t, w.catchUp(t.Context()))
	require.Equal(t, 3, w.delivered(reply.Ticket))
}

func TestNothingIsGivenUpWhileTheUpstreamCannotBeAsked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = 300 * time.Millisecond
	f.up.down = true
	w := f.start("w1")
	reply := w.call(number(1))
	began := time.Now()
	w.awaitLate(reply.Ticket, number(1)) // ten times that time later it is, for nobody answers
	require.GreaterOrEqual(t, time.Since(began), 2900*time.Millisecond)
	require.Greater(t, w.Status().FetchFailures, uint64(1))
	require.Equal(t, 1, strings.Count(w.logs.text(), "cannot be asked"), "logged when it changes")
}

func TestEntriesThatAreNoAnswersArePassedOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	w := f.start("w1")
	reply := w.call(number(1))
	f.up.mu.Lock()
	f.up.answers[reply.Ticket] = [][]byte{
		[]byte("{"), body("", "x", "ok"), body("", number(2), "ok"), body("another", number(1), "ok"),
		body(reply.Ticket, number(1), "first"), body("", number(1), "second"),
	}
	f.up.mu.Unlock()
	require.Equal(t, "first", w.awaitLate(reply.Ticket, number(1))[0].Outcome.Facts.CallResponse)
	w.awaitStored(reply.Ticket, "done")
	require.EqualValues(t, 4, w.Status().Strange)
	require.Zero(t, w.Status().Rejected, "nobody posted anything")
	require.EqualValues(t, 1, w.Status().Fetched)
}

func TestAKeyThatIsNotConfiguredAnyMore(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	w := f.start("w1")
	q := query(number(1))
	q.Key.Name = "gone"
	reply := w.Provider().Call(t.Context(), q)
	w.Parked(reply.Ticket, []string{number(1)})
	late := w.awaitLate(reply.Ticket, number(1))[0]
	require.Equal(t, missing(), late.Outcome)
	require.Equal(t, "gone", late.Key)
	require.Zero(t, f.up.fetches.Load())
}

func TestWrongReceipts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	mine, other := w.call(number(1)), w.call(number(2))
	token := f.up.token(t, mine.Ticket)
	good := body(mine.Ticket, number(1), "ok")
	for name, c := range map[string]struct {
		token string
		body  []byte
		want  int
	}{
		"short token":       {"x", good, http.StatusNotFound},
		"unknown token":     {strings.Repeat("0", 64), good, http.StatusNotFound},
		"token of another":  {f.up.token(t, other.Ticket), good, http.StatusNotFound},
		"other's ticket":    {token, body(other.Ticket, number(2), "ok"), http.StatusNotFound},
		"no ticket":         {token, body("", number(1), "ok"), http.StatusNotFound},
		"foreign number":    {token, body(mine.Ticket, number(9), "ok"), http.StatusNotFound},
		"no number":         {token, body(mine.Ticket, "12", "ok"), http.StatusNotFound},
		"unreadable":        {token, []byte("{"), http.StatusBadRequest},
		"too large":         {token, make([]byte, maxReceipt+1), http.StatusRequestEntityTooLarge},
		"hash of the token": {hex.EncodeToString(w.index.tickets[mine.Ticket].token[:]), good, http.StatusNotFound},
	} {
		require.Equal(t, c.want, w.post(c.token, c.body), name)
	}
	require.Zero(t, w.Status().Receipts)
	require.EqualValues(t, 10, w.Status().Rejected)
	require.Equal(t, http.StatusOK, w.post(token, good))
}

func TestAttach(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	q := query(number(1), number(2))
	q.ShareGroups[1] = "other"
	reply := w.Provider().Call(t.Context(), q)
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(2), "ok")))
	require.NoError(t, w.catchUp(t.Context()))
	yes, paid := Attachment{Ticket: reply.Ticket}, Attachment{Ticket: reply.Ticket, Paid: true}
	for name, c := range map[string]struct {
		ask  Ask
		want Attachment
	}{
		"waits with":              {Ask{Number: number(1), ShareGroup: "acme"}, paid},
		"reclaimed bears it":      {Ask{Number: number(1), ShareGroup: "acme", Reclaimed: true}, yes},
		"fresh is asked":          {Ask{Number: number(1), ShareGroup: "acme", Fresh: true}, Attachment{}},
		"fresh but reclaimed":     {Ask{Number: number(1), ShareGroup: "acme", Fresh: true, Reclaimed: true}, yes},
		"another group":           {Ask{Number: number(1), ShareGroup: "other"}, Attachment{}},
		"another partition":       {Ask{Number: number(1), ShareGroup: "acme", Partition: "q"}, Attachment{}},
		"answered already":        {Ask{Number: number(2), ShareGroup: "other"}, Attachment{}},
		"answered and reclaimed":  {Ask{Number: number(2), ShareGroup: "other", Reclaimed: true}, yes},
		"a number that is nobody": {Ask{Number: number(3), ShareGroup: "acme", Reclaimed: true}, Attachment{}},
		"no number":               {Ask{Number: "x", ShareGroup: "acme"}, Attachment{}},
	} {
		if c.ask.Partition == "" {
			c.ask.Partition = "p"
		}
		got, err := w.Attach(t.Context(), []Ask{c.ask})
		require.NoError(t, err, name)
		require.Equal(t, []Attachment{c.want}, got, name)
	}
}

func TestAttachTakesTheNewest(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	var tickets []string
	for range 3 {
		reply := w.call(number(1))
		tickets = append(tickets, reply.Ticket)
		require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(1), "ok")))
		w.awaitStored(reply.Ticket, "done")
		require.NoError(t, w.catchUp(t.Context()))
	}
	ask := []Ask{{Number: number(1), Partition: "p", ShareGroup: "acme", Reclaimed: true}}
	for len(tickets) > 0 {
		newest := 0
		for i, id := range tickets {
			if id > tickets[newest] {
				newest = i
			}
		}
		got, err := w.Attach(t.Context(), ask)
		require.NoError(t, err)
		require.Equal(t, tickets[newest], got[0].Ticket)
		w.Desk.mu.Lock()
		w.index.remove(w.index.tickets[tickets[newest]])
		w.Desk.mu.Unlock()
		tickets = append(tickets[:newest], tickets[newest+1:]...)
	}
	w.Desk.mu.Lock()
	require.Empty(t, w.index.byNumber)
	require.Empty(t, w.index.older)
	require.Zero(t, w.index.outstanding)
	w.Desk.mu.Unlock()
}

func TestClosedTicketsAreClearedAway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	w, other := f.start("w1", func(d *Desk) { d.keep = 50 * time.Millisecond }), f.start("w2")
	reply := w.call(number(1))
	require.Equal(t, http.StatusOK, w.post(f.up.token(t, reply.Ticket), body(reply.Ticket, number(1), "ok")))
	w.awaitLate(reply.Ticket, number(1))
	w.awaitStored(reply.Ticket, "")
	for _, d := range []*worker{w, other} {
		d.eventually(func(s Status) bool { return s.Tickets+s.Kept == 0 })
		require.Empty(t, d.index.byNumber)
	}
	s, err := w.js.Stream(t.Context(), w.stream)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, info.State.Msgs, uint64(2), "the mark of the ticket and a catch-up, no receipts")
}

func TestALateWorkerIsToldOfAnythingKnown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	all := numbers(200)
	reply := w.call(all...)
	token := f.up.token(t, reply.Ticket)
	for _, n := range all[:150] {
		require.Equal(t, http.StatusOK, w.post(token, body(reply.Ticket, n, "ok")))
	}
	other := f.start("w2")
	other.Parked(reply.Ticket, all)
	other.awaitLate(reply.Ticket, all[:150]...)
	for _, n := range all[150:] {
		require.Equal(t, http.StatusOK, other.post(token, body(reply.Ticket, n, "ok")))
	}
	other.awaitLate(reply.Ticket, all...)
	w.awaitLate(reply.Ticket, all...)
	require.Equal(t, 200, w.delivered(reply.Ticket))
	require.Equal(t, 200, other.delivered(reply.Ticket))
}

func TestProviderPassesOnWhatImplIs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(never()))
	w := f.start("w1")
	p := w.Provider()
	limiter, ok := p.(providers.PartitionLimiter)
	require.True(t, ok)
	require.Equal(t, 5000, limiter.PartitionLimit("any"))
	validator, ok := p.(providers.OptionsValidator)
	require.True(t, ok)
	require.NoError(t, validator.ValidateOptions(nil))
	require.Error(t, validator.ValidateOptions(providers.Options{"x": 1}))
}
