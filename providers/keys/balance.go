package keys

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers"
)

// CauseNoBalance is the cause of keys whose money is spent: the one that a balance
// brings about and ends. It is the word of providers.KindNoBalance.
const CauseNoBalance = "no_balance"

const (
	// readEvery is how often a balance is read, by one worker of the fleet.
	readEvery = 5 * time.Minute
	// readLowEvery is how often while it is low, or the key is out of use for want
	// of money: a top-up is noticed within it.
	readLowEvery = 30 * time.Second
	// verifyAfter is how soon after a reading the upstream's fresh word that there
	// is no money is verified by another.
	verifyAfter = 5 * time.Second
	// readSpread is how far these are spread, so that keys are not read in step.
	readSpread = 0.1
)

// Balance is what a key had left when it was last read, by whichever worker.
type Balance struct {
	providers.Balance

	// At is when it was read.
	At time.Time
}

// Review is what there is to do about one key, and to tell of it.
type Review struct {
	Name string
	// Read says that this caller, and no other of the fleet, is to read the balance
	// now and tell it by NoteBalance.
	Read bool
	// Balance is the last one, nil if there is none; Low says that it is below
	// KeyConfig.LowBalance.
	Balance *Balance
	Low     bool
	// Changed says, once over the fleet, that the key was quarantined, Resumed, or
	// is quarantined for another reason. From and To are the reasons, "" for none.
	Changed  bool
	From, To string
}

// Review looks after all keys in one Redis trip; to be called every few seconds.
// reads says that their balances can be read. A worker that gets a turn and dies is
// replaced when the next reading is due. Those are 5 minutes apart; 30 seconds while
// the balance is low or the key quarantined for want of money; as far apart as its
// probes while it is quarantined for anything else; and not before a pause is over.
func (p *Pool) Review(ctx context.Context, reads bool) ([]Review, error) {
	args := make([]any, 0, 2+3*len(p.keys))
	args = append(args, flag(reads), verifyAfter.Milliseconds())
	for _, k := range p.keys {
		args = append(args, k.cfg.LowBalance, p.spread(readEvery).Milliseconds(), p.spread(readLowEvery).Milliseconds())
	}
	v, err := p.roundTrip(ctx, call{p.scripts.review, args})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r := newReply(v)
	out := make([]Review, 0, len(p.keys))
	for _, k := range p.keys {
		one := newReply(r.next())
		x := Review{Name: k.cfg.Key.Name, Read: one.number() == 1, Balance: readBalance(one, now)}
		x.Low, x.Changed, x.From, x.To = one.number() == 1, one.number() == 1, one.text(), one.text()
		if one.err != nil {
			return nil, one.err
		}
		out = append(out, x)
	}
	return out, r.err
}

// spread is d, give or take.
func (p *Pool) spread(d time.Duration) time.Duration {
	return time.Duration((1 + readSpread*(2*p.cfg.Rand()-1)) * float64(d))
}

// NoteBalance tells the fleet the balance that was read of a key. A prepaid key
// with nothing left is quarantined (CauseNoBalance) before a call fails; one that is
// quarantined for that is resumed, once for each amount that the upstream did not
// accept. A postpaid balance, however far below zero, quarantines nothing.
//
// low is not empty while the fleet has not told operators that the balance fell
// below KeyConfig.LowBalance: publish it under that id, then call Told.
func (p *Pool) NoteBalance(ctx context.Context, name string, b providers.Balance) (low string, err error) {
	i := p.byName[name]
	if i == 0 {
		return "", fmt.Errorf("balance: provider %s has no key called %q", p.cfg.Provider, name)
	}
	if math.IsNaN(b.Amount) || math.IsInf(b.Amount, 0) {
		return "", fmt.Errorf("balance of key %s: the amount is no number", name)
	}
	v, err := p.roundTrip(ctx, call{p.scripts.balance, []any{
		i, strconv.FormatFloat(b.Amount, 'g', -1, 64), b.Unit, flag(b.Postpaid), p.keys[i-1].cfg.LowBalance,
		redisdb.NewEpochID(),
	}})
	if err != nil {
		return "", err
	}
	r := newReply(v)
	low = r.text()
	return low, r.err
}

// Told says that the event id, of NoteBalance, is published.
func (p *Pool) Told(ctx context.Context, name, id string) error {
	return p.tell(ctx, name, op{what: opTold, id: id, until: time.Now().Add(keepTelling)})
}

// Postpone has the balance of a key not read for d: the upstream asked for it.
func (p *Pool) Postpone(ctx context.Context, name string, d time.Duration) error {
	return p.tell(ctx, name, op{what: opPostpone, until: time.Now().Add(d)})
}

// LowBalance is the amount below which the balance of the key called name is low, 0
// if there is none.
func (p *Pool) LowBalance(name string) float64 {
	if i := p.byName[name]; i > 0 {
		return p.keys[i-1].cfg.LowBalance
	}
	return 0
}

// readBalance reads what review.lua and status.lua tell of a balance.
func readBalance(r *reply, now time.Time) *Balance {
	amount, unit, postpaid, age := r.text(), r.text(), r.number() == 1, r.number()
	if r.err != nil || age < 0 {
		return nil
	}
	b := &Balance{At: now.Add(-time.Duration(age) * time.Millisecond)}
	b.Unit, b.Postpaid = unit, postpaid
	if b.Amount, r.err = strconv.ParseFloat(amount, 64); r.err != nil {
		return nil
	}
	return b
}

// flag is a boolean as scripts read it.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
