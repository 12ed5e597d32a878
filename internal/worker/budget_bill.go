package worker

import (
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys/budget"
)

// sale is what the payments of one call are for.
type sale struct {
	prov *provider
	key  string
	at   time.Time
}

// settle tells the ledger what a call has cost: what was answered and is charged, and
// what may have been charged although no answer came. kept are the payments of the
// reply's numbers.
func (b *budgets) settle(s sale, pays, kept []*payment, r *providers.Reply) {
	bills := make(map[*payment]*bill, len(pays))
	for _, p := range pays {
		bills[p] = &bill{}
	}
	price := s.prov.prices[s.key]
	for i, p := range kept {
		bills[p].add(s.prov.desk != nil, price, r, i)
	}
	var entries []budget.Entry
	for _, p := range pays {
		own := bills[p]
		for i, limit := range p.want.Limits {
			l := &p.lines[p.covered[i]]
			entries = append(entries, budget.Entry{
				ID: limit.ID, Reserved: int64(p.paid) * limit.Price,
				Actual: int64(own.numbers)*limit.Price + own.reported[l.currency],
			})
		}
		for i := range p.lines {
			if l := &p.lines[i]; !slices.Contains(p.covered, i) && own.reported[l.currency] > 0 {
				entries = append(entries, budget.Entry{ID: l.id(s.at), Actual: own.reported[l.currency]})
			}
		}
		for currency, most := range own.dearest {
			b.learnPrice(guess{s.prov.name, s.key, currency}, most)
		}
	}
	b.ledger.Settle(entries...)
}

// learnPrice keeps the highest cost that was reported.
func (b *budgets) learnPrice(g guess, cost int64) {
	for {
		old, known := b.guesses.LoadOrStore(g, cost)
		v, _ := old.(int64)
		if !known || v >= cost || b.guesses.CompareAndSwap(g, old, cost) {
			return
		}
	}
}

// bill is what the numbers of one payment have cost.
type bill struct {
	numbers           int              // charged at their price
	reported, dearest map[string]int64 // by currency, in millionths
}

// add puts the i-th number of a call on the bill. Of a deferred provider costs are
// reported later; see late.
func (b *bill) add(deferred bool, price providers.Cost, r *providers.Reply, i int) {
	if r.Failure != nil || len(r.Outcomes) <= i {
		if r.Failure == nil || r.Failure.Kind.Unsure() || r.Ticket != "" {
			b.numbers++
		}
		return
	}
	o := &r.Outcomes[i]
	switch o.Kind {
	case providers.Failed:
		if o.Failure != nil && o.Failure.Kind.Unsure() {
			b.numbers++
		}
		return
	case providers.Pending, providers.Found, providers.NotFound, providers.Invalid:
	}
	if !deferred && b.report(o.Cost) {
		return
	}
	if price.Currency != "" {
		b.numbers++
	}
}

// report adds a cost that the upstream told; false if it told none.
func (b *bill) report(c providers.Cost) bool {
	v, ok := millionths(c)
	if !ok {
		return false
	}
	if b.reported == nil {
		b.reported, b.dearest = map[string]int64{}, map[string]int64{}
	}
	b.reported[c.Currency] += v
	b.dearest[c.Currency] = max(b.dearest[c.Currency], v)
	return true
}

// late charges what a deferred provider reports of numbers that were charged at their
// price, if they have one, when it took them.
func (b *budgets) late(prov *provider, as []batch.Answered[waiter]) {
	if prov.desk == nil {
		return
	}
	var entries []budget.Entry
	now := b.now()
	for i := range as {
		a := &as[i]
		cost, ok := millionths(a.Outcome.Cost)
		if !a.First || a.Verdict != batch.Answer || !ok {
			continue
		}
		b.learnPrice(guess{prov.name, a.Key, a.Outcome.Cost.Currency}, cost)
		lines := a.Waiter.job.wallet.lines.Load()
		if lines == nil {
			continue
		}
		for l := range *lines {
			if own := &(*lines)[l]; own.currency == a.Outcome.Cost.Currency {
				e := budget.Entry{ID: own.id(now), Actual: cost}
				if price, priced := millionths(prov.prices[a.Key]); priced && prov.prices[a.Key].Currency == own.currency {
					e.Actual -= price
				}
				entries = append(entries, e)
			}
		}
	}
	if len(entries) > 0 {
		b.ledger.Settle(entries...)
	}
}
