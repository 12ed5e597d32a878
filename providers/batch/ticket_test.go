package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// pend adds items 1 to n and leaves them pending under ticket t.
func (d *desk) pend(n int) {
	d.t.Helper()
	d.add(items(1, n, nil)...)
	d.now = d.now.Add(time.Second)
	d.resolve(d.cut(n), taken(n, "t"))
}

// again is another item for number n.
func again(n, waiter int, change func(*Item[int])) Item[int] {
	it := item(n)
	it.Waiter = waiter
	if change != nil {
		change(&it)
	}
	return it
}

func ticketed(id string, paid bool) func(*Item[int]) {
	return func(it *Item[int]) { it.Ticket, it.Paid = id, paid }
}

func noShare(it *Item[int]) { it.NoShare = true }

func TestPendingNumbersWaitForTheirTicket(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(10)
	require.Empty(t, d.ends)
	require.Equal(t, 10, d.core.pending)
	require.Zero(t, d.core.wired)
	require.Equal(t, [names.Priorities]int{}, d.core.unsent)
	news := d.core.takeNews()
	require.Len(t, news, 1)
	require.Equal(t, "t", news[0].ticket)
	require.Equal(t, d.calls[0], news[0].numbers)
	require.Empty(t, d.core.takeNews())
	d.run(24 * time.Hour)
	require.Len(t, d.calls, 1, "a pending number is not asked again")

	at := d.now.Add(-time.Second)
	l, ahead := late(3, answer()), late(4, providers.Outcome{Kind: providers.NotFound})
	l.At, ahead.At = at, d.now.Add(time.Hour)
	d.late("t", l, ahead, late(5, providers.Outcome{Kind: providers.Invalid}))
	require.Len(t, d.ends, 3)
	require.Equal(t, Answered[int]{
		Waiter: 3, Outcome: answer(), Attempts: 1, AnsweredAt: at, First: true, Key: "main",
	}, d.ends[3])
	require.Equal(t, providers.NotFound, d.ends[4].Outcome.Kind)
	require.Equal(t, d.now, d.ends[4].AnsweredAt, "no answer is from tomorrow, whatever other clocks say")
	require.Equal(t, providers.Invalid, d.ends[5].Outcome.Kind)
	d.add(again(3, 100, nil))
	require.True(t, d.ends[100].Recent, "late answers are kept like others")

	d.late("t", l, late(3, answer()), late(99, answer()), late(6, providers.Outcome{Kind: providers.Pending}))
	d.late("other", late(6, answer()))
	require.Len(t, d.ends, 4, "known, unknown, no answer, not its ticket")
	for n := range 11 {
		d.late("t", late(n, answer()))
	}
	require.Len(t, d.ends, 11)
	require.Empty(t, d.core.tickets)
	require.Zero(t, d.core.pending)
}

func TestReplyThatTakesSomeNumbers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, nil)...)
	r := taken(10, "t")
	r.Outcomes[0] = answer()
	r.Outcomes[1] = failing(providers.KindRejected)
	r.Outcomes[2] = failing(providers.KindRetryable)
	b := d.cut(10)
	d.resolve(b, r)
	require.True(t, b.part.health.proven(0), "the call succeeded")
	require.Equal(t, Answer, d.ends[1].Verdict)
	require.Equal(t, NextProvider, d.ends[2].Verdict)
	require.Equal(t, 7, d.core.pending)
	d.run(time.Second)
	require.Equal(t, []string{number(3)}, d.calls[1])
}

func TestPendingWithoutATicketIsARetry(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func(numbers []string) providers.Reply { return taken(len(numbers), "") }
	d.add(items(1, 3, nil)...)
	d.run(time.Hour)
	require.Len(t, d.calls, maxDoubtful)
	require.Equal(t, providers.KindGarbled, d.ends[2].Failure.Kind)
}

func TestCallOfWhichNobodyKnowsWhetherItWasTaken(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reply providers.Reply
		open  bool
	}{
		"timeout":        {providers.Reply{Failure: &providers.Failure{Kind: providers.KindTimeout}, Ticket: "t"}, true},
		"misconfigured":  {providers.Reply{Failure: &providers.Failure{Kind: providers.KindMisconfigured}, Ticket: "t"}, true},
		"key at fault":   {providers.Reply{Failure: &providers.Failure{Kind: providers.KindThrottled}, Ticket: "t"}, false},
		"wrong outcomes": {providers.Reply{Outcomes: taken(4, "").Outcomes, Ticket: "t"}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, nil)
			d.add(items(1, 10, nil)...)
			b := d.cut(10)
			d.resolve(b, c.reply)
			require.Equal(t, 10, d.core.pending)
			require.Equal(t, c.open, b.part.health.open)
			d.run(time.Hour)
			require.Len(t, d.calls, 1)
			for _, u := range b.units {
				require.Zero(t, u.burned+u.doubtful)
			}
			for n := 1; n <= 10; n++ {
				d.late("t", late(n, failing(providers.KindTimeout)))
			}
			require.Equal(t, uint8(1), b.units[0].burned)
			require.Equal(t, uint8(1), b.units[0].doubtful)
			d.run(time.Hour)
			require.Equal(t, Answer, d.ends[1].Verdict)
			require.Equal(t, 2, d.ends[1].Attempts)
		})
	}
}

func TestLateFailures(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		failure providers.Failure
		calls   int // until it is given up
		accused bool
	}{
		"to be asked again":     {providers.Failure{Kind: providers.KindRetryable}, 8, false},
		"with a smaller cap":    {providers.Failure{Kind: providers.KindRetryable, Tries: 2}, 2, false},
		"with a larger cap":     {providers.Failure{Kind: providers.KindRetryable, Tries: 20}, 8, false},
		"never answered":        {providers.Failure{Kind: providers.KindTimeout}, maxDoubtful, false},
		"with a cap of its own": {providers.Failure{Kind: providers.KindTimeout, Tries: 1}, 1, false},
		"rejected":              {providers.Failure{Kind: providers.KindRejected}, 1, false},
		"unsupported":           {providers.Failure{Kind: providers.KindUnsupported}, 1, false},
		"no balance":            {providers.Failure{Kind: providers.KindNoBalance, Tries: 2}, 2, true},
		"throttled":             {providers.Failure{Kind: providers.KindThrottled}, 8, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, nil)
			d.upstream = func(numbers []string) providers.Reply { return taken(len(numbers), "t") }
			d.add(items(1, 3, nil)...)
			for i := 0; len(d.ends) < 3; i++ {
				require.Less(t, i, 20)
				d.run(time.Minute)
				failed := providers.Outcome{Failure: &c.failure}
				d.late("t", late(1, failed), late(2, failed), late(3, failed))
				require.False(t, d.core.parts["p"].health.open, "no circuit is opened by what comes late")
			}
			require.Len(t, d.calls, c.calls)
			require.Equal(t, NextProvider, d.ends[2].Verdict)
			require.Same(t, &c.failure, d.ends[2].Failure)
			require.Equal(t, c.calls, d.ends[2].Attempts)
			accused := d.core.takeAccused()
			require.Equal(t, c.accused, len(accused) == 1, "once for all of them")
			require.Empty(t, d.core.takeAccused())
		})
	}
}

func TestNumbersThatFailLateComeBackTogether(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func(numbers []string) providers.Reply { return taken(len(numbers), "u") }
	for first := 1; first <= 91; first += 10 {
		d.add(items(first, 10, nil)...)
		d.resolve(d.cut(10), taken(10, "t"))
	}
	d.calls = nil
	for n := range 25 {
		d.late("t", late(4*n+1, failing(providers.KindRetryable)))
		d.run(100 * time.Millisecond)
	}
	require.Empty(t, d.calls)
	d.run(time.Minute)
	sizes := make([]int, len(d.calls))
	for i, call := range d.calls {
		sizes[i] = len(call)
	}
	require.Equal(t, []int{10, 10, 5}, sizes)
	d.late("u", late(1, failing(providers.KindRetryable)))
	d.run(time.Minute)
	require.Len(t, d.calls, 4)
}

func TestLateAnswersCloseNoCircuit(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(5)
	d.add(items(11, 10, nil)...)
	b := d.cut(10)
	d.resolve(b, failure(providers.KindMisconfigured))
	was := b.part.health
	require.True(t, was.open)
	d.late("t", late(1, answer()), late(2, failing(providers.KindUnavailable)))
	require.Equal(t, was, b.part.health)
	n, next := d.core.want(d.core.at(d.now))
	require.Zero(t, n, "what failed late waits for the probe, too")
	require.Equal(t, was.until, next)
	d.run(time.Minute)
	require.Equal(t, Answer, d.ends[2].Verdict)
}

func TestPendingNumbersAreNotHandedOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(5)
	d.core.shut(d.now, d.now.Add(time.Minute), &providers.Failure{Kind: providers.KindNoBalance})
	d.add(again(1, 101, nil), again(2, 102, noShare), again(20, 120, ticketed("u", false)))
	require.Len(t, d.ends, 1)
	require.Equal(t, providers.KindNoBalance, d.ends[102].Failure.Kind, "it wants a call of its own")
	d.late("t", late(1, answer()))
	d.late("u", late(20, answer()))
	require.True(t, d.ends[1].First)
	require.True(t, d.ends[101].Shared)
	require.True(t, d.ends[120].First)
}

func TestWaitersOfPendingNumbersThatLeave(t *testing.T) {
	t.Parallel()
	states := map[int]LiveState{}
	d := newDesk(t, func(c *coreConfig[int]) { c.live = func(w int) LiveState { return states[w] } })
	d.add(items(1, 4, func(it *Item[int]) { it.Expires = start().Add(time.Minute) })...)
	d.add(again(4, 14, nil))
	d.now = d.now.Add(time.Second)
	d.resolve(d.cut(10), taken(4, "t"))
	states[1], states[2], states[3], states[4] = StateCancelled, StateExpired, StateDropped, StateDropped
	d.now = d.now.Add(time.Hour)
	d.core.sweep(d.now)
	d.collect(d.core.take())
	verify(t, d.core)
	require.Len(t, d.ends, 2)
	require.Equal(t, Dropped, d.ends[3].Verdict)
	require.Equal(t, Dropped, d.ends[4].Verdict)
	require.Equal(t, 3, d.core.pending, "nobody waits for 3 any more")
	d.late("t", late(1, answer()), late(2, failing(providers.KindRetryable)), late(3, answer()), late(4, answer()))
	require.Equal(t, Answer, d.ends[1].Verdict, "who was asked for is answered")
	require.True(t, d.ends[14].First, "the first one left bears the cost")
	d.run(time.Minute)
	require.Equal(t, Expired, d.ends[2].Verdict, "and not asked for again")
	require.Len(t, d.calls, 1)
}

func TestRestHoldsWhatIsPending(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(3)
	d.add(again(1, 11, nil), again(2, 12, noShare), again(7, 17, ticketed("u", true)))
	require.ElementsMatch(t, []int{1, 2, 3, 11, 12, 17}, d.core.rest())
	verify(t, d.core)
	require.Empty(t, d.core.tickets)
	d.late("t", late(1, answer()))
	require.Empty(t, d.ends)
}

func TestTriesBoundWholeCalls(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.prove(1000)
	d.upstream = func([]string) providers.Reply {
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindRetryable, Tries: 2}}
	}
	d.add(item(1))
	d.run(time.Hour)
	require.Len(t, d.calls, 2)
	require.Equal(t, 2, d.ends[1].Attempts)
	require.Equal(t, NextProvider, d.ends[1].Verdict)
}
