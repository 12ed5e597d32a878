package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

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
	d.run(time.Minute)
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
