package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys/budget"
)

// The scopes of budgets.
const (
	scopeTenant   = "tenant"
	scopeCampaign = "campaign"
)

const (
	// waitForMoney is when items that wait for money are tried again, unless their
	// budget starts anew at a time that is known.
	waitForMoney = time.Minute
	// waitForCalls is the same while calls under way hold money that may come back.
	waitForCalls = time.Second
	// midnightSpread keeps the fleet from coming back in the same instant.
	midnightSpread = 10 * time.Second
)

// budgetLine is one budget that binds a wallet.
type budgetLine struct {
	scope, tenant, campaign, currency string

	amount       int64 // in millionths
	perDay, wait bool
	fault        string // why it cannot be kept to: then nothing is paid
}

// id names the budget in the ledger, with what is needed to learn of it again.
func (l *budgetLine) id(now time.Time) string {
	switch {
	case l.scope == scopeCampaign:
		return budgetID{scope: scopeCampaign, tenant: l.tenant, campaign: l.campaign, currency: l.currency}.String()
	case l.perDay:
		return budgetID{scope: scopeTenant, tenant: l.tenant, currency: l.currency, day: now.UTC().Format(time.DateOnly)}.String()
	}
	return budgetID{scope: scopeTenant, tenant: l.tenant, currency: l.currency}.String()
}

// again is when items that this budget refused are tried again.
func (l *budgetLine) again(now time.Time) time.Time {
	if l.perDay {
		spread := time.Duration(rand.Int64N(int64(midnightSpread))) //nolint:gosec // no secret
		return now.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + spread)
	}
	return now.Add(waitForMoney)
}

// refusal is why an item is not paid.
func (l *budgetLine) refusal() *providers.Failure {
	text := "the budget of the " + l.scope + ", " + moneyText(l.amount) + " " + l.currency + ", is spent"
	if l.fault != "" {
		text = "the budget of the " + l.scope + " cannot be kept to: " + l.fault
	}
	return &providers.Failure{Kind: providers.KindUnaffordable, Message: text}
}

// wallet is what the numbers of one campaign are paid from.
type wallet struct {
	tenant, campaign string

	lines atomic.Pointer[[]budgetLine] // nil: not known yet; never changed once set
	used  atomic.Int64                 // when it was asked for (Unix nanoseconds)
	broke atomic.Int64                 // until when nothing is to be pulled for it (likewise)
	load  sync.Mutex                   // one reading of the record at a time
}

// budgets are the wallets of the campaigns that this worker has jobs of, and the ledger
// that binds them. A map of wallets, kept by run; everything else is in parallel.
type budgets struct {
	cfg     *Config
	ledger  *budget.Ledger
	records *jobs.Campaigns
	metrics *budgetMetrics
	now     func() time.Time
	kick    chan struct{}  // a wallet is new
	spent   chan exhausted // to be told
	guesses sync.Map       // guess to int64: the highest cost that was reported
	ruined  atomic.Int64   // wallets that nothing is pulled for
	outside
	mu      sync.Mutex
	wallets map[[2]string]*wallet
}

// guess is what a number costs with a key that has no price.
type guess struct{ provider, key, currency string }

// exhausted is a budget that operators and its tenant are to be told of.
type exhausted struct {
	budgetLine
	id string
}

// wallet is where the numbers of a campaign are paid from. Cheap; never nil.
func (b *budgets) wallet(tenant, campaign string) *wallet {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := [2]string{tenant, campaign}
	p := b.wallets[at]
	if p == nil {
		p = &wallet{tenant: tenant, campaign: campaign}
		b.wallets[at] = p
		if campaign == names.NoCampaign {
			b.set(p, b.tenantLines(tenant))
		} else {
			select {
			case b.kick <- struct{}{}:
			default: // it will look anyway
			}
		}
	}
	p.used.Store(b.now().UnixNano())
	return p
}

// tenantLines is the tenant's own budget, if it has one.
func (b *budgets) tenantLines(tenant string) []budgetLine {
	t, _ := b.cfg.Tenant(tenant)
	if t.Budget.Currency == "" {
		return nil
	}
	return []budgetLine{{
		scope: scopeTenant, tenant: tenant, currency: t.Budget.Currency,
		amount: t.Budget.Amount, perDay: t.Budget.PerDay, wait: t.Budget.Wait,
	}}
}

// sameWallet implements batch.Config.SamePurse.
func sameWallet(a, b waiter) bool { return a.job.wallet == b.job.wallet }

// bound reports whether a budget may bind one of the payers. It costs next to nothing.
func bound(payers []waiter) bool {
	var last *job
	for i := range payers {
		if j := payers[i].job; j != last {
			last = j
			if lines := j.wallet.lines.Load(); lines == nil || len(*lines) > 0 {
				return true
			}
		}
	}
	return false
}

// payment is the numbers of a call that are paid from one wallet.
type payment struct {
	wallet  *wallet
	lines   []budgetLine
	numbers int
	covered []int // indexes of the lines that cover this key's numbers
	want    budget.Want
	paid    int // numbers
	refused batch.Refusal
}

// afford implements batch.Config.Afford for one provider.
func (b *budgets) afford(ctx context.Context, prov *provider, key string, payers []waiter) batch.Purchase {
	if !bound(payers) {
		return batch.Purchase{}
	}
	now := b.now()
	pays, of := payments(payers)
	var wants []budget.Want
	var asked []*payment
	for _, p := range pays {
		if b.prepare(ctx, p, prov, key, now) {
			wants, asked = append(wants, p.want), append(asked, p)
		}
	}
	if len(wants) > 0 {
		b.reserve(ctx, asked, wants, now)
	}
	out := batch.Purchase{}
	kept := of[:0]
	left := make(map[*payment]int, len(pays))
	for _, p := range pays {
		left[p] = p.paid
		if p.paid < p.numbers {
			out.Refused = make([]batch.Refusal, len(payers))
		}
	}
	for i, p := range of {
		if left[p] == 0 {
			out.Refused[i] = p.refused
			continue
		}
		left[p]--
		kept = append(kept, p)
	}
	out.Settle = func(r *providers.Reply) { b.settle(sale{prov, key, now}, pays, kept, r) }
	return out
}

// payments sorts the payers by wallet.
func payments(payers []waiter) (all, of []*payment) {
	byWallet := map[*wallet]*payment{}
	of = make([]*payment, len(payers))
	for i := range payers {
		at := payers[i].job.wallet
		p := byWallet[at]
		if p == nil {
			p = &payment{wallet: at}
			byWallet[at] = p
			all = append(all, p)
		}
		p.numbers++
		of[i] = p
	}
	return all, of
}

// prepare finds out what binds p; true if the ledger has to be asked.
func (b *budgets) prepare(ctx context.Context, p *payment, prov *provider, key string, now time.Time) bool {
	var err error
	if p.lines, err = b.linesOf(ctx, p.wallet); err != nil {
		p.refused.Until = now.Add(waitForCalls)
		return false
	}
	p.want.N = p.numbers
	for i := range p.lines {
		l := &p.lines[i]
		if l.fault != "" {
			p.refused.Failure = l.refusal()
			return false
		}
		price, covers := b.price(prov, key, l.currency)
		if !covers {
			continue
		}
		p.covered = append(p.covered, i)
		p.want.Limits = append(p.want.Limits, budget.Limit{ID: l.id(now), Most: l.amount, Price: price})
	}
	if len(p.covered) == 0 {
		p.paid = p.numbers
		return false
	}
	return true
}

// price is what a number costs at most in a currency, in millionths: what the
// configuration says, else the most that was reported so far. It is false for a
// key that is priced in another currency, or costs nothing.
func (b *budgets) price(prov *provider, key, currency string) (int64, bool) {
	c := prov.prices[key]
	if c.Currency == "" {
		known, _ := b.guesses.Load(guess{prov.name, key, currency})
		v, _ := known.(int64)
		return max(v, 1), true
	}
	v, ok := millionths(c)
	return v, ok && c.Currency == currency && v > 0
}

// reserve asks the ledger.
func (b *budgets) reserve(ctx context.Context, asked []*payment, wants []budget.Want, now time.Time) {
	grants, err := b.ledger.Reserve(ctx, wants)
	if err != nil {
		after := waitForCalls
		if wait, ok := errors.AsType[*budget.WaitError](err); ok {
			after = wait.After
		}
		for _, p := range asked {
			p.refused.Until = now.Add(after)
		}
		return
	}
	for i, p := range asked {
		g := &grants[i]
		p.paid = g.N
		if g.By < 0 {
			p.wallet.broke.Store(0)
			continue
		}
		b.refuse(p, &p.lines[p.covered[g.By]], g, now)
	}
}

// refuse decides about the numbers that a budget refuses.
func (b *budgets) refuse(p *payment, l *budgetLine, g *budget.Grant, now time.Time) {
	if g.Tell {
		select {
		case b.spent <- exhausted{*l, l.id(now)}:
		default: // told with the next refusal
		}
	}
	switch {
	case g.Soft:
		p.refused.Until = now.Add(waitForCalls)
	case l.wait:
		p.refused.Until = l.again(now)
		p.wallet.broke.Store(p.refused.Until.UnixNano())
		b.ruined.Store(1)
	default:
		p.refused.Failure = l.refusal()
		b.metrics.refused(l, p.numbers-p.paid)
	}
}
