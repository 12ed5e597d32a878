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

func TestJoiningPendingNumbers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(1)
	d.add(again(1, 2, nil), again(1, 3, func(it *Item[int]) { it.ShareGroup, it.Tenant = "globex", "globex" }),
		again(1, 4, noShare), again(1, 5, func(it *Item[int]) { it.Priority = names.High }))
	require.Equal(t, [names.Priorities]int{0, 1, 1}, d.core.unsent, "3 and 4 want calls of their own, 5 joins 4's")
	d.late("t", late(1, answer()))
	require.Len(t, d.ends, 2)
	require.True(t, d.ends[1].First)
	require.True(t, d.ends[2].Shared)
	d.run(time.Second)
	require.Len(t, d.calls, 3)
	require.True(t, d.ends[3].First)
	require.True(t, d.ends[4].First)
	require.True(t, d.ends[5].Shared)
}

func TestTicketsThatFailBesideACallOfTheSameNumber(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(1)
	d.add(again(1, 2, noShare))
	d.now = d.now.Add(time.Second)
	b := d.cut(10)
	d.late("t", late(1, failing(providers.KindRetryable)))
	d.run(time.Minute)
	require.Len(t, d.calls, 2, "1 waits for the call that 2 wanted: it began later")
	d.answer(b)
	require.True(t, d.ends[2].First)
	require.True(t, d.ends[1].Shared)
	require.Equal(t, 1, d.ends[1].Attempts)
}

func TestCallOfItsOwnBesideAPendingNumber(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(1)
	d.add(again(1, 2, noShare))
	d.now = d.now.Add(time.Second)
	d.resolve(d.cut(10), providers.Reply{Outcomes: []providers.Outcome{failing(providers.KindRetryable)}})
	d.late("t", late(1, answer()))
	require.Contains(t, d.ends, 1)
	require.NotContains(t, d.ends, 2, "it takes no answer of a call from before it came")
	d.run(time.Minute)
	require.True(t, d.ends[2].First)
	require.Len(t, d.calls, 3)
}

func TestPendingNumberBesideARecentAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.pend(1)
	d.add(again(1, 2, noShare))
	d.run(time.Second)
	d.add(again(1, 3, nil))
	require.True(t, d.ends[3].Recent)
	d.now = d.now.Add(time.Minute)
	d.add(again(1, 4, nil))
	d.run(time.Minute)
	require.Len(t, d.calls, 2)
	d.late("t", late(1, answer()))
	require.True(t, d.ends[4].Shared)
}

func TestItemsWithTickets(t *testing.T) {
	t.Parallel()
	t.Run("of another worker", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(items(1, 3, ticketed("t", false))...)
		require.Equal(t, []parkedNews{{"t", []string{number(1), number(2), number(3)}}}, d.core.takeNews())
		d.add(again(1, 11, nil), again(1, 12, ticketed("t", true)))
		d.run(time.Hour)
		require.Empty(t, d.calls)
		d.late("t", late(1, answer()), late(2, failing(providers.KindRetryable)))
		require.True(t, d.ends[1].First)
		require.Equal(t, 1, d.ends[1].Attempts, "the other worker's call")
		require.True(t, d.ends[11].Shared)
		require.True(t, d.ends[12].Shared)
		d.run(time.Hour)
		require.Equal(t, [][]string{{number(2)}}, d.calls, "its ticket has failed")
		require.Equal(t, 2, d.ends[2].Attempts)
	})
	t.Run("whose number waits to be sent", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.prove(100)
		d.add(items(1, 10, nil)...)
		d.resolve(d.cut(10), failure(providers.KindRefused)) // bisected
		d.core.want(d.core.at(d.now))                        // their turn has come
		d.add(items(11, 3, nil)...)                          // fresh
		for n := 1; n <= 13; n++ {
			d.add(again(n, 20+n, ticketed("t", n == 7)))
			verify(t, d.core)
		}
		require.Equal(t, 13, d.core.pending)
		n, next := d.core.want(d.core.at(d.now))
		require.Zero(t, n)
		require.Equal(t, never, next)
		d.add(items(30, 10, func(it *Item[int]) { it.Waiter += 100 })...)
		n, _ = d.core.want(d.core.at(d.now))
		require.Equal(t, 10, n, "no empty group of suspects is in the way")
		d.answer(d.cut(10))
		d.run(time.Hour)
		require.Len(t, d.calls, 2)
		for n := 1; n <= 13; n++ {
			d.late("t", late(n, answer()))
			require.True(t, d.ends[n].Shared)
			require.Equal(t, n != 7, d.ends[20+n].First)
		}
	})
	t.Run("whose number waits to be sent for one who takes no other answer", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(again(1, 1, noShare), again(1, 2, ticketed("t", false)))
		d.run(time.Second)
		require.Len(t, d.calls, 1)
		require.Contains(t, d.ends, 1)
		require.NotContains(t, d.ends, 2)
		d.late("t", late(1, answer()))
		require.True(t, d.ends[2].First)
	})
	t.Run("whose number is on the wire", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(item(1), item(2))
		d.now = d.now.Add(time.Second)
		b := d.cut(10)
		d.add(again(1, 11, ticketed("t", false)), again(2, 12, ticketed("t", false)), again(2, 22, nil))
		r := found(2)
		r.Outcomes[0] = failing(providers.KindRetryable)
		d.resolve(b, r)
		require.True(t, d.ends[2].First, "the call goes on")
		require.NotContains(t, d.ends, 12)
		d.run(time.Hour)
		require.Len(t, d.calls, 1, "1 is not asked again while the ticket may answer")
		d.late("t", late(1, answer()), late(2, answer()))
		require.True(t, d.ends[11].First)
		require.True(t, d.ends[1].Shared)
		require.True(t, d.ends[22].Shared)
	})
	t.Run("whose number waits for another ticket", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.pend(2)
		d.add(again(1, 11, ticketed("u", false)), again(2, 12, ticketed("u", false)), again(1, 21, nil))
		d.late("t", late(1, failing(providers.KindRetryable)), late(2, answer()))
		d.late("u", late(2, failing(providers.KindRetryable)))
		require.True(t, d.ends[2].First)
		d.run(time.Hour)
		require.Len(t, d.calls, 2)
		require.Equal(t, []string{number(2)}, d.calls[1], "1 may still be answered")
		d.late("u", late(1, answer()))
		require.True(t, d.ends[11].First)
		require.True(t, d.ends[21].Shared)
		require.True(t, d.ends[1].Shared)
	})
	t.Run("whose number was answered a moment ago", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(item(1))
		d.run(time.Second)
		d.add(again(1, 2, ticketed("t", false)))
		require.NotContains(t, d.ends, 2)
		d.late("t", late(1, answer()))
		require.True(t, d.ends[2].First, "it bears the cost of its own ticket")
	})
}

func TestPaidElsewhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	raw := providers.Outcome{Kind: providers.Found, Cost: answer().Cost, Raw: []byte("{}")}
	all := func(it *Item[int]) { it.Ticket, it.Paid, it.Raw = "t", true, true }
	d.add(items(1, 2, all)...)
	d.add(again(1, 11, nil), again(2, 12, nil))
	d.late("t", late(1, raw), late(2, failing(providers.KindRetryable)))
	for _, w := range []int{1, 11} {
		require.True(t, d.ends[w].Shared)
		require.False(t, d.ends[w].First)
		require.Empty(t, d.ends[w].Outcome.Cost)
		require.Empty(t, d.ends[w].Outcome.Raw)
	}
	require.NotEmpty(t, raw.Raw, "what was delivered is not changed")
	require.Empty(t, d.core.recents.head.outcome.Raw)
	d.add(again(2, 22, nil))
	d.run(time.Second)
	require.True(t, d.ends[2].First, "the new call is paid for here")
	require.Equal(t, answer().Cost, d.ends[2].Outcome.Cost)
	require.True(t, d.ends[12].Shared)

	d.resolve(d.cutNew(item(3)), taken(1, "u"))
	d.add(again(3, 13, ticketed("v", true)))
	d.late("u", late(3, failing(providers.KindRetryable)))
	d.late("v", late(3, answer()))
	require.False(t, d.ends[3].First, "it waited for what another worker pays for")
	require.Empty(t, d.ends[3].Outcome.Cost)
}

// cutNew adds it and cuts its batch.
func (d *desk) cutNew(it Item[int]) *packed[int] {
	d.t.Helper()
	d.add(it)
	d.now = d.now.Add(time.Second)
	return d.cut(10)
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

func TestPartitionLimits(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"one": 1, "few": 7, "all": 5000, "wrong": 0}
	d := newDesk(t, func(c *coreConfig[int]) {
		c.maxBatch = 1000
		c.limit = func(partition string) int { return limits[partition] }
	})
	in := func(partition string) func(*Item[int]) { return func(it *Item[int]) { it.Partition = partition } }
	d.add(items(1, 3, in("one"))...)
	n, _ := d.core.want(0)
	require.Equal(t, 1, n, "no permit for more, and one is a full batch: no linger")
	d.add(items(10, 1500, in("all"))...)
	d.add(items(2000, 10, in("few"))...)
	d.add(items(3000, 2, in("wrong"))...)
	sizes := map[string][]int{}
	for {
		n, _ := d.core.want(0)
		if n == 0 {
			break
		}
		b := d.cut(1000) // more than was asked for
		sizes[b.part.name] = append(sizes[b.part.name], len(b.units))
		d.answer(b)
	}
	require.Equal(t, map[string][]int{"one": {1, 1, 1}, "all": {1000}, "few": {7}, "wrong": {1, 1}}, sizes)
	d.run(time.Second)
	require.Len(t, d.ends, 1515)

	d.upstream = func(numbers []string) providers.Reply {
		if len(numbers) > 3 {
			return failure(providers.KindTooMany)
		}
		return found(len(numbers))
	}
	d.add(items(4000, 10, in("few"))...)
	d.run(time.Second)
	require.Len(t, d.ends, 1525)
	require.Equal(t, 3, d.core.parts["few"].max)
	d.now = d.now.Add(time.Hour)
	d.core.sweep(d.now)
	require.Contains(t, d.core.parts, "few", "what was learnt is not forgotten")
	require.NotContains(t, d.core.parts, "one")
}

// A tenant whose numbers need a call each does not take the calls of others.
func TestSmallPartitionsCostTheirTenantMore(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) {
		c.maxBatch = 100
		c.limit = func(partition string) int { return map[string]int{"one": 1, "all": 100}[partition] }
	})
	d.quick = true
	d.add(items(1, 1000, func(it *Item[int]) { it.Partition = "one" })...)
	d.add(items(2000, 2000, func(it *Item[int]) { it.Partition, it.Tenant = "all", "globex" })...)
	full := 0
	for range 20 {
		b := d.cut(100)
		if len(b.units) == 100 {
			full++
		}
		d.answer(b)
	}
	require.InDelta(t, 10, full, 1, "every other call is theirs")
}
