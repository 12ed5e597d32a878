package batch

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// testCoreConfig is a core without chance: jitter takes nothing off.
func testCoreConfig[W any]() coreConfig[W] {
	return coreConfig[W]{
		maxBatch: 10, linger: 100 * time.Millisecond,
		retry:       RetryConfig{Initial: 200 * time.Millisecond, Max: 30 * time.Second, Attempts: 8},
		recentCount: 100, recentAge: 10 * time.Second,
		live: func(W) LiveState { return StateLive },
		rand: func() float64 { return 0 },
	}
}

// start is when every test begins.
func start() time.Time { return time.Unix(1_700_000_000, 0) }

// desk is a core with a clock of its own and an upstream that answers at once.
type desk struct {
	t     *testing.T
	core  *core[int]
	now   time.Time
	ends  map[int]Answered[int] // by waiter
	calls [][]string            // the numbers of each call
	quick bool                  // do not verify the core after each call
	// upstream answers a call; nil finds everything.
	upstream func(numbers []string) providers.Reply
}

func newDesk(t *testing.T, change func(*coreConfig[int])) *desk {
	t.Helper()
	cfg := testCoreConfig[int]()
	if change != nil {
		change(&cfg)
	}
	return &desk{t: t, core: newCore(start(), cfg), now: start(), ends: map[int]Answered[int]{}}
}

// item is a plain item; waiter and number are the same n.
func item(n int) Item[int] {
	return Item[int]{
		Number: providers.Number{E164: number(n)}, Partition: "p", Priority: names.Normal,
		Tenant: "acme", Campaign: "c1", ShareGroup: "acme", Waiter: n,
	}
}

func number(n int) string { return "+86139" + strconv.Itoa(10_000_000+n) }

// items are n plain items from first on, changed by change.
func items(first, n int, change func(*Item[int])) []Item[int] {
	out := make([]Item[int], n)
	for i := range out {
		out[i] = item(first + i)
		if change != nil {
			change(&out[i])
		}
	}
	return out
}

func (d *desk) add(its ...Item[int]) {
	d.t.Helper()
	d.core.add(d.now, its)
	d.collect(d.core.take())
}

func (d *desk) collect(answers []Answered[int]) {
	d.t.Helper()
	for _, a := range answers {
		if _, twice := d.ends[a.Waiter]; twice {
			require.Fail(d.t, "reported twice", "waiter %d", a.Waiter)
		}
		d.ends[a.Waiter] = a
	}
}

// cut cuts a batch for at most n numbers, nil if there is none.
func (d *desk) cut(n int) *packed[int] {
	d.t.Helper()
	b := d.core.cut(d.now, n)
	d.collect(d.core.take())
	if b != nil {
		require.LessOrEqual(d.t, len(b.units), min(n, b.part.max))
		d.calls = append(d.calls, asked(b))
	}
	return b
}

func asked(b *packed[int]) []string {
	out := make([]string, len(b.numbers))
	for i, n := range b.numbers {
		out[i] = n.E164
	}
	return out
}

func (d *desk) resolve(b *packed[int], r providers.Reply) {
	d.t.Helper()
	d.collect(d.core.resolve(d.now, b, "main", &r))
	if !d.quick {
		verify(d.t, d.core)
	}
}

// answer lets the upstream answer b.
func (d *desk) answer(b *packed[int]) {
	d.t.Helper()
	r := found(len(b.units))
	if d.upstream != nil {
		r = d.upstream(asked(b))
	}
	d.resolve(b, r)
}

// run makes every call that is due, one after the other, for as long as span.
func (d *desk) run(span time.Duration) {
	d.t.Helper()
	for end, limit := d.now.Add(span), len(d.calls)+100_000; ; {
		require.Less(d.t, len(d.calls), limit, "this does not end")
		n, next := d.core.want(d.core.at(d.now))
		if n > 0 {
			if b := d.cut(n); b != nil {
				d.answer(b)
			}
			continue
		}
		if next == never || d.core.epoch.Add(next).After(end) {
			d.now = end
			return
		}
		d.now = d.core.epoch.Add(next)
	}
}

func found(n int) providers.Reply {
	out := make([]providers.Outcome, n)
	for i := range out {
		out[i] = providers.Outcome{Kind: providers.Found, Cost: providers.Cost{Amount: "0.002", Currency: "CNY"}}
	}
	return providers.Reply{Outcomes: out}
}

// taken is a reply that leaves n numbers pending under ticket.
func taken(n int, ticket string) providers.Reply {
	out := make([]providers.Outcome, n)
	for i := range out {
		out[i] = providers.Outcome{Kind: providers.Pending}
	}
	return providers.Reply{Outcomes: out, Ticket: ticket}
}

// late is an outcome of number n that comes after its call.
func late(n int, o providers.Outcome) Late { return Late{Number: number(n), Outcome: o, Key: "main"} }

// answer finds a number, at a cost.
func answer() providers.Outcome { return found(1).Outcomes[0] }

// failing is an outcome that fails with kind.
func failing(k providers.Kind) providers.Outcome {
	return providers.Outcome{Failure: &providers.Failure{Kind: k}}
}

// late delivers outcomes of a ticket.
func (d *desk) late(ticket string, outcomes ...Late) {
	d.t.Helper()
	d.core.late(d.now, ticket, outcomes)
	d.collect(d.core.take())
	verify(d.t, d.core)
}

func failure(k providers.Kind) providers.Reply {
	return providers.Reply{Failure: &providers.Failure{Kind: k, Code: "x"}}
}

// spoiled is an upstream that refuses, with kind, every call with one of bad in it.
func spoiled(k providers.Kind, bad ...int) func([]string) providers.Reply {
	set := map[string]bool{}
	for _, n := range bad {
		set[number(n)] = true
	}
	return func(numbers []string) providers.Reply {
		for _, n := range numbers {
			if set[n] {
				return failure(k)
			}
		}
		return found(len(numbers))
	}
}

// verify checks that the core's counts and links agree with each other.
func verify(t require.TestingT, c *core[int]) {
	var unsent, broke [names.Priorities]int
	wired, waits := 0, 0
	for name, p := range c.parts {
		require.Equal(t, name, p.name)
		verifyPartition(t, c, p)
		for _, head := range p.units {
			for u, more := head, true; more; u, more = u.twin, u.twin != head {
				if u.unsent() {
					unsent[u.prio]++
				}
				if u.broke {
					require.Equal(t, parked, u.state)
					broke[u.prio]++
				}
				if u.state == pending {
					waits++
				}
			}
		}
		wired += p.wired
	}
	verifyTickets(t, c, waits)
	require.Equal(t, unsent, c.unsent)
	require.Equal(t, broke, c.broke)
	require.Equal(t, wired, c.wired)
	require.LessOrEqual(t, c.recents.n, c.cfg.recentCount)
	for i, p := range c.active {
		require.Equal(t, i, p.at)
		require.Positive(t, p.unsent)
	}
}

func verifyTickets(t require.TestingT, c *core[int], waits int) {
	require.Equal(t, waits, c.pending)
	for id, k := range c.tickets {
		require.Equal(t, id, k.id)
		require.Positive(t, k.n, "an empty ticket is kept")
		waits -= k.n
		for u := k.head; u != nil; u = u.next {
			if u.state != pending || !slices.Contains(k.parts, u.part) {
				require.Fail(t, "a ticket with the wrong units")
			}
		}
	}
	require.Zero(t, waits, "a pending unit without a ticket")
}

func verifyPartition(t require.TestingT, c *core[int], p *partition[int]) {
	fresh, due, unsent := 0, 0, 0
	for num, head := range p.units {
		standing := map[string]bool{}
		for u, more := head, true; more; u, more = u.twin, u.twin != head {
			if num != u.number.E164 || u.part != p {
				require.Fail(t, "a unit in the wrong place")
			}
			if (u.state != wired) != (u.in != nil) || (u.state == wired) != (u.batch != nil) {
				require.Fail(t, "a unit is in a list unless it is on the wire")
			}
			if (u.state == recent) != (len(u.waiters) == 0) {
				require.Fail(t, "a unit without waiters")
			}
			if u.unsent() {
				unsent++
			}
			if u.detached && u.state != wired && u.state != pending || !u.detached && standing[u.share] {
				require.Fail(t, "two units stand for a number")
			}
			standing[u.share] = standing[u.share] || !u.detached
		}
	}
	for i := range p.levels {
		n := 0
		for _, s := range p.levels[i].shares {
			m := 0
			for _, q := range s.queues {
				m += q.n
				require.True(t, q.n == 0 || q.inTurn)
			}
			require.Equal(t, s.n, m)
			require.True(t, s.n == 0 || s.inHeap)
			n += m
		}
		require.Equal(t, p.levels[i].n, n)
		fresh += n
		due += p.due[i].n
	}
	require.Equal(t, fresh, p.fresh)
	require.Equal(t, due, p.retries)
	require.Equal(t, unsent, p.unsent)
	require.Equal(t, p.unsent > 0, p.at >= 0)
	require.LessOrEqual(t, p.max, p.limit)
	require.LessOrEqual(t, p.limit, c.cfg.maxBatch)
}
