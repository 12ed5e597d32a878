package keys_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers/keys"
)

// rateLedger notes what was granted when, as the upstream would count it.
type rateLedger struct {
	late time.Duration // how much too late callers come, at most
	size func() int    // how many numbers they want

	mu      sync.Mutex
	at      []time.Time
	numbers []int
}

func (l *rateLedger) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, time.Now())
	l.numbers = append(l.numbers, n)
}

// most is the largest count of calls and numbers in any half-open window.
func (l *rateLedger) most(window time.Duration) (calls, numbers int) {
	from, sum := 0, 0
	for i := range l.at {
		sum += l.numbers[i]
		for l.at[i].Sub(l.at[from]) >= window {
			sum -= l.numbers[from]
			from++
		}
		calls, numbers = max(calls, i-from+1), max(numbers, sum)
	}
	return calls, numbers
}

// greedy takes permits as fast as the pool gives them, a bit late each time, until
// the end, and gives each back at once.
func (l *rateLedger) greedy(t *testing.T, p *keys.Pool, end time.Time) {
	t.Helper()
	for time.Now().Before(end) {
		g, err := p.Acquire(t.Context(), l.size())
		if err == nil {
			l.add(g.N)
			g.Release()
			continue
		}
		w, ok := errors.AsType[*keys.WaitError](err)
		if !ok {
			t.Errorf("%v", err)
			return
		}
		wait := w.After
		if l.late > 0 {
			wait += rand.N(l.late)
		}
		pause(t, wait)
	}
}

// run lets two pools be greedy for d, after the guard.
func (l *rateLedger) run(t *testing.T, w *world, cfg keys.Config, d time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	for range 2 {
		p := w.pool(cfg)
		mustWait(t, p, 1, keys.WaitGuard)
		wg.Go(func() { l.greedy(t, p, time.Now().Add(keys.DefaultLease+d)) })
	}
	wg.Wait()
}

// TestRequestRate: no second holds more calls than configured, and hardly fewer.
func TestRequestRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.3, 1, 3.5, 20, 80} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				gap := time.Duration(float64(time.Second) / rate)
				d := max(10*gap, 3*time.Second)
				l := &rateLedger{late: min(5*time.Millisecond, gap/4), size: func() int { return 1000 }}
				l.run(t, w, bubbleConfig(keys.Limits{}, key("a", keys.Limits{Rate: rate})), d)
				window := max(time.Second, gap)
				calls, _ := l.most(window)
				require.LessOrEqual(t, float64(calls), max(1, rate*window.Seconds()+0.999))
				if rate >= 1 && rate == float64(int(rate)) {
					require.LessOrEqual(t, float64(calls), rate, "in any second")
				}
				require.GreaterOrEqual(t, float64(len(l.at)), 0.97*rate*d.Seconds()-1)
			})
		})
	}
}

// TestNumberRate: no window holds more numbers than configured whatever the sizes
// of the grants, full batches are granted where the rate allows, and hardly
// anything is wasted.
func TestNumberRate(t *testing.T) {
	t.Parallel()
	constant := func(n int) func() int { return func() int { return n } }
	mixed := func() int { return 1 + rand.N(1000) }
	tests := []struct {
		name     string
		provider keys.Limits
		key      keys.Limits
		size     func() int
		grant    int // of each grant, 0: any
		perWin   int
	}{
		{"full batches", keys.Limits{}, keys.Limits{NumberRate: 5000}, constant(1000), 1000, 5000},
		{"batches that do not divide", keys.Limits{}, keys.Limits{NumberRate: 1500}, constant(1000), 750, 1500},
		{"mixed sizes", keys.Limits{}, keys.Limits{NumberRate: 5000}, mixed, 0, 5000},
		{"single numbers", keys.Limits{}, keys.Limits{NumberRate: 20}, constant(1), 1, 20},
		{"rate below the batch", keys.Limits{}, keys.Limits{NumberRate: 400}, constant(1000), 400, 400},
		{"by the minute", keys.Limits{}, keys.Limits{NumberRate: 50, NumberPer: 40 * time.Second}, constant(1000), 1000, 2000},
		{"few by the minute", keys.Limits{}, keys.Limits{NumberRate: 0.2, NumberPer: 30 * time.Second}, constant(1000), 6, 6},
		{"provider's", keys.Limits{NumberRate: 1000}, keys.Limits{NumberRate: 5000}, constant(1000), 1000, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				window := max(time.Second, tt.key.NumberPer)
				cfg := bubbleConfig(tt.provider, key("a", tt.key))
				cfg.MaxBatch = 1000
				l := &rateLedger{late: 3 * time.Millisecond, size: tt.size}
				l.run(t, w, cfg, 5*window)
				_, numbers := l.most(window)
				require.LessOrEqual(t, numbers, tt.perWin)
				total := 0
				for _, n := range l.numbers {
					total += n
					if tt.grant > 0 {
						require.Equal(t, tt.grant, n)
					}
				}
				want := 0.95
				if tt.grant == 0 {
					want = 0.75 // nothing is split, so the windows do not fill
				}
				// The first window counts as used: nothing is known of it.
				require.GreaterOrEqual(t, float64(total), want*float64(tt.perWin)*4)
			})
		})
	}
}

// TestNumberRateIsSpread: what a window holds does not come at its beginning at once.
func TestNumberRateIsSpread(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		l := &rateLedger{size: func() int { return 1000 }}
		l.run(t, w, bubbleConfig(keys.Limits{}, key("a", keys.Limits{NumberRate: 5000})), 3*time.Second)
		_, numbers := l.most(350 * time.Millisecond)
		require.LessOrEqual(t, numbers, 2000)
	})
}

// TestRateHints: the wait is told to the millisecond, and the reason.
func TestRateHints(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{},
			key("a", keys.Limits{Concurrency: 1, Rate: 0.5}), key("b", keys.Limits{NumberRate: 500})))
		mustAcquire(t, p, 250) // of b, which has most room
		mustAcquire(t, p, 250)
		// a is full and slow, b is due in half a second.
		w := mustWait(t, p, 250, keys.WaitNumberRate)
		require.LessOrEqual(t, w.After, 500*time.Millisecond)
		pause(t, w.After)
		require.Equal(t, "b", await(t, p, 250).Key.Name)
	})
}

func TestRefund(t *testing.T) {
	t.Parallel()
	onBoth(t, func(e env) {
		t, r := e.t, e.r
		rdb := open(t, r.URL())
		ageEpoch(t, rdb)
		p := newPool(t, rdb, config(keys.Limits{}, key("a", keys.Limits{Rate: 0.1, NumberRate: 100, NumberPer: time.Minute})))
		g := mustAcquire(t, p, 5000)
		mustWait(t, p, 1, keys.WaitNumberRate)
		g.Refund(6000) // no more than was granted
		g.Refund(1000) // once
		g.Release()
		g = mustAcquire(t, p, 4000)
		g.Refund(3900) // a part: the call was made
		w := mustWait(t, p, 5900, keys.WaitRate)
		require.Greater(t, w.After, 4*time.Second)
	})
}

// TestRefundInTime: a refund never pulls two calls together that were made, and
// what it gives back can be used at once.
func TestRefundInTime(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]keys.Limits{"rate": {Rate: 2}, "number rate": {NumberRate: 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				p, stop := bubblePool(t, w.client(), bubbleConfig(keys.Limits{}, key("a", l)))
				defer stop()
				unused := await(t, p, 500)
				await(t, p, 500)
				at := time.Now()
				unused.Refund(500) // not the last one: its turn is over
				await(t, p, 500)
				require.GreaterOrEqual(t, time.Since(at), 490*time.Millisecond)
			})
		})
	}
	t.Run("window", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(w *world) {
			t := w.test
			p, stop := bubblePool(t, w.client(), bubbleConfig(keys.Limits{}, key("a", keys.Limits{NumberRate: 1000})))
			defer stop()
			g := await(t, p, 1000)
			g.Refund(600)
			pause(t, 400*time.Millisecond)
			mustAcquire(t, p, 600)
		})
	})
}

// TestRatesSurviveLostData: what Redis forgot is taken as used.
func TestRatesSurviveLostData(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]keys.Limits{
		"rate":        {Rate: 0.05},
		"number rate": {NumberRate: 1, NumberPer: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(w *world) {
				t := w.test
				p, stop := bubblePool(t, w.client(), bubbleConfig(keys.Limits{}, key("a", l)))
				defer stop()
				await20 := func() {
					for {
						g, err := p.Acquire(t.Context(), 1000)
						if err == nil {
							g.Release()
							return
						}
						wait, ok := errors.AsType[*keys.WaitError](err)
						require.True(t, ok)
						pause(t, wait.After)
					}
				}
				await20()
				used := time.Now()
				w.mini.FlushAll()
				await20()
				require.GreaterOrEqual(t, time.Since(used), 20*time.Second)
				require.Less(t, time.Since(used), 21*time.Second)
			})
		})
	}
}

// TestLateRefund: numbers of a grant that has left the window are not given back to
// a later one that is still in it.
func TestLateRefund(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := bubbleConfig(keys.Limits{}, key("a", keys.Limits{Concurrency: 4, NumberRate: 500}))
		cfg.MaxBatch = 1000
		p := w.pool(cfg)
		pause(t, keys.DefaultLease) // the guard
		early := await(t, p, 300)
		require.Equal(t, 300, early.N)
		pause(t, 2*time.Second)
		require.Equal(t, 300, mustAcquire(t, p, 300).N)
		early.Refund(300)
		early.Release()
		pause(t, 650*time.Millisecond) // the pace allows another, the window 200 at most
		g, err := p.Acquire(t.Context(), 1000)
		require.True(t, err != nil || g.N <= 200, "%d numbers after 300 in one second", g.N)
	})
}
