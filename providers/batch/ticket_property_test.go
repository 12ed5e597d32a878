package batch

import (
	"strconv"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/providers"
)

// wait is a number of a share group that waits for a ticket.
type wait struct{ ticket, partition, number, share string }

func waitOf(ticket string, it *Item[int]) wait {
	return wait{ticket, it.Partition, it.Number.E164, it.ShareGroup}
}

func unitWait(ticket string, u *unit[int]) wait {
	return wait{ticket, u.part.name, u.number.E164, u.share}
}

func someFailure(t *rapid.T) *providers.Failure {
	return &providers.Failure{
		Kind:  providers.Kind(rapid.IntRange(0, providers.Kinds-1).Draw(t, "kind")),
		Tries: rapid.IntRange(0, 3).Draw(t, "tries"),
	}
}

// newTicket is one that nobody has heard of.
func (m *machine) newTicket() string {
	id := "t" + strconv.Itoa(len(m.tickets))
	m.tickets = append(m.tickets, id)
	return id
}

// someTicket is a new one or any old one, also one that is answered.
func (m *machine) someTicket(t *rapid.T) string {
	if i := rapid.IntRange(-1, len(m.tickets)-1).Draw(t, "which ticket"); i >= 0 {
		return m.tickets[i]
	}
	return m.newTicket()
}

// deferred is a reply with a ticket: some numbers are taken, or it is not known which.
func (m *machine) deferred(t *rapid.T, n int) providers.Reply {
	r := taken(n, m.newTicket())
	switch rapid.IntRange(0, 3).Draw(t, "deferred") {
	case 0:
		return providers.Reply{Failure: someFailure(t), Ticket: r.Ticket}
	case 1:
		for j := range r.Outcomes {
			switch rapid.IntRange(0, 3).Draw(t, "at once") {
			case 0:
				r.Outcomes[j] = answer()
			case 1:
				r.Outcomes[j] = providers.Outcome{Failure: someFailure(t)}
			}
		}
	}
	return r
}

// parks notes which numbers of b wait for a ticket after reply r.
func (m *machine) parks(b *packed[int], r *providers.Reply) {
	if r.Ticket == "" {
		return
	}
	for i, u := range b.units {
		if r.Failure != nil || r.Outcomes[i].Kind == providers.Pending {
			m.begin(unitWait(r.Ticket, u))
		}
	}
}

func (m *machine) opened(ticket string, it *Item[int]) { m.begin(waitOf(ticket, it)) }

func (m *machine) begin(w wait) {
	if !m.open[w] {
		m.open[w] = true
		m.begun = append(m.begun, w)
	}
}

// deliver brings outcomes of any ticket, for numbers that may or may not wait for it.
func (m *machine) deliver(t *rapid.T) {
	if len(m.tickets) == 0 {
		return
	}
	id := rapid.SampledFrom(m.tickets).Draw(t, "delivered")
	outcomes := make([]Late, rapid.IntRange(1, 12).Draw(t, "outcomes"))
	for i := range outcomes {
		o := answer()
		switch rapid.IntRange(0, 5).Draw(t, "late") {
		case 0, 1:
			o = providers.Outcome{Failure: someFailure(t)}
		case 2:
			o.Kind = rapid.SampledFrom([]providers.OutcomeKind{
				providers.NotFound, providers.Invalid, providers.Pending,
			}).Draw(t, "outcome")
		}
		o.Raw = []byte("{}")
		outcomes[i] = late(rapid.IntRange(1, 25).Draw(t, "late number"), o)
		outcomes[i].At = m.now
	}
	m.late(t, id, outcomes)
}

func (m *machine) late(t *rapid.T, id string, outcomes []Late) {
	m.news(t)
	circuits := map[string]health{}
	for name, p := range m.core.parts {
		circuits[name] = p.health
	}
	for w := range m.open {
		for _, o := range outcomes {
			if w.ticket == id && w.number == o.Number && o.Outcome.Kind != providers.Pending {
				delete(m.open, w)
			}
		}
	}
	for i := range m.items {
		if it := &m.items[i]; it.Ticket == id && !m.open[waitOf(id, it)] {
			m.heard[i] = true
		}
	}
	m.core.late(m.now, id, outcomes)
	ends := m.core.take()
	for _, a := range ends {
		it := m.items[a.Waiter]
		require.False(t, a.First && it.Paid && it.Ticket == id, "paid for by another worker's item")
	}
	m.collect(t, ends)
	for name, p := range m.core.parts {
		require.Equal(t, circuits[name], p.health, "a circuit is about calls")
	}
}

// answerOpen answers one number that waits.
func (m *machine) answerOpen(t *rapid.T) {
	for w := range m.open {
		o := Late{Number: w.number, Outcome: answer()}
		m.late(t, w.ticket, []Late{o})
		require.False(t, m.open[w])
		return
	}
}

// notPending checks that u, which is about to be asked, is not pending as well.
func (m *machine) notPending(t *rapid.T, u *unit[int]) {
	if !m.strict {
		return
	}
	for _, id := range m.tickets {
		require.False(t, m.open[unitWait(id, u)], "asked while a ticket may answer")
	}
}

// checkOpen compares what waits with what should.
func (m *machine) checkOpen(t *rapid.T) {
	m.news(t)
	require.Len(t, m.open, m.core.pending)
	for id, k := range m.core.tickets {
		for u := k.head; u != nil; u = u.next {
			require.True(t, m.open[unitWait(id, u)], "it waits for nothing")
		}
	}
}

// news checks that the receiver was told of all that has begun to wait.
func (m *machine) news(t *rapid.T) {
	told := map[[2]string]bool{}
	for _, n := range m.core.takeNews() {
		require.NotEmpty(t, n.numbers)
		for _, number := range n.numbers {
			told[[2]string{n.ticket, number}] = true
		}
	}
	for _, w := range m.begun {
		require.True(t, told[[2]string{w.ticket, w.number}], "nobody was told")
	}
	m.begun = nil
}

// sweep lets the dropped leave; what nobody waits for any more is forgotten.
func (m *machine) sweep(t *rapid.T) {
	m.news(t)
	m.core.sweep(m.now)
	m.collect(t, m.core.take())
	waits := map[wait]bool{}
	for id, k := range m.core.tickets {
		for u := k.head; u != nil; u = u.next {
			waits[unitWait(id, u)] = true
			for _, w := range u.waiters {
				require.NotEqual(t, StateDropped, m.states[w.w])
			}
		}
	}
	for i := range m.items {
		if w := waitOf(m.items[i].Ticket, &m.items[i]); m.open[w] && !waits[w] {
			require.Contains(t, m.ended, i, "forgotten while it waits for its ticket")
		}
	}
	for w := range m.open {
		if !waits[w] {
			delete(m.open, w)
		}
	}
}
