package batch

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// machine drives a core through random events and keeps its own account of them.
type machine struct {
	core    *core[int]
	now     time.Time
	items   []Item[int]   // by waiter
	ended   map[int]Final // by waiter
	states  map[int]LiveState
	flights []*packed[int]
	strict  bool // no item refuses to share, so nothing is ever asked twice at once

	tickets []string      // ever heard of
	open    map[wait]bool // what waits for a ticket
	begun   []wait        // those since the last check
	heard   map[int]bool  // waiters whose ticket has said something
	limits  map[string]int
	money   map[string]fortune // by tenant
}

// fortune is whether a tenant's calls can be paid.
type fortune int

const (
	rich fortune = iota
	ruined
	short // will be rich again
)

func TestEveryWaiterIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{
			now: start(), ended: map[int]Final{}, states: map[int]LiveState{}, open: map[wait]bool{}, heard: map[int]bool{},
			money:  map[string]fortune{},
			strict: rapid.Bool().Draw(t, "strict"),
		}
		cfg := testCoreConfig[int]()
		cfg.maxBatch = rapid.IntRange(1, 12).Draw(t, "max")
		m.limits = map[string]int{"p": rapid.IntRange(1, 15).Draw(t, "max of p"), "q": rapid.IntRange(0, 3).Draw(t, "max of q")}
		cfg.limit = func(partition string) int { return m.limits[partition] }
		cfg.recentCount = rapid.IntRange(0, 10).Draw(t, "recent")
		cfg.live = func(w int) LiveState { return m.states[w] }
		cfg.retry.Attempts = rapid.IntRange(1, 8).Draw(t, "attempts")
		if rapid.Bool().Draw(t, "budgets") {
			cfg.samePurse = func(a, b int) bool { return m.items[a].Tenant == m.items[b].Tenant }
		}
		m.core = newCore(m.now, cfg)
		t.Repeat(map[string]func(*rapid.T){
			"":         m.check,
			"add":      m.add,
			"add2":     m.add,
			"cut":      m.cut,
			"cut2":     m.cut,
			"reply":    m.reply,
			"reply2":   m.reply,
			"deliver":  m.deliver,
			"deliver2": m.deliver,
			"wait":     m.wait,
			"kill":     m.kill,
			"sweep":    m.sweep,
			"fortune":  m.fortune,
			"shut": func(t *rapid.T) {
				m.core.shut(m.now, m.now.Add(time.Second), &providers.Failure{Kind: providers.KindUnauthorized})
				m.collect(t, m.core.take())
			},
		})
		if rapid.Bool().Draw(t, "stop") {
			m.stop(t)
		} else {
			m.drain(t)
		}
		require.Len(t, m.ended, len(m.items), "a waiter was lost")
	})
}

func (m *machine) check(t *rapid.T) {
	verify(t, m.core)
	m.checkOpen(t)
}

func (m *machine) add(t *rapid.T) {
	n := rapid.IntRange(1, 12).Draw(t, "items")
	for range n {
		w := len(m.items)
		it := item(rapid.IntRange(1, 25).Draw(t, "number"))
		it.Waiter = w
		it.Partition = rapid.SampledFrom([]string{"p", "p", "q"}).Draw(t, "partition")
		it.Tenant = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant")
		it.ShareGroup = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "group")
		it.Campaign = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "campaign")
		it.Priority = names.Priority(rapid.IntRange(0, 2).Draw(t, "priority"))
		it.NoShare = !m.strict && rapid.IntRange(0, 3).Draw(t, "no share") == 0
		it.Last = rapid.Bool().Draw(t, "last")
		it.Raw = rapid.IntRange(0, 9).Draw(t, "raw") == 0
		it.Weight = rapid.IntRange(0, 3).Draw(t, "weight")
		if rapid.IntRange(0, 5).Draw(t, "expires") == 0 {
			it.Expires = m.now.Add(10 * time.Second)
		}
		if rapid.IntRange(0, 4).Draw(t, "ticket") == 0 {
			it.Ticket, it.Paid = m.someTicket(t), rapid.Bool().Draw(t, "paid")
			m.opened(it.Ticket, &it)
		}
		m.items = append(m.items, it)
	}
	m.core.add(m.now, m.items[len(m.items)-n:])
	m.collect(t, m.core.take())
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
}

func (m *machine) kill(t *rapid.T) {
	if len(m.items) > 0 {
		w := rapid.IntRange(0, len(m.items)-1).Draw(t, "waiter")
		m.states[w] = LiveState(rapid.IntRange(1, 3).Draw(t, "state"))
	}
}

func (m *machine) cut(t *rapid.T) {
	n, _ := m.core.want(m.core.at(m.now))
	if n == 0 {
		return
	}
	m.cutFor(t, rapid.IntRange(1, n).Draw(t, "granted"))
}

func (m *machine) cutFor(t *rapid.T, granted int) {
	b := m.core.cut(m.now, granted)
	m.collect(t, m.core.take())
	if b == nil {
		return
	}
	require.NotEmpty(t, b.units)
	require.LessOrEqual(t, len(b.units), granted, "more than was granted")
	require.LessOrEqual(t, len(b.units), min(m.core.cfg.maxBatch, max(m.limits[b.part.name], 1)))
	seen := map[string]bool{}
	for i, u := range b.units {
		require.Equal(t, u.number, b.numbers[i])
		require.Same(t, b.part, u.part)
		require.False(t, seen[u.number.E164], "a number twice in a batch")
		seen[u.number.E164] = true
		for _, w := range u.waiters {
			it := m.items[w.w]
			require.Equal(t, b.part.name, it.Partition)
			require.Equal(t, u.number, it.Number)
			require.Equal(t, u.share, it.ShareGroup)
			require.Equal(t, StateLive, m.states[w.w], "asked for one who is gone")
			require.True(t, it.Expires.IsZero() || it.Expires.After(m.now), "asked for one who has expired")
			require.True(t, it.Ticket == "" || m.heard[w.w], "asked for one whose ticket may still answer")
		}
		m.notPending(t, u)
	}
	m.askedOnce(t, b)
	m.afford(t, b)
	m.flights = append(m.flights, b)
}

// fortune changes what a tenant has.
func (m *machine) fortune(t *rapid.T) {
	who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant")
	m.money[who] = fortune(rapid.IntRange(0, 2).Draw(t, "fortune"))
	if m.money[who] == rich && rapid.Bool().Draw(t, "told") {
		m.core.reconsider()
	}
}

// afford does as Loop.afford does.
func (m *machine) afford(t *rapid.T, b *packed[int]) {
	if m.core.cfg.samePurse == nil {
		return
	}
	require.Len(t, b.payers, len(b.units))
	units := b.units
	b.units, b.numbers = nil, nil
	for i, u := range units {
		require.Equal(t, b.payers[i], u.waiters[0].w, "the first one pays")
		switch m.money[m.items[b.payers[i]].Tenant] {
		case ruined:
			b.refused = append(b.refused, refused[int]{u, Refusal{Failure: &providers.Failure{
				Kind: providers.KindUnaffordable, Code: "ruined", Message: m.items[b.payers[i]].Tenant,
			}}})
		case short:
			b.refused = append(b.refused, refused[int]{u, Refusal{Until: m.now.Add(time.Second)}})
		case rich:
			b.units, b.numbers = append(b.units, u), append(b.numbers, u.number)
		}
	}
}

// askedOnce checks that no number of b is on the wire for the same group already.
func (m *machine) askedOnce(t *rapid.T, b *packed[int]) {
	if !m.strict {
		return
	}
	for _, f := range m.flights {
		for _, u := range f.units {
			for _, v := range b.units {
				same := u.part == v.part && u.share == v.share && u.number == v.number
				require.False(t, same, "asked while it is being asked")
			}
		}
	}
}

func (m *machine) reply(t *rapid.T) {
	if len(m.flights) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.flights)-1).Draw(t, "flight")
	r := found(len(m.flights[i].units))
	if len(r.Outcomes) == 0 { // all was refused: no call
		m.land(t, i, r)
		return
	}
	switch rapid.IntRange(0, 8).Draw(t, "reply") {
	case 0, 1:
		r = providers.Reply{Failure: someFailure(t)}
	case 2, 3:
		for j := range r.Outcomes {
			if rapid.Bool().Draw(t, "fails") {
				r.Outcomes[j] = providers.Outcome{Failure: someFailure(t)}
			}
		}
	case 4:
		r.Outcomes = r.Outcomes[1:]
	case 5, 6, 7:
		r = m.deferred(t, len(r.Outcomes))
	}
	m.land(t, i, r)
}

func (m *machine) land(t *rapid.T, i int, r providers.Reply) {
	b := m.flights[i]
	m.flights = append(m.flights[:i], m.flights[i+1:]...)
	m.parks(b, &r)
	m.collect(t, m.core.resolve(m.now, b, "main", &r))
}

func (m *machine) collect(t *rapid.T, answers []Answered[int]) {
	for _, a := range answers {
		before, twice := m.ended[a.Waiter]
		require.False(t, twice, "waiter %d: %v, then %v", a.Waiter, before, a.Verdict)
		m.ended[a.Waiter] = a.Verdict
		it := m.items[a.Waiter]
		switch a.Verdict {
		case Answer:
			require.NotEqual(t, providers.Failed, a.Outcome.Kind)
			require.False(t, a.First && (a.Shared || a.Recent))
			require.True(t, a.First || a.Outcome.Cost == providers.Cost{}, "paid twice")
			require.False(t, a.Recent && it.NoShare)
		case NextProvider, GaveUp:
			require.NotNil(t, a.Failure)
			if a.Failure.Code == "ruined" {
				require.Equal(t, a.Failure.Message, it.Tenant, "another tenant's money is spent")
			}
			require.Equal(t, it.Last, a.Verdict == GaveUp)
		case Expired:
			require.True(t, m.states[a.Waiter] == StateExpired || !it.Expires.IsZero() && !it.Expires.After(m.now))
		case Cancelled:
			require.Equal(t, StateCancelled, m.states[a.Waiter])
		case Dropped:
			require.Equal(t, StateDropped, m.states[a.Waiter])
		}
	}
}

// drain answers everything: whatever happened before, it all comes to an end.
func (m *machine) drain(t *rapid.T) {
	for _, who := range []string{"a", "b", "c"} {
		if m.money[who] == short {
			m.money[who] = fortune(rapid.IntRange(0, 1).Draw(t, "in the end"))
		}
	}
	for range 10_000 {
		for len(m.flights) > 0 {
			m.land(t, 0, found(len(m.flights[0].units)))
		}
		for len(m.open) > 0 {
			m.answerOpen(t)
		}
		n, next := m.core.want(m.core.at(m.now))
		switch {
		case n > 0:
			m.cutFor(t, n)
		case next == never:
			require.Equal(t, [names.Priorities]int{}, m.core.unsent, "something waits for ever")
			verify(t, m.core)
			return
		default:
			m.now = m.core.epoch.Add(next)
		}
	}
	require.Fail(t, "it does not end", fmt.Sprint(m.core.unsent))
}

// stop ends the calls on the wire and takes what was not sent.
func (m *machine) stop(t *rapid.T) {
	for len(m.flights) > 0 {
		m.reply(t)
	}
	for _, w := range m.core.rest() {
		require.NotContains(t, m.ended, w)
		m.ended[w] = Dropped
	}
	verify(t, m.core)
	require.Zero(t, m.core.pending)
	m.deliver(t) // nobody waits any more
	verify(t, m.core)
}

// shares cuts batches while every tenant has a backlog and counts who got how much.
func shares(t *rapid.T, batch, partitions int, weights []int) []int {
	const batches = 20
	cfg := testCoreConfig[int]()
	cfg.maxBatch = batch
	c := newCore(start(), cfg)
	w := 0
	for tenant, weight := range weights {
		name := strconv.Itoa(tenant)
		for i := range batches * batch {
			it := item(w)
			it.Waiter, it.Weight, it.Tenant, it.ShareGroup = tenant, weight, name, name
			it.Campaign = strconv.Itoa(i % 3)
			it.Partition = "0"
			if tenant > 0 {
				it.Partition = strconv.Itoa(i % partitions)
			}
			c.add(start(), []Item[int]{it})
			w++
		}
	}
	got := make([]int, len(weights))
	for range batches {
		b := c.cut(start(), batch)
		require.Len(t, b.units, batch, "a batch is filled as far as there is something")
		for _, u := range b.units {
			got[u.waiters[0].w]++
		}
	}
	return got
}

func TestSharesAreKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		batch := rapid.SampledFrom([]int{1, 10, 60}).Draw(t, "batch")
		// Over several partitions a tenant that keeps to one gets no less, give or
		// take the batch that another partition is just due.
		partitions := rapid.IntRange(1, 3).Draw(t, "partitions")
		slack := 2.0
		if partitions > 1 {
			slack = float64(batch) + 1
		}
		weights := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 6).Draw(t, "weights")
		total := 0
		for _, weight := range weights {
			total += weight
		}
		got := shares(t, batch, partitions, weights)
		for tenant, weight := range weights {
			want := float64(20*batch*weight) / float64(total)
			require.InDelta(t, want, got[tenant], max(0.05*want, slack), "weights %v, got %v", weights, got)
		}
	})
}

func TestCampaignsTakeTurns(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.maxBatch = 30 })
	for campaign := range 3 {
		d.add(items(1000*campaign, 100*(campaign+1), func(it *Item[int]) { it.Campaign = strconv.Itoa(campaign) })...)
	}
	b := d.cut(30)
	per := map[int]int{}
	for _, u := range b.units {
		per[u.waiters[0].w/1000]++
	}
	require.Equal(t, map[int]int{0: 10, 1: 10, 2: 10}, per)
}

func TestIdleTenantEarnsNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.add(items(1, 500, nil)...)
	for range 30 {
		d.answer(d.cut(10))
	}
	d.add(items(1000, 100, func(it *Item[int]) { it.Tenant = "late" })...)
	late := 0
	for range 4 {
		for _, u := range d.cut(10).units {
			if u.waiters[0].w >= 1000 {
				late++
			}
		}
	}
	require.InDelta(t, 20, late, 1, "half from now on, nothing for the past")
}
