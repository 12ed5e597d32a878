package batch

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// prove lets one call succeed, so that failures are held against the batch.
func (d *desk) prove(waiter int) {
	d.t.Helper()
	old := d.upstream
	d.upstream = nil
	d.add(item(waiter))
	d.run(100 * time.Millisecond)
	d.upstream = old
	d.calls = nil
}

func TestKeyFaultsUseUpNoAttempt(t *testing.T) {
	t.Parallel()
	busy := providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnavailable, RetryAfter: time.Second}}
	for _, r := range []providers.Reply{
		failure(providers.KindThrottled), failure(providers.KindUnauthorized), failure(providers.KindForbidden),
		failure(providers.KindNoBalance), busy,
	} {
		d := newDesk(t, nil)
		d.add(items(1, 10, nil)...)
		for range 50 {
			d.resolve(d.cut(10), r)
		}
		d.run(0)
		require.Len(t, d.calls, 51, "asked again at once, as often as permits come")
		require.Len(t, d.ends, 10)
		require.Equal(t, Answer, d.ends[1].Verdict)
		require.Equal(t, 51, d.ends[1].Attempts)
	}
}

func TestOnlyFailedNumbersAreRetried(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, nil)...)
	b := d.cut(10)
	r := found(10)
	r.Outcomes[3] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindMissing}}
	r.Outcomes[7] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable}}
	r.Outcomes[8] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRejected, Code: "9"}}
	r.Outcomes[9] = providers.Outcome{Kind: providers.Invalid}
	d.resolve(b, r)
	require.Len(t, d.ends, 8)
	require.Equal(t, NextProvider, d.ends[9].Verdict)
	require.Equal(t, "9", d.ends[9].Failure.Code)
	require.Equal(t, providers.Invalid, d.ends[10].Outcome.Kind)
	n, next := d.core.want(0)
	require.Zero(t, n)
	require.Equal(t, 200*time.Millisecond, next, "not before the backoff")
	d.run(time.Second)
	require.Equal(t, []string{number(4), number(8)}, d.calls[1])
	require.Equal(t, 2, d.ends[4].Attempts)
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	cases := map[providers.Kind]int{
		providers.KindRetryable: 8, providers.KindUnavailable: 8,
		providers.KindMissing: 3, providers.KindUndocumented: 3,
		providers.KindRejected: 1, providers.KindUnsupported: 1,
	}
	for kind, calls := range cases {
		d := newDesk(t, nil)
		d.upstream = func(numbers []string) providers.Reply {
			r := found(len(numbers))
			if i := slices.Index(numbers, number(5)); i >= 0 {
				r.Outcomes[i] = providers.Outcome{Failure: &providers.Failure{Kind: kind}}
			}
			return r
		}
		d.add(items(1, 10, func(it *Item[int]) { it.Last = it.Waiter == 5 })...)
		for i := 100; len(d.ends) < 10+(i-100) && i < 300; i++ { // others go on meanwhile
			d.add(item(i))
			d.run(time.Second)
		}
		require.Equal(t, GaveUp, d.ends[5].Verdict, kind.String())
		require.Equal(t, kind, d.ends[5].Failure.Kind)
		require.Equal(t, calls, d.ends[5].Attempts, kind.String())
	}
}

func TestNumberThatAccusesTheKeyAmongAnswers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(item(5))
	for i := 0; len(d.ends) == 9*i; i++ {
		d.add(items(100+10*i, 9, nil)...)
		d.now = d.now.Add(time.Minute)
		b := d.cut(10)
		r := found(10)
		j := slices.Index(asked(b), number(5))
		r.Outcomes[j] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindThrottled}}
		d.resolve(b, r)
	}
	require.Equal(t, 8, d.ends[5].Attempts)
	require.Equal(t, NextProvider, d.ends[5].Verdict)
}

func TestDoubtfulCallsAreBounded(t *testing.T) {
	t.Parallel()
	for _, kind := range []providers.Kind{
		providers.KindTimeout, providers.KindCutOff, providers.KindGarbled, providers.KindOversize,
	} {
		d := newDesk(t, nil)
		counts := map[string]int{}
		d.upstream = func(numbers []string) providers.Reply {
			for _, n := range numbers {
				counts[n]++
			}
			return failure(kind)
		}
		d.add(items(1, 30, nil)...)
		d.run(time.Hour)
		require.Len(t, d.ends, 30)
		for _, n := range counts {
			require.LessOrEqual(t, n, maxDoubtful)
		}
		for _, e := range d.ends {
			require.Equal(t, NextProvider, e.Verdict)
		}
	}
}

func TestBatchTooLarge(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func(numbers []string) providers.Reply {
		if len(numbers) > 3 {
			return failure(providers.KindTooMany)
		}
		return found(len(numbers))
	}
	d.add(items(1, 40, nil)...)
	d.run(time.Second)
	require.Len(t, d.ends, 40)
	require.Len(t, d.calls[0], 10)
	require.Len(t, d.calls[1], 5)
	for _, c := range d.calls[2:] {
		require.LessOrEqual(t, len(c), 2)
	}
	d.upstream = func([]string) providers.Reply { return failure(providers.KindTooMany) }
	d.add(item(100))
	d.run(time.Second)
	require.Equal(t, NextProvider, d.ends[100].Verdict, "one number cannot be fewer")
}

func TestOutageBurnsNothingAndHeals(t *testing.T) {
	t.Parallel()
	for _, kind := range []providers.Kind{providers.KindUnavailable, providers.KindMisconfigured} {
		d := newDesk(t, nil)
		last := func(it *Item[int]) { it.Last = true }
		d.add(items(1, 200, last)...)
		d.upstream = func([]string) providers.Reply { return failure(kind) }
		d.run(time.Hour)
		require.Empty(t, d.ends, "nobody gave up in an hour without the provider")
		require.Less(t, len(d.calls), 75, "at most a probe a minute")
		for _, c := range d.calls[1:] {
			require.Len(t, c, 1, "probes are small")
		}
		d.upstream = nil
		d.run(2 * time.Minute)
		require.Len(t, d.ends, 200)
		for _, e := range d.ends {
			require.Equal(t, Answer, e.Verdict)
		}
	}
}

func TestOutageWithinAMinuteOfSuccess(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.prove(1000)
	d.upstream = func([]string) providers.Reply { return failure(providers.KindUnavailable) }
	d.add(items(1, 200, func(it *Item[int]) { it.Last = true })...)
	d.run(10 * time.Minute)
	require.Len(t, d.ends, 1)
	require.Less(t, len(d.calls), 5+20)
	d.upstream = nil
	d.run(2 * time.Minute)
	require.Len(t, d.ends, 201)
	require.Equal(t, Answer, d.ends[7].Verdict)
}

func TestFailsOverAfterPauses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func([]string) providers.Reply { return failure(providers.KindUnavailable) }
	d.add(items(1, 50, func(it *Item[int]) { it.Last = it.Waiter > 45 })...)
	d.run(time.Minute)
	require.Len(t, d.ends, 45)
	for w, e := range d.ends {
		require.LessOrEqual(t, w, 45)
		require.Equal(t, NextProvider, e.Verdict)
		require.Equal(t, providers.KindUnavailable, e.Failure.Kind)
	}
	until, why := d.core.blockedUntil(d.core.at(d.now))
	require.Greater(t, until, d.core.at(d.now))
	require.Equal(t, "provider unavailable", why)
	d.add(items(100, 5, nil)...)
	require.Len(t, d.ends, 50, "new ones go straight on")
	d.upstream = nil
	d.run(2 * time.Minute)
	require.Equal(t, Answer, d.ends[46].Verdict)
	until, _ = d.core.blockedUntil(d.core.at(d.now))
	require.Zero(t, until)
}

func TestPausedProviderTakesOneProbeAtATime(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 40, nil)...)
	d.resolve(d.cut(10), failure(providers.KindUnavailable))
	require.Nil(t, d.cut(10))
	d.now = d.now.Add(time.Second)
	b := d.cut(10)
	require.Equal(t, []string{number(11)}, asked(b), "a fresh number, not one of those that failed")
	require.Nil(t, d.cut(10))
	d.answer(b)
	require.Len(t, d.cut(10).units, 10)
}

func TestRefusedWhileNothingSucceeds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func([]string) providers.Reply { return failure(providers.KindRefused) }
	d.add(items(1, 5, func(it *Item[int]) { it.Last = true })...)
	d.run(24 * time.Hour)
	require.Len(t, d.ends, 5, "refused alone, time and again: believed in the end")
	for _, e := range d.ends {
		require.Equal(t, GaveUp, e.Verdict)
		require.Equal(t, providers.KindRejected, e.Failure.Kind)
		require.LessOrEqual(t, e.Attempts, unitPauses)
	}
}

func TestUrgentRetriesDoNotWaitForOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 2 })
	d.add(items(1, 2, func(it *Item[int]) { it.Priority = names.Bulk })...)
	d.resolve(d.cut(2), failure(providers.KindThrottled))
	d.add(items(10, 2, func(it *Item[int]) { it.Priority = names.High })...)
	d.add(items(20, 2, func(it *Item[int]) { it.Priority = names.Bulk })...)
	require.Equal(t, number(10), asked(d.cut(2))[0])
	require.Equal(t, number(1), asked(d.cut(2))[0], "a retry goes before the fresh of its priority")
}

func TestShutHandsOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, func(it *Item[int]) { it.Last = it.Waiter > 8 })...)
	f := &providers.Failure{Kind: providers.KindUnauthorized}
	d.core.shut(d.now, d.now.Add(time.Minute), f)
	d.collect(d.core.take())
	verify(t, d.core)
	require.Len(t, d.ends, 8)
	d.add(items(20, 3, nil)...)
	require.Len(t, d.ends, 11)
	require.Same(t, f, d.ends[20].Failure)
	d.now = d.now.Add(time.Minute)
	d.add(item(30))
	require.Len(t, d.ends, 11)
	d.run(time.Second)
	require.Len(t, d.ends, 14)
}

func TestPartitionWithRetriesGoesFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, nil)...)
	b := d.cut(10)
	d.add(items(100, 30, func(it *Item[int]) { it.Partition, it.Tenant = "q", "globex" })...)
	d.resolve(b, failure(providers.KindThrottled))
	require.Equal(t, "p", d.cut(10).part.name)
}

// Where a call has one number, a refusal is that number's; five in a row are the
// provider's.
func TestRefusalsOfSingleNumbers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 1 })
	d.upstream = spoiled(providers.KindRefused, 1, 2, 3, 4, 5, 6)
	d.add(items(1, 4, nil)...)
	d.run(200 * time.Millisecond)
	require.Len(t, d.ends, 4, "at once, though nothing has ever succeeded")
	for _, e := range d.ends {
		require.Equal(t, NextProvider, e.Verdict)
		require.Equal(t, providers.KindRejected, e.Failure.Kind)
	}
	d.add(items(5, 2, func(it *Item[int]) { it.Last = true })...)
	d.run(200 * time.Millisecond)
	require.Len(t, d.ends, 4, "the fifth in a row waits")
	d.add(item(7))
	d.run(5 * time.Second)
	require.Equal(t, Answer, d.ends[7].Verdict, "a fresh number is the probe")
	require.Len(t, d.ends, 7, "and the others are believed then")
}

// A provider that calls every single request malformed is at fault, not its
// numbers one by one: they are handed on together, after a few calls.
func TestMalformedOneByOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.upstream = func(asked []string) providers.Reply {
		if len(asked) > 1 {
			return failure(providers.KindInternal)
		}
		return providers.Reply{Outcomes: []providers.Outcome{{Failure: &providers.Failure{Kind: providers.KindInternal}}}}
	}
	d.add(items(1, 50, nil)...)
	d.add(items(51, 50, func(it *Item[int]) { it.Last = true })...)
	d.run(time.Minute)
	require.Len(t, d.ends, 50)
	for w := range d.ends {
		require.LessOrEqual(t, w, 50, "nothing else can answer the others")
	}
	require.Less(t, len(d.calls), 12)
}

// A probe that brings its number's refusal and no answer tells nothing good.
func TestProbeThatIsRefusedDoesNotHeal(t *testing.T) {
	t.Parallel()
	var outcome providers.Outcome
	d := newDesk(t, nil)
	d.upstream = func(asked []string) providers.Reply {
		if len(asked) > 1 {
			return failure(providers.KindRefused)
		}
		return providers.Reply{Outcomes: []providers.Outcome{outcome}}
	}
	for _, outcome = range []providers.Outcome{
		{Failure: &providers.Failure{Kind: providers.KindRejected}}, {Kind: providers.Invalid},
	} {
		before := len(d.calls)
		d.add(items(before*1000+1, 100, func(it *Item[int]) { it.Last = true })...)
		d.run(time.Minute)
		require.Less(t, len(d.calls)-before, 12)
	}
}
