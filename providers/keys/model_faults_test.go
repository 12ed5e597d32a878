package keys_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/providers/keys"
)

// abandon gives up on a call; the upstream goes on with it for a while.
func (m *model) abandon(c *wireCall) {
	c.grant.Abandon()
	m.leave(c)
}

// leave has the upstream go on with a call that nobody waits for, for as long as its
// permit lasts: a lease since it was granted or, as a worker with Redis is sure to
// have done, renewed.
func (m *model) leave(c *wireCall) {
	m.haunt(c)
	c.until = c.at.Add(keys.DefaultLease - time.Millisecond)
	if w := m.pools[c.pool]; !m.down && !w.cut && time.Since(w.broken) > keys.DefaultRenew+2*time.Second {
		c.until = later(c.until, time.Now().Add(keys.DefaultLease-keys.DefaultRenew))
	}
}

// crash kills a worker, not the calls that it made; a new one starts.
func (m *model) crash(i int) {
	w := m.pools[i]
	for _, c := range m.held() {
		if c.pool == i {
			m.leave(c)
		}
	}
	w.c.setCut(true)
	w.stop()
	m.pools[i] = m.start()
}

// setCut cuts a worker off from Redis, or heals that.
func (m *model) setCut(i int, cut bool) {
	w := m.pools[i]
	w.cut, w.broken = cut, time.Now()
	w.c.setCut(cut)
}

// setDown takes Redis away, or brings it back, maybe without its data.
func (m *model) setDown(down bool) {
	m.down = down
	m.w.setDown(down)
	for _, w := range m.pools {
		w.broken = time.Now()
	}
}

// flush loses all data.
func (m *model) flush() {
	m.w.mini.FlushAll()
	clear(m.paused) // they are learnt again from the upstream
}

// takeover has another server answer that lacks what the last one knew.
func (m *model) takeover() {
	if !m.named {
		return
	}
	m.setDown(true)
	m.w.takeover()
	m.setDown(false)
	clear(m.paused)
}

// split cuts some workers off that hold permits, has Redis lose its data and the
// others go on, until long after all permits from before are over.
func (m *model) split() {
	seconds := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, 1000*most).Draw(m.t, name)) * time.Millisecond
	}
	m.hungry(time.Second)
	pause(m.t, seconds("since a renewal", 5))
	apart := rapid.IntRange(1, 1<<len(m.pools)-2).Draw(m.t, "apart")
	for i := range m.pools {
		if apart&(1<<i) != 0 {
			m.setCut(i, true)
		}
	}
	pause(m.t, seconds("cut before", 14))
	if rapid.Bool().Draw(m.t, "takeover") {
		m.takeover()
	} else {
		m.flush()
	}
	m.hungry(seconds("back after", 16))
	m.setCut(rapid.IntRange(0, len(m.pools)-1).Draw(m.t, "back"), false)
	m.hungry(keys.DefaultLease + time.Second)
}

// hungry has all that reach Redis ask for permits, for d.
func (m *model) hungry(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); pause(m.t, 1300*time.Millisecond) {
		for i, w := range m.pools {
			g, err := w.p.Acquire(m.t.Context(), 1000)
			m.sweep()
			if err == nil {
				m.granted(i, g, 1000)
			}
		}
	}
}
