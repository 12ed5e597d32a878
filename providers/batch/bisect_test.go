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

// TestBisectingKeepsItsBudget: one bad number in a hundred is found without
// waiting; where every second one is bad, refused calls stay within what the
// answered numbers pay for.
func TestBisectingKeepsItsBudget(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		every int // one number in so many is bad
		quick bool
	}{
		"one in a thousand": {1000, true},
		"one in a hundred":  {100, true},
		"every second":      {2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const numbers = 20_000
			d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 1000 })
			d.quick = true
			bad := map[string]bool{}
			for i := 0; i < numbers; i += tc.every {
				bad[number(i)] = true
			}
			refused := 0
			d.upstream = func(asked []string) providers.Reply {
				if slices.ContainsFunc(asked, func(n string) bool { return bad[n] }) {
					refused++
					return failure(providers.KindRefused)
				}
				return found(len(asked))
			}
			d.prove(900_000)
			begin := d.now
			d.core.add(d.now, items(0, numbers, func(it *Item[int]) { it.Last = true }))
			suspects, answered := 0, 0
			for d.now.Sub(begin) < 2*time.Minute && len(d.ends) <= numbers {
				n, _ := d.core.want(d.core.at(d.now))
				if n == 0 {
					d.now = d.now.Add(100 * time.Millisecond)
					continue
				}
				b := d.cut(n)
				before := refused
				d.answer(b)
				if b.suspect {
					suspects += refused - before
				}
				if refused == before {
					answered += len(b.units)
				}
				d.now = d.now.Add(10 * time.Millisecond)
			}
			calls := float64(len(d.calls))
			most := 125 + calls*bisectShare + float64(answered)*answeredShare + 2*60/bisectPatience.Seconds() + 1
			require.LessOrEqual(t, float64(suspects), most)
			if !tc.quick {
				require.Less(t, len(d.ends), numbers, "the fault is the provider's")
				return
			}
			require.Equal(t, numbers+1, len(d.ends)) //nolint:testifylint // Len prints all of them
			require.Less(t, d.now.Sub(begin), time.Minute)
			for w, e := range d.ends {
				require.Equal(t, !bad[number(w)], e.Verdict == Answer, "number %d", w)
			}
		})
	}
}

// An innocent number costs no attempt, and its call is no news of the provider.
func TestInnocentNumbersAreAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch, c.retry.Attempts = 10, 2 })
	d.upstream = func(asked []string) providers.Reply { // names the first of those that are bad, as some do
		r := found(len(asked))
		for i, n := range asked {
			if n >= number(20) {
				continue
			}
			for k := range r.Outcomes {
				r.Outcomes[k] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable, Innocent: true}}
			}
			r.Outcomes[i] = providers.Outcome{Kind: providers.Invalid}
			break
		}
		return r
	}
	began := d.now
	d.add(items(10, 20, nil)...)
	d.run(time.Minute)
	require.Len(t, d.ends, 20)
	for w, e := range d.ends {
		require.Equal(t, Answer, e.Verdict, "number %d", w)
		require.Equal(t, w < 20, e.Outcome.Kind == providers.Invalid, "number %d", w)
		require.Less(t, e.AnsweredAt.Sub(began), time.Second, "without backoff")
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
