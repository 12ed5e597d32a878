package batch

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func TestOneBadNumberHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	for _, kind := range []providers.Kind{providers.KindRefused, providers.KindUnavailable, providers.KindInternal} {
		d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 1000 })
		d.prove(5000)
		d.upstream = spoiled(kind, 437)
		d.add(items(1, 3000, nil)...)
		d.run(10 * time.Minute)
		require.Len(t, d.ends, 3001, kind.String())
		for w, e := range d.ends {
			if w == 437 {
				require.Equal(t, NextProvider, e.Verdict)
				continue
			}
			require.Equal(t, Answer, e.Verdict, "%s: %d", kind, w)
		}
		require.LessOrEqual(t, len(d.calls), 3+40)
	}
}

func TestHangingNumberTakesFewWithIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 1000 })
	d.prove(5000)
	d.upstream = spoiled(providers.KindTimeout, 437)
	d.add(items(1, 3000, nil)...)
	d.run(10 * time.Minute)
	require.Len(t, d.ends, 3001)
	lost := 0
	for _, e := range d.ends {
		if e.Verdict != Answer {
			lost++
		}
	}
	require.LessOrEqual(t, lost, 1000/doubtfulWays)
}

func TestBisectingKeepsItsBudget(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 100 })
	d.quick = true
	bad := map[string]bool{}
	for i := 0; i < 60_000; i += 1500 {
		bad[number(i)] = true
	}
	d.upstream = func(numbers []string) providers.Reply {
		if slices.ContainsFunc(numbers, func(n string) bool { return bad[n] }) {
			return failure(providers.KindRefused)
		}
		return found(len(numbers))
	}
	d.prove(900_000)
	bisects, calls := 0, 0
	for first := 0; first < 60_000; first += 1000 {
		d.core.add(d.now, items(first, 1000, func(it *Item[int]) { it.Last = true }))
		for n, _ := d.core.want(d.core.at(d.now)); n > 0; n, _ = d.core.want(d.core.at(d.now)) {
			b := d.cut(n)
			calls++
			if b.suspect {
				bisects++
			}
			d.answer(b)
			d.now = d.now.Add(10 * time.Millisecond)
		}
	}
	require.Positive(t, bisects)
	require.LessOrEqual(t, float64(bisects), 0.1*float64(calls))
	d.run(24 * time.Hour)
	require.Len(t, d.ends, 60_001)
	for w, e := range d.ends {
		require.Equal(t, !bad[number(w)], e.Verdict == Answer, "number %d", w)
	}
}

func TestBisectGroupsAreNeverMergedNorTooLarge(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.prove(1000)
	d.add(items(1, 10, nil)...)
	first := d.cut(10)
	d.resolve(first, failure(providers.KindRefused))
	d.add(items(11, 10, nil)...)
	b := d.cut(3) // a partial grant splits the group of five
	require.Equal(t, []string{number(1), number(2), number(3)}, asked(b))
	require.Equal(t, []string{number(4), number(5)}, asked(d.cut(10)))
	require.Len(t, asked(d.cut(10)), 5)
	require.Equal(t, number(11), asked(d.cut(10))[0])
}

func TestSuspectsAreNotStuckBehindAnOpenCircuit(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.prove(1000)
	d.add(items(1, 20, func(it *Item[int]) { it.Last = true })...)
	first, second := d.cut(10), d.cut(10)
	d.resolve(first, failure(providers.KindRefused))
	d.resolve(second, failure(providers.KindMisconfigured))
	require.True(t, first.part.health.open)
	require.Equal(t, 10, first.part.retries)
	for _, b := range []*packed[int]{first, second} { // nothing but suspects is left
		for _, u := range b.units {
			if u.state == due {
				d.core.removeUnsent(u)
			}
		}
	}
	d.run(time.Minute)
	require.Len(t, d.ends, 11)
	require.Equal(t, Answer, d.ends[10].Verdict)
}
