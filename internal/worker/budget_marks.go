package worker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys/budget"
	"github.com/lookupq/lookupq/results"
)

const (
	// marksTTL is how long what is spent is kept; the results stream keeps 7 days.
	marksTTL = 90 * 24 * time.Hour
	// markPrefix begins the keys of marks in the workers bucket; no worker's does.
	markPrefix = "_spent."
)

// budgetID is the parts of a budget's name in the ledger. Tokens hold no point.
type budgetID struct{ scope, tenant, campaign, currency, day string }

// String is the name.
func (i budgetID) String() string {
	if i.scope == scopeCampaign {
		return "c." + i.tenant + "." + i.campaign + "." + i.currency
	}
	if i.day != "" {
		return "d." + i.tenant + "." + i.currency + "." + i.day
	}
	return "t." + i.tenant + "." + i.currency
}

// parseBudgetID takes a name apart.
func parseBudgetID(s string) (budgetID, bool) {
	f := strings.Split(s, ".")
	switch {
	case f[0] == "c" && len(f) == 4:
		return budgetID{scope: scopeCampaign, tenant: f[1], campaign: f[2], currency: f[3]}, true
	case f[0] == "d" && len(f) == 4:
		return budgetID{scope: scopeTenant, tenant: f[1], currency: f[2], day: f[3]}, true
	case f[0] == "t" && len(f) == 3:
		return budgetID{scope: scopeTenant, tenant: f[1], currency: f[2]}, true
	}
	return budgetID{}, false
}

// learn finds out what was spent of a budget without Redis: what the stored results
// have cost, and the last that a worker kept beside them.
func (b *budgets) learn(ctx context.Context, id string) (budget.Past, error) {
	var past budget.Past
	of, ok := parseBudgetID(id)
	if !ok {
		return past, errors.New("no budget is called " + id)
	}
	campaign, since := of.campaign, time.Time{}
	if of.scope == scopeTenant {
		campaign = results.AnyCampaign
	}
	if of.day != "" {
		day, err := time.Parse(time.DateOnly, of.day)
		if err != nil {
			return past, err
		}
		since = day
	}
	sum, err := b.reader.Spent(ctx, of.tenant, campaign, since)
	if err == nil {
		past.Last, err = b.mark(ctx, id)
	}
	if err != nil {
		if ctx.Err() == nil {
			b.log.Warn().Str("budget", id).Err(err).Msg("it cannot be learned what was spent of a budget; its numbers wait")
		}
		return past, err
	}
	for _, c := range sum.Costs() {
		if c.Currency != of.currency {
			continue
		}
		if past.Results, ok = millionths(providers.Cost{Amount: c.Amount, Currency: c.Currency}); !ok {
			return past, errors.New("the results of " + id + " have cost more than can be counted")
		}
	}
	return past, nil
}

// storedMark is a Mark as it is kept in the workers bucket.
type storedMark struct {
	Version int   `json:"version"`
	Spent   int64 `json:"spent"`
	Epoch   int64 `json:"epoch"`
	N       int64 `json:"n"`
}

const markVersion = 1

// mark reads what was kept of a budget.
func (b *budgets) mark(ctx context.Context, id string) (budget.Mark, error) {
	kv, err := b.js.KeyValue(ctx, b.names.WorkersBucket())
	if err != nil {
		return budget.Mark{}, err
	}
	entry, err := kv.Get(ctx, markPrefix+id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return budget.Mark{}, nil
	}
	if err != nil {
		return budget.Mark{}, err
	}
	var m storedMark
	if err := json.Unmarshal(entry.Value(), &m); err != nil || m.Version != markVersion {
		return budget.Mark{}, errors.Join(err, errors.New("what was kept of budget "+id+" cannot be read"))
	}
	return budget.Mark{Spent: m.Spent, Epoch: m.Epoch, N: m.N}, nil
}

// keepMarks keeps what is spent outside of Redis, as far as it changed: the results do
// not tell all of it, and not for ever.
func (b *budgets) keepMarks(ctx context.Context, kept map[string]budget.Mark) {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, id := range b.ids() {
		m, known := b.ledger.Spent(id)
		if !known || m == kept[id] {
			continue
		}
		body, err := json.Marshal(storedMark{Version: markVersion, Spent: m.Spent, Epoch: m.Epoch, N: m.N})
		if err == nil {
			// The KV client cannot renew a key with a TTL, hence the plain publish.
			_, err = b.js.Publish(ctx, "$KV."+b.names.WorkersBucket()+"."+markPrefix+id, body, jetstream.WithMsgTTL(marksTTL))
		}
		if err != nil {
			return // tried again with the next tick
		}
		kept[id] = m
	}
}
