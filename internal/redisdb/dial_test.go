package redisdb

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stubDialer counts attempts; it fails while down.
type stubDialer struct {
	attempts atomic.Int64
	down     atomic.Bool
	delay    time.Duration
}

var errStub = errors.New("connection refused")

func (s *stubDialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.attempts.Add(1)
	if s.delay > 0 && !wait(ctx, s.delay) {
		return nil, ctx.Err()
	}
	if s.down.Load() {
		return nil, errStub
	}
	c, _ := net.Pipe()
	return c, nil
}

// TestGateBoundsAttempts: many callers that want a connection all the time make
// a few attempts a second, each gets the reason, and a return is noticed within a second.
func TestGateBoundsAttempts(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 700 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := &stubDialer{delay: delay}
			s.down.Store(true)
			g := newGate(s.dial)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for wait(ctx, 3*time.Millisecond) {
						_, err := g.dial(ctx, "tcp", "a")
						if ctx.Err() == nil {
							require.ErrorIs(t, err, errStub)
						}
					}
				})
			}
			wg.Wait()
			// 16 may start together before the first failure is known.
			require.LessOrEqual(t, s.attempts.Load(), int64(16+25))
			require.Greater(t, s.attempts.Load(), int64(10))

			s.down.Store(false)
			require.True(t, wait(t.Context(), longestPause))
			_, err := g.dial(t.Context(), "tcp", "a")
			require.NoError(t, err)
			require.Empty(t, g.addrs)
		})
	}
}

// TestGateIsPerAddress: a dead node of a cluster does not shut out a living one.
func TestGateIsPerAddress(t *testing.T) {
	t.Parallel()
	g := newGate(func(_ context.Context, _, addr string) (net.Conn, error) {
		if addr == "dead" {
			return nil, errStub
		}
		c, _ := net.Pipe()
		return c, nil
	})
	for range 3 {
		_, err := g.dial(t.Context(), "tcp", "dead")
		require.ErrorIs(t, err, errStub)
		_, err = g.dial(t.Context(), "tcp", "alive")
		require.NoError(t, err)
	}
}
