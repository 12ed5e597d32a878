package keys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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

// backlog uses a pool as the batch loop does under backlog, with calls that take
// work: one Acquire at a time, again after what it says or after a call of its own.
func (l *useLedger) backlog(ctx context.Context, t *testing.T, who int, p *keys.Pool, work time.Duration) {
	t.Helper()
	var calls sync.WaitGroup
	defer calls.Wait()
	freed := make(chan struct{}, 1)
	for ctx.Err() == nil {
		g, err := p.Acquire(ctx, 1000)
		if err == nil {
			l.begin()
			start := time.Now()
			calls.Go(func() {
				pause(t, work)
				l.end(who, time.Since(start))
				g.Release()
				select {
				case freed <- struct{}{}:
				default:
				}
			})
			continue
		}
		w, ok := errors.AsType[*keys.WaitError](err)
		if !ok {
			if ctx.Err() == nil {
				t.Errorf("%v", err)
			}
			return
		}
		timer := time.NewTimer(w.After)
		select {
		case <-timer.C:
		case <-freed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// compete lets pools work for d, and returns the share of the permits' time in use.
func (l *useLedger) compete(t *testing.T, pools []*keys.Pool, limit int, work, d time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for i, p := range pools {
		wg.Go(func() { l.backlog(ctx, t, i, p, work) })
	}
	wg.Wait()
	total := time.Duration(0)
	for _, d := range l.busy {
		total += d
	}
	return total.Seconds() / (float64(limit) * time.Since(start).Seconds())
}

// TestUtilisation: in competition and with short calls, permits are in use for at
// least 95 % of the time. Not in parallel with the other tests of this package;
// the best of a few rounds counts, for the machine may be busy with other things.
func TestUtilisation(t *testing.T) {
	const limit, work = 4, 20 * time.Millisecond
	r := embeddedtest.RunRedis(t)
	rdb := open(t, r.URL())
	ageEpoch(t, rdb)
	cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: limit}))
	cfg.Lease, cfg.Renew = 0, 0
	pools := []*keys.Pool{newPool(t, rdb, cfg), newPool(t, open(t, r.URL()), cfg)}
	best := 0.0
	for range 5 {
		l := &useLedger{}
		use := l.compete(t, pools, limit, work, time.Second)
		t.Logf("%.1f %% in use", 100*use)
		require.LessOrEqual(t, l.highest, limit)
		if best = max(best, use); best >= 0.95 {
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
		work         time.Duration
		least        float64 // of the permits' time, for each pool
	}{
		{4, 2, 20 * time.Millisecond, 0.2},
		{4, 2, 300 * time.Millisecond, 0.2},
		{1, 2, 300 * time.Millisecond, 0.3},
		{2, 3, 50 * time.Millisecond, 0.1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d permits %d pools %v", tt.limit, tt.pools, tt.work), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: tt.limit}))
				pools := make([]*keys.Pool, tt.pools)
				for i := range pools {
					p, stop := bubblePool(t, w.client(), cfg)
					defer stop()
					pools[i] = p
				}
				pause(t, keys.DefaultRenew) // the guard
				l := &useLedger{}
				use := l.compete(t, pools, tt.limit, tt.work, 15*time.Second)
				require.Equal(t, tt.limit, l.highest)
				require.GreaterOrEqual(t, use, 0.95)
				for i := range pools {
					share := l.busy[i].Seconds() / 15 / float64(tt.limit)
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
	for name, l := range map[string]keys.Limits{
		"concurrency": {Concurrency: 4},
		"all limits":  {Concurrency: 4, Rate: 1e6, NumberRate: 1e9},
	} {
		b.Run(name, func(b *testing.B) {
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
