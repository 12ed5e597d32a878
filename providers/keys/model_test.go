package keys_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/providers/keys"
)

// wireCall is one call as the upstream sees it.
type wireCall struct {
	pool  int
	key   string
	grant keys.Grant
	at    time.Time
	used  int // numbers
	// until is when the upstream stops working on a call that was abandoned, or whose
	// worker died; zero while the call is held.
	until time.Time
}

// model runs a fleet of pools and an independent ledger of what they do.
type model struct {
	t     *rapid.T
	w     *world
	cfg   keys.Config
	pools []*worker

	onWire []*wireCall // held, or left to the upstream
	made   []*wireCall // all calls that were not refunded, for the rates
	// ghosts are permits that nobody uses but Redis may still count, by their end.
	ghosts []ghost
	// paused is until when at least a key is, resting until when at most.
	paused  map[string]time.Time
	resting map[string]time.Time
	down    bool
	named   bool // the server says who it is
}

// worker is one process of the fleet.
type worker struct {
	p       *keys.Pool
	c       *client
	stop    func()
	cut     bool
	broken  time.Time // last time its connections broke: what it has to tell may be late
	refused time.Time // last time it was told to wait for concurrency
}

// ghost is a permit of a dead or deaf holder.
type ghost struct {
	key string
	end time.Time
}

func newModel(t *rapid.T) *model {
	t.Helper()
	m := &model{t: t, w: newWorld(t), paused: map[string]time.Time{}, resting: map[string]time.Time{}}
	if m.named = rapid.Bool().Draw(t, "named"); m.named {
		m.w.named()
	}
	limits := func(name string) keys.Limits {
		return keys.Limits{
			Concurrency: rapid.IntRange(1, 3).Draw(m.t, name+" concurrency"),
			Rate:        rapid.SampledFrom([]float64{0, 0, 3, 20}).Draw(m.t, name+" rate"),
			NumberRate:  rapid.SampledFrom([]float64{0, 0, 500, 2500}).Draw(m.t, name+" number rate"),
		}
	}
	m.cfg = bubbleConfig(keys.Limits{Concurrency: rapid.IntRange(0, 4).Draw(m.t, "provider concurrency")},
		key("a", limits("a")), key("b", limits("b")))
	m.cfg.MaxBatch = 1000
	m.cfg.Rand = func() float64 { return 0.5 } // a failure must come again
	for range rapid.IntRange(2, 3).Draw(m.t, "pools") {
		m.pools = append(m.pools, m.start())
	}
	pause(t, keys.DefaultLease) // the guard
	return m
}

// start starts one worker.
func (m *model) start() *worker {
	c := m.w.client()
	p, stop := bubblePool(m.t, c, m.cfg)
	return &worker{p: p, c: c, stop: stop}
}

// close ends the fleet.
func (m *model) close() {
	for _, w := range m.pools {
		w.stop()
	}
	m.w.close()
}

// limit is the concurrency of a key; "" is the provider.
func (m *model) limit(name string) keys.Limits {
	for _, k := range m.cfg.Keys {
		if k.Key.Name == name {
			return k.Limits
		}
	}
	return m.cfg.Limits
}

// sweep ends what has ended by itself: lost calls are cancelled, abandoned ones over.
func (m *model) sweep() {
	synctest.Wait()
	now := time.Now()
	m.onWire = slices.DeleteFunc(m.onWire, func(c *wireCall) bool {
		if !c.until.IsZero() {
			return !now.Before(c.until)
		}
		select {
		case <-c.grant.Lost():
			c.grant.Release()
			m.haunt(c)
			return true
		default:
			return false
		}
	})
	m.ghosts = slices.DeleteFunc(m.ghosts, func(g ghost) bool { return !now.Before(g.end) })
}

// haunt notes that Redis may count the permit of c for another lease.
func (m *model) haunt(c *wireCall) {
	m.ghosts = append(m.ghosts, ghost{c.key, time.Now().Add(keys.DefaultLease + time.Second)})
}

// acquire takes a permit and checks the grant against the ledger, or the refusal.
func (m *model) acquire(i, most int) {
	w := m.pools[i]
	g, err := w.p.Acquire(m.t.Context(), most)
	m.sweep()
	wait, ok := errors.AsType[*keys.WaitError](err)
	switch {
	case err == nil:
		m.granted(i, g, most)
	case !ok:
		require.NoError(m.t, err)
	case wait.Reason == keys.WaitConcurrency:
		m.refused(i, most, wait)
	case wait.Reason == keys.WaitRedisAway:
		require.True(m.t, m.down || w.cut || errors.Unwrap(wait) != nil)
	}
}

// granted checks that no limit is broken.
func (m *model) granted(i int, g keys.Grant, most int) {
	t, now := m.t, time.Now()
	c := &wireCall{pool: i, key: g.Key.Name, grant: g, at: now, used: g.N}
	m.onWire, m.made = append(m.onWire, c), append(m.made, c)
	require.False(t, m.down || m.pools[i].cut, "a grant without Redis")
	require.True(t, g.N >= 1 && g.N <= most)
	require.False(t, now.Before(m.paused[c.key]), "a grant of a paused key")
	for _, name := range []string{c.key, ""} {
		l := m.limit(name)
		calls, used, busy := 0, 0, 0
		for _, o := range m.made {
			if (name == "" || o.key == name) && now.Sub(o.at) < time.Second {
				calls++
				used += o.used
			}
		}
		for _, o := range m.onWire {
			if name == "" || o.key == name {
				busy++
			}
		}
		require.True(t, l.Concurrency == 0 || busy <= l.Concurrency, "%d calls on the wire with %q", busy, name)
		require.True(t, l.Rate == 0 || float64(calls) <= l.Rate, "%d calls in a second with %q", calls, name)
		require.True(t, l.NumberRate == 0 || float64(used) <= l.NumberRate, "%d numbers in a second with %q", used, name)
	}
}

// refused checks that a permit is refused only if all may be taken.
func (m *model) refused(i, most int, w *keys.WaitError) {
	me := m.pools[i]
	// What this pool was told before may be stale for as long as it said.
	pause(m.t, w.After)
	m.sweep()
	g, err := me.p.Acquire(m.t.Context(), most)
	m.sweep()
	if err == nil {
		m.granted(i, g, most)
		return
	}
	again, ok := errors.AsType[*keys.WaitError](err)
	require.True(m.t, ok)
	me.refused = time.Now()
	if again.Reason != keys.WaitConcurrency {
		return
	}
	for _, o := range m.pools {
		if o != me && time.Since(o.refused) < time.Second {
			return // it may have been somebody else's turn
		}
	}
	total, free := 0, 0
	for _, k := range m.cfg.Keys {
		n := m.occupied(k.Key.Name)
		total += n
		if k.Limits.Rate == 0 && k.Limits.NumberRate == 0 && time.Now().After(m.resting[k.Key.Name]) {
			free += max(0, k.Limits.Concurrency-n)
		}
	}
	l := m.cfg.Limits.Concurrency
	require.True(m.t, free == 0 || (l > 0 && total >= l), "%d permits are free, and none is given", free)
}

// occupied is how many permits of a key Redis may count.
func (m *model) occupied(name string) int {
	n := 0
	for _, c := range m.onWire {
		if c.key == name {
			n++
		}
	}
	for _, g := range m.ghosts {
		if g.key == name {
			n++
		}
	}
	return n
}

// held are the calls that somebody waits for.
func (m *model) held() []*wireCall {
	return slices.DeleteFunc(slices.Clone(m.onWire), func(c *wireCall) bool { return !c.until.IsZero() })
}

// finish ends a call, after giving back numbers that were not used.
func (m *model) finish(c *wireCall, unused int) {
	if unused > 0 {
		c.grant.Refund(unused)
		c.used = max(0, c.used-unused)
		if c.used == 0 {
			m.made = slices.DeleteFunc(m.made, func(o *wireCall) bool { return o == c })
		}
	}
	c.grant.Release()
	m.onWire = slices.DeleteFunc(m.onWire, func(o *wireCall) bool { return o == c })
	if w := m.pools[c.pool]; m.down || w.cut || time.Since(w.broken) < 2*time.Second {
		m.haunt(c)
	}
	pause(m.t, time.Millisecond) // until Redis is told
}

// pauseKey asks the fleet to pause a key.
func (m *model) pauseKey(i int, name string, d time.Duration) {
	m.resting[name] = later(m.resting[name], time.Now().Add(d+100*time.Millisecond))
	if m.pools[i].p.Pause(m.t.Context(), name, d, "429") == nil {
		m.paused[name] = later(m.paused[name], time.Now().Add(d-time.Millisecond))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// step does one random thing.
func (m *model) step() {
	i := rapid.IntRange(0, len(m.pools)-1).Draw(m.t, "pool")
	held := m.held()
	call := func() *wireCall { return held[rapid.IntRange(0, len(held)-1).Draw(m.t, "call")] }
	what := rapid.SampledFrom([]string{
		"acquire", "acquire", "acquire", "acquire", "acquire", "acquire", "release", "refund", "abandon",
		"wait", "wait", "wait long", "wait long", "crash", "cut", "heal", "down", "up", "up", "flush", "flush", "pause",
		"takeover", "split",
	}).Draw(m.t, "what")
	switch {
	case what == "acquire":
		m.acquire(i, rapid.SampledFrom([]int{1, 300, 1000}).Draw(m.t, "most"))
	case what == "release" && len(held) > 0:
		m.finish(call(), 0)
	case what == "refund" && len(held) > 0:
		c := call()
		m.finish(c, rapid.SampledFrom([]int{c.grant.N, c.grant.N / 2}).Draw(m.t, "unused"))
	case what == "abandon" && len(held) > 0:
		m.abandon(call())
	case what == "wait":
		pause(m.t, time.Duration(rapid.IntRange(1, 700).Draw(m.t, "ms"))*time.Millisecond)
	case what == "wait long":
		pause(m.t, time.Duration(rapid.IntRange(2, 17).Draw(m.t, "s"))*time.Second)
	case what == "crash":
		m.crash(i)
	case what == "cut" || what == "heal":
		m.setCut(i, what == "cut")
	case what == "down" || what == "up":
		m.setDown(what == "down")
	case what == "flush":
		m.flush()
	case what == "takeover":
		m.takeover()
	case what == "split":
		m.split()
	case what == "pause":
		m.pauseKey(i, rapid.SampledFrom([]string{"a", "b"}).Draw(m.t, "key"), time.Duration(rapid.IntRange(1, 4).Draw(m.t, "s"))*time.Second)
	}
	m.sweep()
}

// settle heals everything and checks that no permit has leaked.
func (m *model) settle() {
	t := m.t
	m.setDown(false)
	for _, w := range m.pools {
		w.cut = false
		w.c.setCut(false)
	}
	for _, c := range m.held() {
		m.finish(c, 0)
	}
	pause(t, 2*keys.DefaultLease)
	m.sweep()
	require.Empty(t, m.onWire)
	require.Equal(t, []int{0, 0, 0}, inFlight(t, m.pools[0].p))
	want := 0
	for _, k := range m.cfg.Keys {
		want += k.Limits.Concurrency
	}
	if l := m.cfg.Limits.Concurrency; l > 0 {
		want = min(want, l)
	}
	for i := range want {
		await(t, m.pools[i%len(m.pools)].p, 1)
	}
	require.Equal(t, want, inFlight(t, m.pools[0].p)[0])
	pause(t, time.Second) // the rates
	w := mustWait(t, m.pools[0].p, 1, keys.WaitConcurrency)
	require.LessOrEqual(t, w.After, 30*time.Millisecond)
}

// TestModel: whatever happens to the fleet and to Redis, no limit is broken as an
// upstream would see it, free permits are given, and none leaks.
func TestModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(quietTB{t}, func(t *rapid.T) {
			m := newModel(t)
			defer m.close()
			for range rapid.IntRange(5, 35).Draw(t, "steps") {
				m.step()
			}
			m.settle()
		})
	})
}

// quietTB hides the deadline of the test, which must not be asked for in a bubble.
type quietTB struct{ rapid.TB }
