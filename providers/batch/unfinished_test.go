package batch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// notYet is the reply of a call that did its part.
func notYet(after time.Duration) providers.Reply {
	return providers.Reply{Failure: &providers.Failure{Kind: providers.KindRetryable, Innocent: true, RetryAfter: after}}
}

// A call that only did its part is nobody's fault, however often that happens.
func TestUnfinishedCallsCostNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.retry.Attempts = 2 })
	left := 300
	d.upstream = func(asked []string) providers.Reply {
		left--
		if left > 0 {
			return notYet(0)
		}
		return found(len(asked))
	}
	began := d.now
	d.add(items(1, 10, nil)...)
	d.run(time.Minute)
	require.Len(t, d.calls, 300)
	require.Len(t, d.ends, 10)
	for w, e := range d.ends {
		require.Equal(t, Answer, e.Verdict, "number %d", w)
		require.Equal(t, 1, e.Attempts, "it was asked once")
		require.Less(t, e.AnsweredAt.Sub(began), time.Second, "without backoff")
	}
}

// A call that had nothing to send leaves the partition alone until it may have.
func TestIdleCallsAreNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	began := d.now
	d.upstream = func(asked []string) providers.Reply {
		if asked[0] < number(100) && d.now.Sub(began) < 400*time.Millisecond {
			return notYet(250 * time.Millisecond)
		}
		return found(len(asked))
	}
	d.add(items(1, 30, nil)...)
	d.add(items(101, 10, func(it *Item[int]) { it.Partition = "q" })...)
	d.run(time.Minute)
	require.Len(t, d.calls, 1+1+1+3, "30 numbers: at 0 and 250 ms, and then all; the other partition at once")
	require.Len(t, d.ends, 40)
	require.Equal(t, began, d.ends[101].AnsweredAt)
	require.Equal(t, began.Add(500*time.Millisecond), d.ends[1].AnsweredAt)
}

// While one partition's calls are unfinished, every other call is the others'.
func TestUnfinishedCallsTakeTurns(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	done := false
	d.upstream = func(asked []string) providers.Reply {
		if asked[0] < number(100) && !done {
			return notYet(0)
		}
		return found(len(asked))
	}
	d.add(items(1, 10, nil)...)
	d.add(items(101, 50, func(it *Item[int]) { it.Partition = "q" })...)
	for range 11 {
		d.answer(d.cut(10))
	}
	others := 0
	for _, c := range d.calls {
		if c[0] > number(100) {
			others++
		}
	}
	require.Equal(t, 5, others)
	done = true
	d.run(time.Minute)
	require.Len(t, d.ends, 60)
}

// An open circuit is closed by a probe that did its part, and not by an idle one.
func TestUnfinishedProbes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 10, nil)...)
	d.resolve(d.cut(10), failure(providers.KindMisconfigured))
	d.now = d.now.Add(2 * time.Second)
	b := d.cut(10)
	require.True(t, b.probe)
	d.resolve(b, notYet(time.Millisecond))
	require.True(t, b.part.health.open)
	d.now = d.now.Add(time.Second)
	b = d.cut(10)
	require.True(t, b.probe)
	d.resolve(b, notYet(0))
	require.False(t, b.part.health.open)
	d.run(time.Second)
	require.Len(t, d.ends, 10)
}

// Numbers that fail, innocent ones among them, are no unfinished call.
func TestInnocentOutcomesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.retry.Attempts = 3 })
	d.upstream = func(asked []string) providers.Reply {
		r := found(len(asked))
		for i := range r.Outcomes {
			r.Outcomes[i] = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable, Innocent: i == 0}}
		}
		return r
	}
	d.add(items(1, 5, nil)...)
	d.run(time.Hour)
	require.Len(t, d.ends, 5)
	require.Less(t, len(d.calls), 100)
}

func TestLoopUnfinishedCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replies := []providers.Reply{notYet(0), notYet(250 * time.Millisecond), notYet(0)}
		var mu sync.Mutex
		var failures []*providers.Failure
		b := newBed(t, func(b *bed, c *Config[int]) {
			b.provider.latency = 0
			b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
				if len(replies) == 0 {
					return found(len(q.Numbers))
				}
				r := replies[0]
				replies = replies[1:]
				return r
			}
			c.Called = func(x Call) {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, x.Failure)
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		require.Equal(t, 100, b.count(Answer))
		seen := b.permits.seen()
		require.Equal(t, []string{"release", "release", "release", "release"}, seen.log, "no pause, no quarantine")
		require.Equal(t, []int{100}, seen.refunds, "the one that sent nothing was no call")
		require.Equal(t, 3, seen.succeeded)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, make([]*providers.Failure, 4), failures)
	})
}

func TestLoopSlowsAKeyDown(t *testing.T) {
	t.Parallel()
	slowly := func(r providers.Reply, d time.Duration) providers.Reply {
		r.SlowDown = d
		return r
	}
	tests := map[string]struct {
		reply providers.Reply
		want  []string
		pause []time.Duration
	}{
		"not at all":         {slowly(found(10), 0), nil, nil},
		"senseless":          {slowly(found(10), -time.Second), nil, nil},
		"a while":            {slowly(found(10), time.Second), []string{"pause main slow_down"}, []time.Duration{time.Second}},
		"a long while":       {slowly(found(10), time.Hour), []string{"pause main slow_down"}, []time.Duration{longestSlowDown}},
		"unfinished":         {slowly(notYet(0), time.Second), []string{"pause main slow_down"}, []time.Duration{time.Second}},
		"others' fault":      {slowly(failure(providers.KindUnavailable), time.Second), []string{"pause main slow_down"}, []time.Duration{time.Second}},
		"the key's fault":    {slowly(failure(providers.KindThrottled), time.Second), []string{"pause main throttled"}, []time.Duration{200 * time.Millisecond}},
		"the key's for good": {slowly(failure(providers.KindUnauthorized), time.Second), []string{"quarantine main unauthorized"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := true
				b := newBed(t, func(b *bed, _ *Config[int]) {
					b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
						if first {
							first = false
							return tt.reply
						}
						return found(len(q.Numbers))
					}
				}).begin()
				defer b.end()
				b.loop.Add(items(1, 10, nil))
				pass(20 * time.Second)
				require.Equal(t, 10, b.count(Answer))
				seen := b.permits.seen()
				require.Equal(t, append(tt.want, "release"), seen.log[:len(tt.want)+1], "before the permit is free")
				require.Equal(t, tt.pause, seen.pauses)
			})
		})
	}
	t.Run("not stored", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, func(b *bed, _ *Config[int]) {
				b.permits.pauseErr = errors.New("redis is away")
				b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
					return slowly(found(len(q.Numbers)), 2*time.Second)
				}
			}).begin()
			defer b.end()
			b.loop.Add(items(1, 200, nil))
			pass(time.Second)
			calls := len(b.provider.sizes())
			pass(time.Second)
			require.Len(t, b.provider.sizes(), calls, "it waits by itself")
			pass(2 * time.Second)
			require.Equal(t, 200, b.count(Answer))
		})
	})
}
