package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/providers/keys"
)

// useLedger adds up how long permits were in use, and by whom.
type useLedger struct {
	mu      sync.Mutex
	busy    map[int]time.Duration
	now     int
	highest int
}

func (l *useLedger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	l.highest = max(l.highest, l.now)
}

func (l *useLedger) end(who int, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now--
	if l.busy == nil {
		l.busy = map[int]time.Duration{}
	}
	l.busy[who] += d
}

// permits gives a permit, or says how long to wait for one.
type permits func(ctx context.Context) (release func(), wait time.Duration, err error)

// of is a pool as permits.
func of(p *keys.Pool) permits {
	return func(ctx context.Context) (func(), time.Duration, error) {
		g, err := p.Acquire(ctx, 1000)
		if w, ok := errors.AsType[*keys.WaitError](err); ok {
			return nil, w.After, nil
		}
		return g.Release, 0, err
	}
}

// backlog uses permits as the batch loop does under backlog, with calls that take
// work: one acquire at a time, again after what it says or after a call of its own.
func (l *useLedger) backlog(ctx context.Context, t *testing.T, who int, p permits, work time.Duration) {
	t.Helper()
	var calls sync.WaitGroup
	defer calls.Wait()
	freed := make(chan struct{}, 1)
	for ctx.Err() == nil {
		release, wait, err := p(ctx)
		switch {
		case err != nil:
			if end, _ := ctx.Deadline(); time.Now().Before(end) {
				t.Errorf("%v", err)
			}
			return
		case release != nil:
			l.begin()
			start := time.Now()
			calls.Go(func() {
				pause(t, work)
				l.end(who, time.Since(start))
				release()
				select {
				case freed <- struct{}{}:
				default:
				}
			})
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-freed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// compete lets users work for d, and returns the share of the permits' time in use.
func (l *useLedger) compete(t *testing.T, users []permits, limit int, work, d time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for i, p := range users {
		wg.Go(func() { l.backlog(ctx, t, i, p, work) })
	}
	wg.Wait()
	total := time.Duration(0)
	for _, d := range l.busy {
		total += d
	}
	return total.Seconds() / (float64(limit) * time.Since(start).Seconds())
}

// minimal is a semaphore in Redis and nothing else, one trip a call: what can be
// had on this machine at this minute.
func minimal(rdb redis.UniversalClient, who string, limit int) permits {
	script := redis.NewScript(`
		if ARGV[3] ~= '' then redis.call('ZREM', KEYS[1], ARGV[3]) end
		local t = redis.call('TIME')
		local now = t[1] * 1000 + math.floor(t[2] / 1000)
		redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
		if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
		return redis.call('ZADD', KEYS[1], now + 15000, ARGV[2])`)
	over := make(chan string, limit)
	n := 0
	return func(ctx context.Context) (func(), time.Duration, error) {
		n++
		id := who + strconv.Itoa(n)
		last := ""
		select {
		case last = <-over:
		default:
		}
		got, err := script.Run(ctx, rdb, []string{"semaphore"}, limit, id, last).Int()
		if err != nil || got == 0 {
			return nil, 20 * time.Millisecond, err
		}
		return func() { over <- id }, 0, nil
	}
}

// TestUtilisation: in competition and with short calls, permits are in use for at
// least 95 % of the time, or of what a minimal semaphore reaches here and now: the
// machine may be busy with other things, for the same reason the best of a few
// rounds counts. TestFairUse shows the same without a machine in the way. Not in
// parallel with the other tests of this package.
func TestUtilisation(t *testing.T) {
	const limit, work = 4, 20 * time.Millisecond
	r := embeddedtest.RunRedis(t)
	rdb, rdb2 := open(t, r.URL()), open(t, r.URL())
	ageEpoch(t, rdb)
	cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: limit}))
	cfg.Lease, cfg.Renew = 0, 0
	pools := []permits{of(newPool(t, rdb, cfg)), of(newPool(t, rdb2, cfg))}
	best := 0.0
	for range 6 {
		plain := []permits{minimal(rdb, "a", limit), minimal(rdb2, "b", limit)}
		most := (&useLedger{}).compete(t, plain, limit, work, 700*time.Millisecond)
		require.NoError(t, rdb.Del(t.Context(), "semaphore").Err())
		l := &useLedger{}
		use := l.compete(t, pools, limit, work, 700*time.Millisecond)
		t.Logf("%.1f %% in use; minimal semaphore %.1f %%", 100*use, 100*most)
		require.LessOrEqual(t, l.highest, limit)
		if best = max(best, use, use/most); best >= 0.95 {
			break
		}
	}
	require.GreaterOrEqual(t, best, 0.95)
}

// TestFairUse: whatever the limit and the length of calls, the permits are in use,
// and no pool goes without one for long.
func TestFairUse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		limit, pools int
		work, run    time.Duration
		least        float64 // of the permits' time, for each pool
	}{
		{4, 2, 20 * time.Millisecond, 3 * time.Second, 0.1},
		{4, 2, 300 * time.Millisecond, 6 * time.Second, 0.2},
		{1, 2, 300 * time.Millisecond, 9 * time.Second, 0.3},
		{2, 3, 50 * time.Millisecond, 6 * time.Second, 0.1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d permits %d pools %v", tt.limit, tt.pools, tt.work), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: tt.limit}))
				pools := make([]permits, tt.pools)
				for i := range pools {
					pools[i] = of(w.pool(cfg))
				}
				pause(t, keys.DefaultLease) // the guard
				l := &useLedger{}
				use := l.compete(t, pools, tt.limit, tt.work, tt.run)
				require.Equal(t, tt.limit, l.highest)
				require.GreaterOrEqual(t, use, 0.95)
				for i := range pools {
					share := l.busy[i].Seconds() / tt.run.Seconds() / float64(tt.limit)
					require.GreaterOrEqual(t, share, tt.least, "pool %d of %v", i, l.busy)
				}
			})
		})
	}
}

// BenchmarkPair is one call's worth of permits: acquire and release, over a unix
// socket to a real server.
func BenchmarkPair(b *testing.B) {
	r := embeddedtest.RunRedis(b)
	rdb := open(b, r.URL())
	ageEpoch(b, rdb)
	b.Run("two pings, for comparison", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, rdb.Ping(b.Context()).Err())
			require.NoError(b, rdb.Ping(b.Context()).Err())
		}
	})
	for name, l := range map[string]keys.Limits{
		"one": {Concurrency: 4},
		"all": {Concurrency: 4, Rate: 1e6, NumberRate: 1e9},
	} {
		b.Run(name+" limits", func(b *testing.B) {
			cfg := config(keys.Limits{}, key(name, l))
			cfg.Lease, cfg.Renew, cfg.MaxBatch = 0, 0, 1000
			p := newPool(b, rdb, cfg)
			b.ReportAllocs()
			for b.Loop() {
				g := mustAcquire(b, p, 1000)
				g.Release()
			}
		})
	}
}
