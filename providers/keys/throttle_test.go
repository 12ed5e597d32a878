package keys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers/keys"
)

// everyPermit takes all permits there are and returns them.
func everyPermit(t tb, p *keys.Pool) []keys.Grant {
	t.Helper()
	var out []keys.Grant
	for {
		g, err := p.Acquire(t.Context(), 1)
		if err != nil {
			return out
		}
		out = append(out, g)
	}
}

// TestThrottledKey: calls at once are halved when the upstream says that they are
// too many, and grow back by one a quiet interval, up to the configured limit.
func TestThrottledKey(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world) {
		t := w.test
		cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 8}), key("b", keys.Limits{Concurrency: 2}))
		p, stop := bubblePool(t, w.client(), cfg)
		defer stop()
		pause(t, cfg.Lease) // the guard
		// round fills all permits, has key a throttled as often as it has calls if it
		// is to be, and tells how many calls a had.
		round := func(throttle bool) (calls int) {
			all := everyPermit(t, p)
			for _, g := range all {
				if g.Key.Name == "a" {
					calls++
					if throttle {
						require.NoError(t, p.Pause(t.Context(), "a", time.Second, "throttled"))
					}
				}
			}
			for _, g := range all {
				g.Release()
			}
			return calls
		}
		for _, want := range []int{8, 4, 2, 1, 1} {
			require.Equal(t, want, round(true), "halved once, not by each call")
			pause(t, 2*time.Second)
			all, err := p.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, max(1, want/2), all[1].Limit, "as Status tells")
			require.Equal(t, 2, all[2].Limit, "the other key has nothing to do with it")
		}
		pause(t, 8*time.Second)
		require.Equal(t, 2, round(false), "one more after ten quiet seconds")
		pause(t, 40*time.Second)
		require.Equal(t, 6, round(false))
		pause(t, 10*time.Minute)
		require.Equal(t, 8, round(false), "never above the configured limit")
	})
}
