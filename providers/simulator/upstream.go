package simulator

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// upstream is one simulated upstream at work: its ledger and what its keys have
// left. What it says is a file of its own for each.
type upstream struct {
	name   Upstream
	server *Server
	ledger *Ledger

	mu       sync.Mutex
	common   *Common
	rng      *rand.Rand
	limiters map[string]*limiter
	accounts map[string]*account
}

// account is one key's standing. Money is in ten-thousandths.
type account struct {
	key   Key
	calls int64
	spent int64
}

// moneyUnit is the smallest sum: prices have four decimals.
const moneyUnit = 10_000

// standing says whether the upstream takes a key.
type standing uint8

const (
	keyUnknown standing = iota
	keyForbidden
	keyGood
)

// set changes the behaviour for the calls to come. Balances and limits start anew.
func (u *upstream) set(p *Profile) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.common = p.common(u.name)
	u.rng = rand.New(rand.NewPCG(p.Seed, 1)) //nolint:gosec // repeatable faults, no secrets
	u.limiters = map[string]*limiter{}
	u.accounts = map[string]*account{}
	for _, k := range u.common.Keys {
		u.accounts[k.Key] = &account{key: k}
	}
}

// random draws one share in [0,1).
func (u *upstream) random() float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rng.Float64()
}

// happens draws whether something of this share happens now.
func (u *upstream) happens(share float64) bool { return share > 0 && u.random() < share }

// shuffle puts n things in random order.
func (u *upstream) shuffle(n int, swap func(i, j int)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rng.Shuffle(n, swap)
}

// jitter is a random part of d.
func (u *upstream) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(u.random() * float64(d))
}

// limiterOf returns the limiter of a key, made on first use.
func (u *upstream) limiterOf(key string) *limiter {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.limiters[key]
	if l == nil {
		limits := u.common.Limits
		if a := u.accounts[key]; a != nil {
			limits = merge(a.key.Limits, limits)
		}
		l = &limiter{limits: limits}
		u.limiters[key] = l
	}
	return l
}

func merge(l, base Limits) Limits {
	if l.Concurrency == 0 {
		l.Concurrency = base.Concurrency
	}
	if l.Rate == 0 {
		l.Rate = base.Rate
	}
	if l.NumberRate == 0 {
		l.NumberRate = base.NumberRate
	}
	if l.RetryAfter == 0 {
		l.RetryAfter = base.RetryAfter
	}
	if l.RetryAfterForm == "" {
		l.RetryAfterForm = base.RetryAfterForm
	}
	return l
}

// visit counts a call of the key and says whether the upstream takes it. Without
// configured keys it takes all of them.
func (u *upstream) visit(key string) standing {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[key]
	if a == nil {
		if len(u.common.Keys) == 0 {
			return keyGood
		}
		return keyUnknown
	}
	a.calls++
	switch {
	case a.key.RevokedAfter > 0 && a.calls > a.key.RevokedAfter:
		return keyUnknown
	case a.key.Forbidden:
		return keyForbidden
	}
	return keyGood
}

// keyOf returns the configured key, if it is one.
func (u *upstream) keyOf(key string) (Key, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a := u.accounts[key]; a != nil {
		return a.key, true
	}
	return Key{}, len(u.common.Keys) == 0
}

// charge takes cost from the key's balance; false if it has too little and may
// not go below zero.
func (u *upstream) charge(key string, cost float64, postpaid bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[key]
	if a == nil || a.key.Balance == nil {
		return true
	}
	units := int64(math.Round(cost * moneyUnit))
	if !postpaid && a.spent+units > int64(math.Round(*a.key.Balance*moneyUnit)) {
		return false
	}
	a.spent += units
	return true
}

// unlimited is the balance of keys without one.
const unlimited = 1_000_000

// balance is what a key has left.
func (u *upstream) balance(key string) float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[key]
	if a == nil || a.key.Balance == nil {
		return unlimited
	}
	return (math.Round(*a.key.Balance*moneyUnit) - float64(a.spent)) / moneyUnit
}
