package confirm

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(tb testing.TB, s *embeddedtest.NATS) (*nats.Conn, jetstream.JetStream) {
	tb.Helper()
	nc := s.Connect()
	js, err := jetstream.New(nc)
	require.NoError(tb, err)
	return nc, js
}

func newConfirmer(tb testing.TB, nc *nats.Conn, opt Options) *Confirmer {
	tb.Helper()
	c, err := New(nc, opt)
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return c
}

// results collects what done was called with.
type results[T any] chan T

func (r results[T]) next(tb testing.TB) T {
	tb.Helper()
	select {
	case v := <-r:
		return v
	case <-time.After(15 * time.Second):
		require.FailNow(tb, "done was not called")
		panic("unreachable")
	}
}
