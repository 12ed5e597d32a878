package tickets

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// brittle is an upstream whose reading of what contains "boom" panics.
type brittle struct{ *upstream }

func (b brittle) Receipt(body []byte, raw bool) (providers.Receipt, error) {
	if strings.Contains(string(body), "boom") {
		panic(string(body))
	}
	return b.upstream.Receipt(body, raw)
}

func TestAPanicInSubmitIsALostReply(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	f.up.setScript(func(context.Context, providers.Query, string) providers.Reply { panic("+8613800000001") })
	w := f.start("w1")
	reply := w.call(number(1))
	require.Equal(t, providers.KindGarbled, reply.Failure.Kind)
	require.NotEmpty(t, reply.Ticket)
	f.up.answer(reply.Ticket, number(1))
	require.Equal(t, providers.Found, w.awaitLate(reply.Ticket, number(1))[0].Outcome.Kind)
	w.awaitStored(reply.Ticket, "done")
	require.EqualValues(t, 1, w.Status().Panics)
	require.Contains(t, w.logs.text(), `"panic":"string"`)
	require.NotContains(t, w.logs.text(), "8613800000001")
}

func TestHostileReceipts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	w := f.start("w1", func(d *Desk) { d.cfg.Impl = brittle{f.up} })
	reply := w.call(number(1), number(2))
	token := f.up.token(t, reply.Ticket)
	for range 3 {
		require.Equal(t, http.StatusBadRequest, w.post(token, []byte("boom")))
	}
	// One that another program took, and an entry of a page.
	_, err := w.js.Publish(t.Context(), w.prefix+reply.Ticket+".0", []byte("boom"))
	require.NoError(t, err)
	require.Equal(t, providers.KindGarbled, w.awaitLate(reply.Ticket, number(1))[0].Outcome.Failure.Kind)
	f.up.mu.Lock()
	f.up.answers[reply.Ticket] = [][]byte{[]byte("boom"), body("", number(2), "ok")}
	f.up.mu.Unlock()
	require.Equal(t, providers.Found, w.awaitLate(reply.Ticket, number(2))[0].Outcome.Kind)
	require.GreaterOrEqual(t, w.Status().Panics, uint64(5))
	require.Equal(t, 1, strings.Count(w.logs.text(), "please report"), "once, whatever strangers send")
}

func TestAPanicInAQuestion(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.pace.GiveUpAfter = time.Hour
	var asked atomic.Int32
	f.up.pages = func(fetch providers.Fetch) providers.Page {
		if asked.Add(1) == 1 {
			panic("boom")
		}
		return providers.Page{Known: true, Entries: f.up.answers[fetch.Ticket]}
	}
	w := f.start("w1")
	reply := w.call(number(1))
	f.up.answer(reply.Ticket, number(1))
	require.Equal(t, providers.Found, w.awaitLate(reply.Ticket, number(1))[0].Outcome.Kind)
	require.Contains(t, w.logs.text(), "cannot be asked")
	require.Contains(t, w.logs.text(), "questions about batches again")
}

// TestACallOfAWorkerThatStoodStill: SIGSTOP stops the timers of contexts too.
func TestACallOfAWorkerThatStoodStill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Desk)
		want   string
	}{
		"its time is up": {func(d *Desk) { d.cfg.Now = func() time.Time { return time.Now().Add(time.Minute) } }, "the time was up"},
		"or by the wall": {func(d *Desk) { d.cfg.Now = func() time.Time { return time.Now().Round(0).Add(time.Minute) } }, "the time was up"},
		"it is not sure": {func(d *Desk) { d.cfg.Sure = func() bool { return false } }, "the worker may have lost its jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, newUpstream(never()))
			w := f.start("w1", c.change)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			reply := w.Provider().Call(ctx, query(number(1)))
			require.Equal(t, notSent(c.want), reply.Failure)
			require.Zero(t, f.up.submits.Load())
			w.eventually(func(s Status) bool { return s.Tickets+s.Outstanding == 0 })
		})
	}
}

// TestAnswersBehindACursor: of a batch whose reply was lost, which the upstream
// files elsewhere than it is looked for first.
func TestAnswersBehindACursor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.setScript(loseReply)
	f.up.pages = func(fetch providers.Fetch) providers.Page {
		switch fetch.Cursor {
		case "":
			if fetch.Page > 1 {
				return providers.Page{}
			}
			return providers.Page{More: true, Next: "second day"}
		case "second day":
			return providers.Page{Known: true, Entries: f.up.answers[fetch.Ticket]}
		}
		return providers.Page{Failure: &providers.Failure{Kind: providers.KindInternal, Message: fmt.Sprintf("cursor %q", fetch.Cursor)}}
	}
	w := f.start("w1")
	reply := w.call(number(1))
	f.up.answer(reply.Ticket, number(1))
	require.Equal(t, providers.Found, w.awaitLate(reply.Ticket, number(1))[0].Outcome.Kind)
	w.awaitStored(reply.Ticket, "done")
}

// TestPagesWithoutEnd prove nothing: neither that a batch was never taken, nor that
// there are no more answers.
func TestPagesWithoutEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newUpstream(quick()))
	f.up.setScript(loseReply)
	f.up.pages = func(providers.Fetch) providers.Page { return providers.Page{More: true, Next: "more"} }
	w := f.start("w1")
	began := time.Now()
	reply := w.call(number(1))
	require.Equal(t, missing(), w.awaitLate(reply.Ticket, number(1))[0].Outcome)
	require.GreaterOrEqual(t, time.Since(began), 3900*time.Millisecond, "ten times the time to give up")
	require.Equal(t, "done", w.stored(reply.Ticket))
}
