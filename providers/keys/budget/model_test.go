package budget

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// call is one call under way, as the upstream sees it.
type call struct {
	ids   []string
	n     int
	price int64
}

func (c call) cost() int64 { return int64(c.n) * c.price }

// member is one worker of the fleet.
type member struct {
	*client
	calls []call
	// unstored are costs of results that it has not published yet.
	unstored []Entry
}

// model is a fleet of ledgers and an account of its own of what they spend.
type model struct {
	t      *rapid.T
	w      *world
	fleet  []*member
	limits map[string]int64
	paid   map[string]int64 // charged by the upstream
	// extra was charged above the price; gone was charged by calls of workers that died,
	// or has no result stored because they did.
	extra, gone map[string]int64
	lossy       bool // Redis loses data
	flushed     bool
	crashed     bool
}

func TestNeverMoreThanTheLimitAndTheCallsInFlight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			t: t, w: newWorld(t), paid: map[string]int64{}, extra: map[string]int64{}, gone: map[string]int64{},
			limits: map[string]int64{}, lossy: rapid.Bool().Draw(t, "lossy"),
		}
		defer m.close()
		for _, id := range []string{"t", "c1", "c2"} {
			m.limits[id] = rapid.Int64Range(0, 300).Draw(t, "limit of "+id)
		}
		for range rapid.IntRange(1, 3).Draw(t, "workers") {
			m.fleet = append(m.fleet, &member{client: m.w.ledger()})
		}
		_ = m.fleet[0].Look(t.Context())
		m.w.sleep(DefaultGuard)
		ops := map[string]func(*rapid.T){
			"": m.check, "reserve": m.reserve, "reserve2": m.reserve, "finish": m.finish, "finish2": m.finish,
			"publish": m.publish, "crash": m.crash, "deaf": m.deaf, "sleep": m.sleep,
		}
		if m.lossy {
			ops["flush"] = m.flush
		}
		t.Repeat(ops)
		m.end()
	})
}

func (m *model) close() {
	for _, w := range m.fleet {
		w.close()
	}
	m.w.mini.Close()
}

func (m *model) some(t *rapid.T) *member {
	return m.fleet[rapid.IntRange(0, len(m.fleet)-1).Draw(t, "worker")]
}

// check holds the account against the limits: what was charged, and what the calls of
// live workers may still be charged at their price.
func (m *model) check(t *rapid.T) {
	for id, limit := range m.limits {
		total := m.paid[id]
		for _, w := range m.fleet {
			for _, c := range w.calls {
				for _, of := range c.ids {
					if of == id {
						total += c.cost()
					}
				}
			}
		}
		allowed := limit + m.extra[id]
		if m.flushed {
			allowed += m.gone[id]
		}
		require.LessOrEqual(t, total, allowed, "budget %s", id)
	}
}

func (m *model) reserve(t *rapid.T) {
	w := m.some(t)
	purses := [][]string{{"t", "c1"}, {"t", "c2"}, {"c1"}, {"t"}}
	var wants []Want
	var calls []call
	for range rapid.IntRange(1, 2).Draw(t, "purses") {
		c := call{
			ids: rapid.SampledFrom(purses).Draw(t, "purse"), n: rapid.IntRange(1, 20).Draw(t, "numbers"),
			price: rapid.Int64Range(1, 5).Draw(t, "price"),
		}
		one := Want{N: c.n}
		for _, id := range c.ids {
			one.Limits = append(one.Limits, Limit{ID: id, Most: m.limits[id], Price: c.price})
		}
		wants, calls = append(wants, one), append(calls, c)
	}
	got, err := w.reserve(wants...)
	if err != nil {
		return
	}
	for i, g := range got {
		require.Equal(t, g.N < wants[i].N, g.By >= 0)
		if calls[i].n = g.N; g.N > 0 {
			w.calls = append(w.calls, calls[i])
		}
	}
}

// finish ends a call: some of its numbers were charged, and now and then more than the price.
func (m *model) finish(t *rapid.T) {
	w := m.some(t)
	if len(w.calls) == 0 {
		return
	}
	c := w.calls[0]
	w.calls = w.calls[1:]
	actual := int64(rapid.IntRange(0, c.n).Draw(t, "charged")) * c.price
	if rapid.IntRange(0, 5).Draw(t, "dearer") == 0 {
		actual = c.cost() + 3
	}
	for _, id := range c.ids {
		m.paid[id] += actual
		m.extra[id] += max(0, actual-c.cost())
		w.Settle(Entry{ID: id, Reserved: c.cost(), Actual: actual})
		w.unstored = append(w.unstored, Entry{ID: id, Actual: actual})
	}
	if rapid.Bool().Draw(t, "told") {
		_ = w.Flush(t.Context())
	}
}

// publish stores the results of a worker.
func (m *model) publish(t *rapid.T) {
	w := m.some(t)
	for _, e := range w.unstored {
		m.w.store(e.ID, e.Actual)
	}
	w.unstored = nil
}

// crash kills a worker: what it had on the wire is charged, or is not.
func (m *model) crash(t *rapid.T) {
	i := rapid.IntRange(0, len(m.fleet)-1).Draw(t, "worker")
	w := m.fleet[i]
	m.crashed = true
	charged := rapid.Bool().Draw(t, "charged")
	for _, c := range w.calls {
		for _, id := range c.ids {
			if charged {
				m.paid[id] += c.cost()
				m.gone[id] += c.cost()
			}
		}
	}
	for _, e := range w.unstored {
		m.gone[e.ID] += e.Actual
	}
	w.close()
	m.fleet[i] = &member{client: m.w.ledger()}
}

// deaf has a worker lose the answers to what it does next.
func (m *model) deaf(t *rapid.T) {
	w := m.some(t)
	w.deaf.Store(true)
	m.reserve(t)
	_ = w.Flush(t.Context())
	w.deaf.Store(false)
}

func (m *model) sleep(t *rapid.T) {
	m.w.sleep(time.Duration(rapid.IntRange(0, 90).Draw(t, "s")) * time.Second)
}

// flush loses all data; whoever lives tells what it remembers within the guard.
func (m *model) flush(t *rapid.T) {
	m.flushed = true
	m.w.mini.FlushAll()
	m.w.sleep(time.Millisecond)
	for _, w := range m.fleet {
		if rapid.Bool().Draw(t, "settles first") {
			_ = w.Flush(t.Context())
		}
		require.NoError(t, w.Look(t.Context()))
	}
	m.w.sleep(DefaultGuard)
}

// end settles all calls; then Redis must know what was paid, to the last coin where it
// lost nothing and nobody died.
func (m *model) end() {
	for _, w := range m.fleet {
		for len(w.calls) > 0 {
			c := w.calls[0]
			w.calls = w.calls[1:]
			for _, id := range c.ids {
				m.paid[id] += c.cost()
				w.Settle(Entry{ID: id, Reserved: c.cost(), Actual: c.cost()})
			}
		}
		require.NoError(m.t, w.Flush(m.t.Context()))
	}
	for id := range m.limits {
		if _, known := m.fleet[0].Spent(id); !known {
			continue
		}
		if m.flushed {
			m.fleet[0].learnOne(m.t.Context(), id)
		}
		spent := m.fleet[0].spent(id)
		switch {
		case m.flushed:
			require.GreaterOrEqual(m.t, spent, m.paid[id]-m.gone[id]-m.extra[id], id)
		case m.crashed: // and did not say what it paid above the price
			require.GreaterOrEqual(m.t, spent, m.paid[id]-m.extra[id], id)
		default:
			require.Equal(m.t, m.paid[id], spent, id)
		}
	}
}
