package worker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers/keys/budget"
	"github.com/lookupq/lookupq/results"
)

// eventBudgetExhausted tells a tenant that a budget is spent.
const eventBudgetExhausted = "budget_exhausted"

const (
	// recordsEvery is how often campaign records are read again.
	recordsEvery = 2 * time.Second
	// recordTimeout bounds the reading of one.
	recordTimeout = 2 * time.Second
	// marksEvery is how often what is spent is kept outside of Redis.
	marksEvery = 10 * time.Second
	// walletUnused is how long a wallet without jobs is kept.
	walletUnused = time.Minute
)

// outside is what budgets need of the rest of the worker.
type outside struct {
	log        zerolog.Logger
	js         jetstream.JetStream
	names      names.Names
	reader     *results.Reader
	inUse      func() []*job
	reconsider func() // items that wait for money are tried again
	publish    func(context.Context, results.Event) error
}

// openBudgets makes the budgets; run keeps them.
func (w *Worker) openBudgets(context.Context) error {
	n := w.cfg.Names()
	b := &budgets{
		cfg: w.cfg, now: time.Now, kick: make(chan struct{}, 1), spent: make(chan exhausted, 64),
		records: jobs.NewCampaigns(w.nc, n, ""), metrics: newBudgetMetrics(w.metrics, w.cfg), wallets: map[[2]string]*wallet{},
		outside: outside{
			log: w.log, js: w.js, names: n, reader: results.NewReader(w.js, n),
			inUse: w.pipeline.jobs.list,
			reconsider: func() {
				for _, prov := range w.providers {
					prov.loop.Reconsider()
				}
				w.claimer.Wake()
			},
			publish: func(ctx context.Context, e results.Event) error {
				ctx, cancel := context.WithTimeout(ctx, tellTimeout)
				defer cancel()
				return w.pipeline.burier.Tell(ctx, e, tellTimeout)
			},
		},
	}
	var err error
	b.ledger, err = budget.New(w.rdb, budget.Config{
		Prefix: n.Prefix, WorkerID: w.opt.ID, Guard: w.opt.Lease / 3, Learn: b.learn,
	})
	w.pipeline.budgets = b
	return err
}

// run keeps wallets and ledger until ctx ends: after the last call was settled.
func (b *budgets) run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.ledger.Run(ctx)
	}()
	records, marks := time.NewTicker(recordsEvery), time.NewTicker(marksEvery)
	defer records.Stop()
	defer marks.Stop()
	kept := map[string]budget.Mark{}
	told := map[string]int64{}
	for {
		select {
		case <-ctx.Done():
			<-done
			b.keepMarks(context.WithoutCancel(ctx), kept)
			return
		case <-b.kick:
			b.refresh(ctx, false)
		case <-records.C:
			b.refresh(ctx, true)
			b.show(ctx)
		case <-marks.C:
			b.keepMarks(ctx, kept)
		case e := <-b.spent:
			if told[e.id] != e.amount+1 && b.tell(ctx, &e) {
				told[e.id] = e.amount + 1
			}
		}
	}
}

// linesOf is what binds a wallet. It reads the campaign's record if that was not read yet.
func (b *budgets) linesOf(ctx context.Context, p *wallet) ([]budgetLine, error) {
	if lines := p.lines.Load(); lines != nil {
		return *lines, nil
	}
	if err := b.read(ctx, p); err != nil {
		return nil, err
	}
	return *p.lines.Load(), nil
}

// read reads a campaign's record.
func (b *budgets) read(ctx context.Context, p *wallet) error {
	p.load.Lock()
	defer p.load.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	rec, err := b.records.Get(ctx, p.tenant, p.campaign)
	if err != nil && !errors.Is(err, jobs.ErrNoCampaign) {
		if p.lines.Load() == nil && ctx.Err() == nil {
			b.log.Warn().Str("tenant", p.tenant).Str("campaign", p.campaign).Err(err).Msg("the campaign's budget cannot be read; its numbers wait")
		}
		return err
	}
	lines := b.tenantLines(p.tenant)
	if err == nil && rec.Budget != nil {
		lines = append(lines, b.campaignLine(p, rec.Budget))
	}
	b.set(p, lines)
	return nil
}

// campaignLine is the budget that a record tells.
func (b *budgets) campaignLine(p *wallet, r *jobs.Budget) budgetLine {
	t, _ := b.cfg.Tenant(p.tenant)
	l := budgetLine{scope: scopeCampaign, tenant: p.tenant, campaign: p.campaign, wait: t.Budget.Wait}
	var errs [3]error
	l.amount, errs[0] = parseMoney(r.Amount)
	l.currency, errs[1] = parseCurrency(r.Currency)
	if r.OnExhausted != "" {
		l.wait, errs[2] = parseExhausted(r.OnExhausted)
	}
	if err := errors.Join(errs[:]...); err != nil {
		l.fault = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return l
}

// set notes what binds a wallet, and has what waits for money tried again if that changed.
func (b *budgets) set(p *wallet, lines []budgetLine) {
	old := p.lines.Load()
	if old != nil && slices.Equal(*old, lines) {
		return
	}
	p.lines.Store(&lines)
	var ids []string
	for i := range lines {
		if lines[i].fault != "" {
			b.log.Warn().Str("tenant", p.tenant).Str("campaign", p.campaign).Str("fault", lines[i].fault).
				Msg("the campaign's budget cannot be kept to; its numbers fail")
			continue
		}
		b.warnUncovered(&lines[i])
		ids = append(ids, lines[i].id(b.now()))
	}
	b.ledger.Prepare(ids...)
	if old != nil {
		p.broke.Store(0)
		b.reconsider()
	}
}

// warnUncovered says that no key's price is in the currency of a campaign's budget.
func (b *budgets) warnUncovered(l *budgetLine) {
	if l.scope != scopeCampaign {
		return // worker check says it
	}
	for _, p := range b.cfg.Providers {
		for _, k := range p.Keys {
			if k.Price.Currency == l.currency {
				return
			}
		}
	}
	b.log.Warn().Str("tenant", l.tenant).Str("campaign", l.campaign).Str("currency", l.currency).
		Msg("no key has a price in the currency of the campaign's budget: it only covers what providers report, after each call")
}

// refresh reads the records of campaigns that are worked on; only those that are new,
// unless all is set. It forgets those without jobs.
func (b *budgets) refresh(ctx context.Context, all bool) {
	now := b.now()
	if all {
		for _, j := range b.inUse() {
			j.wallet.used.Store(now.UnixNano())
		}
	}
	var due []*wallet
	ruined := int64(0)
	again := false
	b.mu.Lock()
	for at, p := range b.wallets {
		broke := p.broke.Load()
		switch {
		case broke > now.UnixNano():
			ruined++
		case broke > 0:
			p.broke.Store(0)
			again = true
		case now.UnixNano()-p.used.Load() > int64(walletUnused):
			delete(b.wallets, at)
			continue
		}
		if p.campaign != names.NoCampaign && (all || p.lines.Load() == nil) {
			due = append(due, p)
		}
	}
	b.ruined.Store(ruined)
	b.mu.Unlock()
	for _, p := range due {
		_ = b.read(ctx, p) // logged; the last that was read stands
	}
	if again {
		b.reconsider()
	}
}

// paused reports whether a campaign waits for money, so that nothing is pulled for it. Cheap.
func (b *budgets) paused(tenant, campaign string) bool {
	if b.ruined.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.wallets[[2]string{tenant, campaign}]
	return p != nil && p.broke.Load() > b.now().UnixNano()
}

// tell publishes that a budget is spent, once over the fleet.
func (b *budgets) tell(ctx context.Context, e *exhausted) bool {
	m, _ := b.ledger.Spent(e.id)
	campaign, action := e.campaign, "fail"
	if campaign == "" {
		campaign = names.NoCampaign
	}
	if e.wait {
		action = "wait"
	}
	limit := moneyText(e.amount)
	data, err := json.Marshal(map[string]any{
		"scope": e.scope, "budget": map[string]string{"amount": limit, "currency": e.currency}, "per_day": e.perDay,
		"spent": map[string]string{"amount": moneyText(m.Spent), "currency": e.currency}, "on_exhausted": action, "at": now(),
	})
	if err == nil {
		err = b.publish(ctx, results.Event{Tenant: e.tenant, Campaign: campaign, Name: eventBudgetExhausted, ID: e.id + "." + limit, Data: data})
	}
	if err != nil {
		if ctx.Err() == nil {
			b.log.Warn().Str("budget", e.id).Err(err).Msg("event about a spent budget not published; it is tried again")
		}
		return false
	}
	b.log.Warn().Str("scope", e.scope).Str("tenant", e.tenant).Str("campaign", campaign).Str("budget", limit+" "+e.currency).
		Str("spent", moneyText(m.Spent)).Str("on_exhausted", action).Msg("a budget is spent")
	b.ledger.Told(e.id, strconv.FormatInt(e.amount, 10))
	return true
}
