package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// deferring makes the provider of a bed leave everything pending, each call
// under a ticket of its own: t1, t2 and so on.
func deferring(b *bed) {
	var calls atomic.Int64
	b.provider.latency = 0
	b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
		return taken(len(q.Numbers), "t"+strconv.FormatInt(calls.Add(1), 10))
	}
}

// lates are the same outcome for n numbers from first on.
func lates(first, n int, o providers.Outcome) []Late {
	out := make([]Late, n)
	for i := range out {
		out[i] = late(first+i, o)
	}
	return out
}

func TestLoopDeferred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []Call
		var queries []providers.Query
		parked := map[string]int{}
		b := newBed(t, func(b *bed, c *Config[int]) {
			deferring(b)
			reply := b.provider.reply
			b.provider.reply = func(ctx context.Context, q providers.Query) providers.Reply {
				mu.Lock()
				defer mu.Unlock()
				queries = append(queries, q)
				return reply(ctx, q)
			}
			c.ShareGroups = true
			c.Called = func(c Call) {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, c)
			}
			c.Parked = func(ticket string, numbers []string) {
				mu.Lock()
				defer mu.Unlock()
				parked[ticket] += len(numbers)
				if ticket == "known" {
					b.loop.Deliver(ticket, lates(500, 1, answer()))
				}
			}
		}).begin()
		b.loop.Deliver("t1", lates(1, 100, answer())) // before anyone waits: dropped
		b.loop.Deliver("t1", nil)
		b.loop.Add(items(1, 100, nil))
		b.loop.Add(items(500, 1, ticketed("known", false)))
		pass(time.Minute)
		require.Equal(t, 1, b.total(), "the receiver knew it already")
		require.Equal(t, 100, b.loop.Pending())
		require.Zero(t, b.loop.OnWire()+b.loop.Waiting(names.Bulk)+b.loop.Calls())
		require.Equal(t, 1, b.permits.seen().released, "a permit is for the call")
		require.Equal(t, 1, b.permits.seen().succeeded)
		require.Equal(t, map[string]int{"t1": 100, "known": 1}, parked)
		require.Equal(t, "p", queries[0].Partition)
		require.Equal(t, slices.Repeat([]string{"acme"}, 100), queries[0].ShareGroups)
		require.Len(t, calls, 1)
		require.Equal(t, 100, calls[0].Pending)
		require.Zero(t, calls[0].Answered)

		b.loop.Deliver("t1", lates(1, 60, answer()))
		b.loop.Deliver("t1", lates(31, 60, answer()))
		pass(time.Second)
		require.Equal(t, 91, b.count(Answer))
		require.Equal(t, 10, b.loop.Pending())
		b.end()
		require.ElementsMatch(t, []int{91, 92, 93, 94, 95, 96, 97, 98, 99, 100}, b.loop.Rest())
	})
}

func TestLoopFillsTheQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var query providers.Query
		b := newBed(t, func(b *bed, _ *Config[int]) {
			b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
				query = q
				return found(len(q.Numbers))
			}
		}).begin()
		b.loop.Add(items(1, 3, nil))
		pass(time.Second)
		b.end()
		require.Equal(t, "p", query.Partition)
		require.Nil(t, query.ShareGroups, "only for a provider with tickets")
	})
}

func TestLoopKeepsThePermitOfASubmitThatTimedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, c *Config[int]) {
			c.Timeout = time.Second
			b.provider.latency = 0
			b.provider.reply = func(ctx context.Context, _ providers.Query) providers.Reply {
				<-ctx.Done()
				return providers.Reply{Failure: &providers.Failure{Kind: providers.KindCutOff}, Ticket: "t"}
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 10, nil))
		pass(time.Hour)
		require.Equal(t, 1, b.permits.seen().abandoned)
		require.Equal(t, []int{10}, b.provider.sizes(), "never submitted again blindly")
		require.Equal(t, 10, b.loop.Pending())
		b.loop.Deliver("t", lates(1, 10, answer()))
		pass(time.Second)
		require.Equal(t, 10, b.count(Answer))
		require.Equal(t, 1, b.get(1).Attempts)
	})
}

func TestLoopHoldsLateFailuresAgainstTheKeyOnce(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		failure  providers.Failure
		together bool
		log      string
	}{
		"no balance, one by one": {providers.Failure{Kind: providers.KindNoBalance}, false, "quarantine main no_balance"},
		"forbidden, together":    {providers.Failure{Kind: providers.KindForbidden}, true, "quarantine main forbidden"},
		"throttled, one by one":  {providers.Failure{Kind: providers.KindThrottled}, false, "pause main throttled"},
		"the number's own fault": {providers.Failure{Kind: providers.KindRejected}, true, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, func(b *bed, _ *Config[int]) { deferring(b) }).begin()
				defer b.end()
				b.loop.Add(items(1, 100, nil))
				pass(time.Second)
				b.permits.set(func(p *fakePermits) {
					p.log = nil
					p.err = &WaitError{After: time.Hour, Reason: "quarantined", Stop: true}
				})
				late := lates(1, 100, providers.Outcome{Failure: &c.failure})
				if c.together {
					b.loop.Deliver("t1", late)
				}
				for i := range late {
					b.loop.Deliver("t1", late[i:i+1])
					pass(100 * time.Millisecond)
				}
				if c.log == "" {
					require.Empty(t, b.permits.seen().log)
					return
				}
				require.Equal(t, []string{c.log}, b.permits.seen().log)
				require.Zero(t, b.total())
				require.Equal(t, 100, b.loop.Waiting(names.Bulk))
			})
		})
	}
}

func TestLoopAccusesAKeyAgainIfItWasNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) {
			deferring(b)
			b.permits.pauseErr = errors.New("redis is away")
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		b.permits.set(func(p *fakePermits) { p.log = nil })
		for i := range 3 {
			b.loop.Deliver("t1", lates(1+i, 1, failing(providers.KindNoBalance)))
			synctest.Wait()
		}
		b.loop.Deliver("t1", []Late{{Number: number(9), Outcome: failing(providers.KindNoBalance)}}) // no key is named
		synctest.Wait()
		require.Equal(t, slices.Repeat([]string{"quarantine main no_balance"}, 3), b.permits.seen().log)
	})
}

func TestLoopDoesNotWaitForTickets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed, _ *Config[int]) { deferring(b) }).begin()
		b.loop.Add(items(1, 100, nil))
		pass(time.Second)
		began := time.Now()
		b.end()
		require.Zero(t, time.Since(began))
		b.loop.Deliver("t1", lates(1, 50, failing(providers.KindNoBalance)))
		b.loop.Add(items(200, 1, ticketed("t9", false)))
		require.Len(t, b.loop.Rest(), 101, "also those whose answer came too late")
		require.Zero(t, b.loop.Pending())
		b.loop.Deliver("t1", lates(1, 50, answer()))
		require.Zero(t, b.total())
		require.NotContains(t, b.permits.seen().log, "quarantine main no_balance")
	})
}

// limitedProvider has partitions that take fewer numbers.
type limitedProvider struct {
	*fakeProvider

	limits map[string]int
}

func (p limitedProvider) PartitionLimit(partition string) int { return p.limits[partition] }

func TestLoopKeepsPartitionLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sizes := map[string][]int{}
		b := newBed(t, func(b *bed, c *Config[int]) {
			c.Provider = limitedProvider{b.provider, map[string]int{"p": 1000, "one": 1, "few": 7}}
			b.provider.latency = time.Millisecond
			b.provider.reply = func(_ context.Context, q providers.Query) providers.Reply {
				mu.Lock()
				defer mu.Unlock()
				sizes[q.Partition] = append(sizes[q.Partition], len(q.Numbers))
				return found(len(q.Numbers))
			}
		}).begin()
		defer b.end()
		b.loop.Add(items(1, 200, nil))
		b.loop.Add(items(1001, 3, func(it *Item[int]) { it.Partition = "one" }))
		b.loop.Add(items(2001, 14, func(it *Item[int]) { it.Partition = "few" }))
		pass(time.Second)
		require.Equal(t, map[string][]int{"p": {100, 100}, "one": {1, 1, 1}, "few": {7, 7}}, sizes)
		require.Equal(t, 217, b.count(Answer))
	})
}

// TestLoopDeferredUnderLoad runs for real, in parallel, for the race detector.
func TestLoopDeferredUnderLoad(t *testing.T) {
	t.Parallel()
	const adders, each = 4, 2000
	all := make(chan struct{})
	var left atomic.Int64
	left.Store(adders * each)
	var receivers sync.WaitGroup
	b := newBed(t, func(b *bed, c *Config[int]) {
		deferring(b)
		c.Linger = time.Millisecond
		b.onAnswers = func(a []Answered[int]) {
			if left.Add(-int64(len(a))) == 0 {
				close(all)
			}
		}
		c.Parked = func(ticket string, numbers []string) {
			receivers.Go(func() {
				for _, n := range numbers {
					b.loop.Deliver(ticket, []Late{{Number: n, Outcome: answer()}})
					b.loop.Deliver(ticket, []Late{{Number: n, Outcome: failing(providers.KindRetryable)}})
				}
			})
		}
	}).begin()
	var adding sync.WaitGroup
	for a := range adders {
		adding.Go(func() {
			for i := range each / 50 {
				b.loop.Add(items(a*each+i*50, 50, func(it *Item[int]) {
					if it.Waiter%5 == 0 {
						it.Ticket = fmt.Sprint("other", it.Waiter%3)
					}
				}))
				b.loop.Pending()
			}
		})
	}
	adding.Wait()
	<-all
	receivers.Wait()
	b.end()
	require.Equal(t, adders*each, b.count(Answer))
	require.Empty(t, b.loop.Rest())
	require.Zero(t, b.loop.Pending())
}
