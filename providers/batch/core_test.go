package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

func TestLinger(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 3, nil)...)
	n, next := d.core.want(0)
	require.Zero(t, n)
	require.Equal(t, 100*time.Millisecond, next)

	d.now = start().Add(50 * time.Millisecond)
	d.add(items(4, 6, nil)...)
	n, _ = d.core.want(d.core.at(d.now))
	require.Zero(t, n, "nine of ten, and the oldest has waited half the linger")
	d.add(item(10))
	n, _ = d.core.want(d.core.at(d.now))
	require.Equal(t, 10, n, "a full batch does not wait")

	d.answer(d.cut(4))
	n, _ = d.core.want(d.core.at(d.now))
	require.Zero(t, n, "what a partial grant left waits its time")
	d.run(time.Second)
	require.Len(t, d.calls, 2)
	require.Len(t, d.ends, 10)
}

func TestOldestIsFoundAgainAfterACut(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, nil)...)
	d.now = start().Add(60 * time.Millisecond)
	d.add(items(11, 5, nil)...)
	d.answer(d.cut(10))
	n, next := d.core.want(d.core.at(d.now))
	require.Zero(t, n)
	require.Equal(t, 160*time.Millisecond, next)
}

func TestJoin(t *testing.T) {
	t.Parallel()
	same := func(waiter int, change func(*Item[int])) Item[int] {
		it := item(1)
		it.Waiter = waiter
		if change != nil {
			change(&it)
		}
		return it
	}
	noShare := func(it *Item[int]) { it.NoShare = true }

	t.Run("waiting", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(same(1, nil), same(2, noShare), same(3, func(it *Item[int]) { it.Campaign = "other" }))
		d.run(time.Second)
		require.Len(t, d.calls, 1)
		require.Len(t, d.calls[0], 1)
		require.True(t, d.ends[1].First)
		require.Equal(t, "0.002", d.ends[1].Outcome.Cost.Amount)
		for _, w := range []int{2, 3} {
			require.True(t, d.ends[w].Shared)
			require.False(t, d.ends[w].First)
			require.Empty(t, d.ends[w].Outcome.Cost)
			require.Equal(t, Answer, d.ends[w].Verdict)
		}
	})
	t.Run("on the wire", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(same(1, nil))
		d.now = d.now.Add(time.Second)
		b := d.cut(10)
		d.add(same(2, nil), same(3, noShare), same(4, nil))
		require.Equal(t, 1, d.core.unsent[names.Normal], "3 asks for a call of its own, 4 joins it")
		d.answer(b)
		require.Len(t, d.ends, 2)
		d.run(time.Second)
		require.Len(t, d.calls, 2)
		require.True(t, d.ends[3].First)
		require.True(t, d.ends[4].Shared)
	})
	t.Run("other groups ask for themselves, in another batch", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(same(1, nil), same(2, func(it *Item[int]) { it.Tenant, it.ShareGroup = "globex", "globex" }))
		d.add(items(3, 5, nil)...)
		d.run(time.Second)
		require.Len(t, d.calls, 2)
		require.Len(t, d.calls[0], 6)
		require.Len(t, d.calls[1], 1)
		require.True(t, d.ends[1].First)
		require.True(t, d.ends[2].First)
	})
	t.Run("a failed call goes to those who asked anew", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil)
		d.add(same(1, nil))
		d.now = d.now.Add(time.Second)
		b := d.cut(10)
		d.add(same(2, noShare))
		d.resolve(b, failure(providers.KindThrottled))
		d.run(time.Second)
		require.Len(t, d.calls, 2, "asked once more, for both")
		require.Len(t, d.ends, 2)
	})
}

func TestRecentAnswers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.recentCount = 20 })
	d.add(items(1, 10, nil)...)
	d.run(time.Second) // answered at 0 s
	ask := func(waiter int, change func(*Item[int])) {
		it := item(1)
		it.Waiter = waiter
		if change != nil {
			change(&it)
		}
		d.add(it)
	}
	ask(100, nil)
	require.True(t, d.ends[100].Recent)
	require.Equal(t, Answer, d.ends[100].Verdict)
	require.Empty(t, d.ends[100].Outcome.Cost)
	require.Equal(t, start().UnixNano(), d.ends[100].AnsweredAt.UnixNano())

	ask(101, func(it *Item[int]) { it.ShareGroup = "globex" })
	ask(102, func(it *Item[int]) { it.MaxAge = 500 * time.Millisecond })
	require.NotContains(t, d.ends, 101)
	require.NotContains(t, d.ends, 102)
	ask(103, func(it *Item[int]) { it.NoShare = true })
	d.run(time.Second)
	require.True(t, d.ends[101].First)
	require.True(t, d.ends[102].First)
	require.True(t, d.ends[103].Shared, "102 was waiting to be sent")

	d.add(items(11, 30, nil)...)
	d.run(time.Second)
	verify(t, d.core)
	ask(104, nil)
	require.NotContains(t, d.ends, 104, "pushed out by newer ones")
	d.run(time.Second)

	d.now = d.now.Add(11 * time.Second)
	d.core.sweep(d.now)
	require.Zero(t, d.core.recents.n)
	d.now = d.now.Add(2 * time.Minute)
	d.core.sweep(d.now)
	require.Empty(t, d.core.parts, "nothing is left of it")
	require.Empty(t, d.core.books[names.Normal].accounts)
}

func TestRawGoesToTheFirstOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func(numbers []string) providers.Reply {
		r := found(len(numbers))
		for i := range r.Outcomes {
			r.Outcomes[i].Raw = []byte("{}")
		}
		return r
	}
	raw := func(it *Item[int]) { it.Raw = true }
	again := item(1)
	again.Waiter, again.Raw = 3, true
	d.add(items(1, 1, raw)...)
	d.add(item(2), again)
	d.now = d.now.Add(time.Second)
	b := d.cut(10)
	require.True(t, b.raw)
	d.answer(b)
	require.NotEmpty(t, d.ends[1].Outcome.Raw)
	require.Empty(t, d.ends[2].Outcome.Raw)
	require.Empty(t, d.ends[3].Outcome.Raw)
	require.Empty(t, d.core.recents.head.outcome.Raw, "raw objects are not kept")
}

func TestPriority(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 2 })
	prio := func(p names.Priority) func(*Item[int]) { return func(it *Item[int]) { it.Priority = p } }
	d.add(items(100, 20, prio(names.Bulk))...)
	d.add(items(200, 20, prio(names.Normal))...)
	d.add(items(300, 3, prio(names.High))...)
	d.run(time.Second)
	var order []names.Priority
	for _, call := range d.calls {
		for _, n := range call {
			order = append(order, names.Priority(n[len(n)-3]-'1'))
		}
	}
	want := []names.Priority{names.High, names.High, names.High}
	for len(want) < 18 {
		want = append(want, names.Normal)
	}
	want = append(want, names.Bulk, names.Bulk) // the tenth batch
	require.Equal(t, want, order[:20])
	require.Len(t, d.ends, 43)
}

func TestRaisedByAMoreUrgentOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 2 })
	d.add(items(1, 20, func(it *Item[int]) { it.Priority = names.Bulk })...)
	it := item(15)
	it.Waiter, it.Priority, it.Campaign = 99, names.High, "urgent"
	d.add(it)
	verify(t, d.core)
	require.Equal(t, [names.Priorities]int{19, 0, 1}, d.core.unsent)
	require.Contains(t, asked(d.cut(2)), number(15))
}

func TestDeadWaitersLeave(t *testing.T) {
	t.Parallel()
	states := map[int]LiveState{1: StateCancelled, 2: StateExpired, 3: StateDropped}
	build := func(t *testing.T) *desk {
		t.Helper()
		d := newDesk(t, func(c *coreConfig[int]) {
			c.live = func(w int) LiveState { return states[w] }
		})
		d.add(items(1, 6, func(it *Item[int]) {
			if it.Waiter == 4 {
				it.Expires = start().Add(time.Second)
			}
		})...)
		joined := item(1)
		joined.Waiter = 10
		d.add(joined)
		d.now = start().Add(time.Second)
		return d
	}
	check := func(t *testing.T, d *desk) {
		t.Helper()
		require.Equal(t, Cancelled, d.ends[1].Verdict)
		require.Equal(t, Expired, d.ends[2].Verdict)
		require.Equal(t, Dropped, d.ends[3].Verdict)
		require.Equal(t, Expired, d.ends[4].Verdict)
		verify(t, d.core)
	}
	t.Run("at the cut", func(t *testing.T) {
		t.Parallel()
		d := build(t)
		b := d.cut(10)
		check(t, d)
		require.Equal(t, []string{number(1), number(5), number(6)}, asked(b))
		d.answer(b)
		require.True(t, d.ends[10].First, "the first live waiter bears the cost")
	})
	t.Run("in the sweep", func(t *testing.T) {
		t.Parallel()
		d := build(t)
		d.core.sweep(d.now)
		d.collect(d.core.take())
		check(t, d)
		require.Len(t, d.ends, 4)
	})
	t.Run("all of them", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, func(c *coreConfig[int]) { c.live = func(int) LiveState { return StateCancelled } })
		d.add(items(1, 30, nil)...)
		require.Nil(t, d.cut(10))
		require.Len(t, d.ends, 30)
	})
}

func TestPartitionsDoNotMix(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 7, func(it *Item[int]) {
		if it.Waiter%2 == 0 {
			it.Partition, it.Options = "q", providers.Options{"check_level": 5}
		}
	})...)
	d.now = start().Add(time.Second)
	a, b := d.cut(10), d.cut(10)
	require.ElementsMatch(t, []int{4, 3}, []int{len(a.units), len(b.units)})
	require.NotEqual(t, a.part.options, b.part.options)
}

func TestRestHoldsEverythingUnsent(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 35, nil)...)
	b1, b2, b3 := d.cut(10), d.cut(10), d.cut(10)
	d.answer(b1)
	d.resolve(b2, failure(providers.KindUnavailable)) // parked
	d.resolve(b3, failure(providers.KindThrottled))   // due
	rest := d.core.rest()
	require.Len(t, rest, 25)
	verify(t, d.core)
	require.Equal(t, [names.Priorities]int{}, d.core.unsent)
}
