package budget

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tb is what helpers need of a test, be it *testing.T or *rapid.T.
type tb interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// world is a Redis with its clock in the test's hand, and what the results cost.
type world struct {
	t    tb
	mini *miniredis.Miniredis
	now  time.Time

	mu      sync.Mutex
	results map[string]int64
	last    map[string]Mark
	err     error // of learning
}

// newWorld starts a Redis; the caller closes it.
func newWorld(t tb) *world {
	t.Helper()
	w := &world{t: t, mini: miniredis.NewMiniRedis(), now: time.Unix(1_700_000_000, 0), results: map[string]int64{}, last: map[string]Mark{}}
	require.NoError(t, w.mini.Start())
	w.mini.SetTime(w.now)
	return w
}

// inWorld is newWorld for a plain test.
func inWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	t.Cleanup(w.mini.Close)
	return w
}

func (w *world) sleep(d time.Duration) {
	w.now = w.now.Add(d)
	w.mini.SetTime(w.now)
}

// past is what the results say.
func (w *world) past(_ context.Context, id string) (Past, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Past{Results: w.results[id], Last: w.last[id]}, w.err
}

func (w *world) store(id string, amount int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results[id] += amount
}

// client is a ledger and its way to Redis, which may lose answers.
type client struct {
	*Ledger
	t    tb
	rdb  redis.UniversalClient
	deaf atomic.Bool // what it sends is done, but no answer comes
	cut  atomic.Bool
}

var errTest = errors.New("connection lost")

// DialHook implements redis.Hook.
func (c *client) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (c *client) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (c *client) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.cut.Load() {
			cmd.SetErr(errTest)
			return errTest
		}
		err := next(ctx, cmd)
		if c.deaf.Load() && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			cmd.SetErr(errTest)
			return errTest
		}
		return err
	}
}

// ledger makes a ledger that is not run: the test flushes it.
func (w *world) ledger() *client {
	c := &client{t: w.t, rdb: redis.NewClient(&redis.Options{
		Addr: w.mini.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
	c.rdb.AddHook(c)
	l, err := New(c.rdb, Config{Prefix: "lookup", WorkerID: "w", Learn: w.past})
	require.NoError(w.t, err)
	c.Ledger = l
	return c
}

// open is ledger for a plain test.
func (w *world) open(t *testing.T) *client {
	t.Helper()
	c := w.ledger()
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.tasks.Wait()
	_ = c.rdb.Close()
}

// reserve reserves, and waits for what has to be learned.
func (c *client) reserve(wants ...Want) ([]Grant, error) {
	for {
		got, err := c.Reserve(c.t.Context(), wants)
		var w *WaitError
		if errors.As(err, &w) && w.Reason == "learning" {
			c.startLearning(c.t.Context())
			c.tasks.Wait()
			continue
		}
		return got, err
	}
}

// must is reserve for one purse, where an answer is due.
func (c *client) must(w Want) Grant {
	c.t.Helper()
	got, err := c.reserve(w)
	require.NoError(c.t, err)
	return got[0]
}

// waits asserts that nothing is granted now, for that reason.
func (c *client) waits(w Want, reason string) {
	c.t.Helper()
	_, err := c.reserve(w)
	var wait *WaitError
	require.ErrorAs(c.t, err, &wait)
	require.Equal(c.t, reason, wait.Reason)
}

// settle settles and tells Redis.
func (c *client) settle(entries ...Entry) {
	c.t.Helper()
	c.Settle(entries...)
	require.NoError(c.t, c.Flush(c.t.Context()))
}

// spent is what Redis says.
func (c *client) spent(id string) int64 {
	c.t.Helper()
	require.NoError(c.t, c.Look(c.t.Context(), id))
	m, _ := c.Spent(id)
	return m.Spent
}
