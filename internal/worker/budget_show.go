package worker

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// ids are the budgets in use.
func (b *budgets) ids() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	var out []string
	for _, p := range b.wallets {
		if lines := p.lines.Load(); lines != nil {
			for i := range *lines {
				if (*lines)[i].fault == "" {
					out = append(out, (*lines)[i].id(now))
				}
			}
		}
	}
	for name, t := range b.cfg.Tenants {
		if t.Budget.Currency != "" && name != anyTenant {
			out = append(out, b.tenantLines(name)[0].id(now))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// show asks what is spent, for metrics and status.
func (b *budgets) show(ctx context.Context) {
	ids := b.ids()
	if len(ids) == 0 || b.ledger.Look(ctx, ids...) != nil {
		return // no calls are made without Redis, which is logged where they wait
	}
	now := b.now()
	for name := range b.cfg.Tenants {
		if name == anyTenant {
			continue
		}
		for _, l := range b.tenantLines(name) {
			m, _ := b.ledger.Spent(l.id(now))
			b.metrics.spent.WithLabelValues(name, l.currency).Set(float64(m.Spent) / million)
			b.metrics.limit.WithLabelValues(name, l.currency).Set(float64(l.amount) / million)
		}
	}
}

// status is what is spent of a tenant's or campaign's own budget; nil if there is none.
func (b *budgets) status(tenant, campaign string) *BudgetStatus {
	var lines []budgetLine
	if campaign == "" {
		lines = b.tenantLines(tenant)
	} else {
		b.mu.Lock()
		p := b.wallets[[2]string{tenant, campaign}]
		b.mu.Unlock()
		if p != nil && p.lines.Load() != nil {
			lines = *p.lines.Load()
		}
	}
	for i := range lines {
		if l := &lines[i]; (campaign == "") == (l.scope == scopeTenant) {
			m, _ := b.ledger.Spent(l.id(b.now()))
			return &BudgetStatus{
				Amount: moneyText(l.amount), Spent: moneyText(m.Spent), Currency: l.currency, PerDay: l.perDay,
				Exhausted: m.Spent >= l.amount, Fault: l.fault,
			}
		}
	}
	return nil
}

// budgetMetrics are bounded: tenants of the configuration only, and no campaigns.
type budgetMetrics struct {
	tenants      labelSet
	spent, limit *prometheus.GaugeVec
	refusals     *prometheus.CounterVec
}

func newBudgetMetrics(m *Metrics, cfg *Config) *budgetMetrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}, []string{"tenant", "currency"})
	}
	b := &budgetMetrics{
		tenants:  labelSet{},
		spent:    gauge("budget_spent", "What is spent of a tenant's budget, money of calls under way included; the same on every worker."),
		limit:    gauge("budget_limit", "The tenant's budget."),
		refusals: counterVec("budget_refused_total", "Numbers that were not asked because a budget is spent.", "tenant", "scope"),
	}
	for name := range cfg.Tenants {
		b.tenants[name] = true
	}
	m.registry.MustRegister(b.spent, b.limit, b.refusals)
	return b
}

// refused counts numbers that a budget refused for good.
func (b *budgetMetrics) refused(l *budgetLine, n int) {
	b.refusals.WithLabelValues(b.tenants.bound(l.tenant), l.scope).Add(float64(n))
}
