package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/results"
)

// Events for the operators about keys.
const (
	eventLowBalance     = "low_balance"
	eventKeyQuarantined = "key_quarantined"
	eventKeyResumed     = "key_resumed"
)

const (
	// reviewEvery is how often the keys are looked after, give or take a quarter: one
	// Redis trip for each provider.
	reviewEvery = 2 * time.Second
	// readsAtOnce bounds the balances of one provider that are read at a time.
	readsAtOnce = 4
	// longestRead bounds one reading; a lookup's timeout may be longer.
	longestRead = 10 * time.Second
	// longestPostponed bounds how long an upstream may ask not to be asked.
	longestPostponed = time.Hour
)

// keyWatch looks after the keys of one provider: it reads balances when it is this
// worker's turn, shows what is known of them, and tells operators what changes.
// One goroutine, run's, owns it.
type keyWatch struct {
	provider string
	pool     *keys.Pool
	reader   providers.BalanceReader // nil if the upstream tells no balance
	timeout  time.Duration
	metrics  *Metrics
	log      zerolog.Logger
	publish  func(context.Context, results.Event) error
	units    map[string]string // of each key's balance in the metrics
	faults   map[string]string // kind of each key's last reading, if it failed
}

func (w *Worker) newKeyWatch(prov *provider) *keyWatch {
	reader, _ := prov.impl.(providers.BalanceReader)
	return &keyWatch{
		provider: prov.name, pool: prov.pool, reader: reader,
		timeout: min(cmp.Or(prov.cfg.Timeout, longestRead), longestRead),
		metrics: w.metrics, log: w.log,
		publish: func(ctx context.Context, e results.Event) error {
			ctx, cancel := context.WithTimeout(ctx, tellTimeout)
			defer cancel()
			return w.pipeline.burier.Tell(ctx, e, tellTimeout)
		},
		units: map[string]string{}, faults: map[string]string{},
	}
}

// run looks after the keys until ctx ends.
func (k *keyWatch) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		k.round(ctx)
		timer.Reset(time.Duration((0.75 + rand.Float64()/2) * float64(reviewEvery))) //nolint:gosec // a spread, no secret
	}
}

// round looks after the keys once.
func (k *keyWatch) round(ctx context.Context) {
	all, err := k.pool.Review(ctx, k.reader != nil)
	if err != nil {
		return // no calls are made without Redis, which is logged where they wait
	}
	var due []string
	for i := range all {
		k.show(&all[i])
		if all[i].Changed {
			k.tellChange(ctx, &all[i])
		}
		if all[i].Read {
			due = append(due, all[i].Name)
		}
	}
	k.read(ctx, due)
}

// show puts the balance into the metrics.
func (k *keyWatch) show(r *keys.Review) {
	unit, shown := k.units[r.Name]
	if shown && (r.Balance == nil || r.Balance.Unit != unit) {
		k.metrics.ForgetBalance(k.provider, r.Name)
		delete(k.units, r.Name)
	}
	if r.Balance != nil {
		k.metrics.KeyBalance(k.provider, r.Name, r.Balance.Unit, r.Balance.Amount)
		k.units[r.Name] = r.Balance.Unit
	}
}

// reading is what came of asking for one balance.
type reading struct {
	balance providers.Balance
	failure *providers.Failure
}

// read asks for the balances of the keys, a few at a time.
func (k *keyWatch) read(ctx context.Context, due []string) {
	readings := make([]reading, len(due))
	var group errgroup.Group
	group.SetLimit(readsAtOnce)
	for i, name := range due {
		group.Go(func() error {
			readings[i] = k.ask(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	for i, name := range due {
		if ctx.Err() != nil {
			return // the worker stops: a reading that was cut short says nothing
		}
		k.note(ctx, name, readings[i])
	}
}

// ask asks for one balance. It takes no permit: there is one such call every half
// minute at most.
func (k *keyWatch) ask(ctx context.Context, name string) (r reading) {
	key, ok := k.pool.Key(name)
	if !ok {
		return reading{failure: &providers.Failure{Kind: providers.KindInternal, Message: "no such key"}}
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	return askBalance(ctx, k.reader, key)
}

// askBalance turns a panic of the provider into a failure.
func askBalance(ctx context.Context, reader providers.BalanceReader, key providers.Key) (r reading) {
	defer func() {
		if p := recover(); p != nil {
			r.failure = &providers.Failure{Kind: providers.KindInternal, Message: fmt.Sprintf("the provider panicked with a %T", p)}
		}
	}()
	r.balance, r.failure = reader.Balance(ctx, key)
	return r
}

// note tells the fleet what was read. A reading that failed changes nothing.
func (k *keyWatch) note(ctx context.Context, name string, r reading) {
	kind := ""
	if r.failure != nil {
		kind = r.failure.Kind.String()
	}
	k.metrics.BalanceRead(k.provider, name, cmp.Or(kind, "ok"))
	if last := k.faults[name]; kind != last {
		k.faults[name] = kind
		if r.failure != nil {
			k.log.Warn().Str("provider", k.provider).Str("key", name).Err(r.failure).Msg("the balance cannot be read; the last one stands")
		} else {
			k.log.Info().Str("provider", k.provider).Str("key", name).Msg("the balance can be read again")
		}
	}
	if r.failure != nil {
		if d := min(r.failure.RetryAfter, longestPostponed); d > 0 {
			_ = k.pool.Postpone(ctx, name, d) // told later if not now
		}
		return
	}
	low, err := k.pool.NoteBalance(ctx, name, r.balance)
	if err != nil {
		k.log.Warn().Str("provider", k.provider).Str("key", name).Err(err).Msg("the balance could not be stored; it is read again")
		return
	}
	if low != "" {
		k.tellLow(ctx, name, low, r.balance)
	}
}

// tellLow tells operators that a balance is low, under the fleet's id for it. What
// is not published is told again after the next reading.
func (k *keyWatch) tellLow(ctx context.Context, name, id string, b providers.Balance) {
	bound := k.pool.LowBalance(name)
	err := k.tell(ctx, eventLowBalance, id, map[string]any{
		"provider": k.provider, "key": name, "balance": b.Amount, "unit": b.Unit, "low_balance": bound, "at": now(),
	})
	if err != nil {
		return
	}
	k.log.Warn().Str("provider", k.provider).Str("key", name).Str("balance", balanceText(b)).Float64("low_balance", bound).
		Msg("the balance is low: top it up")
	_ = k.pool.Told(ctx, name, id) // told later if not now
}

// tellChange tells operators that a key is out of use, or is back.
func (k *keyWatch) tellChange(ctx context.Context, r *keys.Review) {
	fields := map[string]any{"provider": k.provider, "key": r.Name, "at": now()}
	event := eventKeyQuarantined
	if r.To == "" {
		event, fields["reason"] = eventKeyResumed, r.From
		k.log.Info().Str("provider", k.provider).Str("key", r.Name).Str("was", r.From).Msg("the key is in use again")
	} else {
		fields["reason"] = r.To
		k.log.Warn().Str("provider", k.provider).Str("key", r.Name).Str("reason", r.To).
			Msg("the key is out of use for all workers; it is tried again now and then")
	}
	_ = k.tell(ctx, event, ulid.Make().String(), fields) // logged; the log has it too
}

// tell publishes an event for the operators.
func (k *keyWatch) tell(ctx context.Context, name, id string, fields map[string]any) error {
	data, err := json.Marshal(fields)
	if err == nil {
		err = k.publish(ctx, results.Event{
			Tenant: names.SystemTenant, Campaign: names.NoCampaign, Name: name, ID: id, Data: data,
		})
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn().Str("provider", k.provider).Str("event", name).Err(err).Msg("event about a key not published")
	}
	return err
}

// now is the time as events say it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// balanceText is a balance for people.
func balanceText(b providers.Balance) string {
	text := strconv.FormatFloat(b.Amount, 'f', -1, 64) + " " + b.Unit
	if b.Postpaid {
		text += " (postpaid)"
	}
	return text
}

// checkBalances warns of bounds that nothing can be held against.
func checkBalances(r *reader, path string, p Provider, built providers.Provider) {
	if _, ok := built.(providers.BalanceReader); ok {
		return
	}
	for i, k := range p.Keys {
		if k.LowBalance > 0 {
			at := fmt.Sprintf("%s.keys[%d].low_balance", path, i)
			r.warn(at, "is of no use: "+p.Type+" tells no balance")
		}
	}
}
