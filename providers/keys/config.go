package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
)

const (
	// DefaultLease is how long a permit outlives a worker that died, and for how long
	// nothing is granted after Redis lost data.
	DefaultLease = 15 * time.Second
	// DefaultRenew is the interval within which every pool renews.
	DefaultRenew = 5 * time.Second
	// defaultPerNumber is the window of a number rate that names none.
	defaultPerNumber = time.Second
)

// Limits are what one key, or a provider over all its keys, may do. 0 is no limit.
type Limits struct {
	// Concurrency is how many calls may be on the wire.
	Concurrency int
	// Rate and NumberRate are calls and numbers a second.
	Rate, NumberRate float64
	// NumberPer is the window in which NumberRate was given (N/m: a minute), 0 is
	// a second. No window of this length gets more numbers than the rate allows,
	// so no grant is larger either.
	NumberPer time.Duration
}

// KeyConfig is one key and its limits.
type KeyConfig struct {
	Key    providers.Key
	Limits Limits
	// LowBalance is the amount, in the upstream's unit, below which the balance is
	// low; 0 is none.
	LowBalance float64
}

// Config says what a Pool hands out.
type Config struct {
	// Provider is the name of the provider in the configuration; pools of the same
	// provider share its Limits.
	Provider string
	// Set names the keys of this pool where a provider's are divided among several
	// pools (reserved to tenants), Provider if empty: who waits for a permit only
	// goes before others that want the same keys.
	Set string
	// Type is the provider's type, Provider if empty. A secret of one type is one
	// key, under whatever names and providers it is configured.
	Type string
	// Keys are the provider's keys. Two of them with the same secret are one, with
	// the lower of their limits, and the first's name.
	Keys []KeyConfig
	// Limits hold over all keys together.
	Limits Limits
	// MaxBatch is the most that Acquire is ever asked for, 0 if not known. A number
	// rate that is no multiple of it is granted in even parts (1500/s by 1000: 750 each).
	MaxBatch int
	// Lease is how long a permit lasts without renewal (0: DefaultLease). A holder
	// trusts it for nine tenths of that. It is the guard as well: after Redis lost
	// data nothing is granted for a Lease, because a holder that is cut off goes on
	// for so long without knowing. The same for all pools of a Type.
	Lease time.Duration
	// Renew is the interval within which a pool renews its leases, and puts back what
	// Redis lost (0: DefaultRenew). At most half of Lease, so that one renewal may fail.
	Renew time.Duration
	// WorkerID shows in Redis who holds a permit.
	WorkerID string
	// Rand gives numbers in [0, 1) for jitter (nil: math/rand). Called in parallel.
	Rand func() float64
}

// withDefaults fills what is empty.
func (c Config) withDefaults() Config {
	if c.Type == "" {
		c.Type = c.Provider
	}
	if c.Set == "" {
		c.Set = c.Provider
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Renew == 0 {
		c.Renew = DefaultRenew
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c
}

// check says what is wrong with c.
func (c Config) check() error {
	var errs []error
	if c.MaxBatch < 0 {
		errs = append(errs, errors.New("largest batch: must not be negative"))
	}
	if c.Provider == "" || strings.ContainsAny(c.Provider+c.Type, "{} ") {
		errs = append(errs, fmt.Errorf("provider %q of type %q: names without braces and spaces are needed", c.Provider, c.Type))
	}
	if c.Renew <= 0 || c.Lease < 2*c.Renew {
		errs = append(errs, fmt.Errorf("lease %v, renew %v: a lease must last two renewals at least", c.Lease, c.Renew))
	}
	if err := c.Limits.check(); err != nil {
		errs = append(errs, fmt.Errorf("provider %s: %w", c.Provider, err))
	}
	names := map[string]bool{}
	for _, k := range c.Keys {
		if names[k.Key.Name] {
			errs = append(errs, fmt.Errorf("key name %q is used twice", k.Key.Name))
		}
		names[k.Key.Name] = true
		if err := k.Limits.check(); err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", k.Key.Name, err))
		}
		if !(k.LowBalance >= 0) || math.IsInf(k.LowBalance, 0) {
			errs = append(errs, fmt.Errorf("key %s: low balance: 0 (none) or positive", k.Key.Name))
		}
	}
	return errors.Join(errs...)
}

// check refuses limits that mean nothing.
func (l Limits) check() error {
	for _, v := range []float64{float64(l.Concurrency), l.Rate, l.NumberRate, float64(l.NumberPer)} {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("limits are 0 (none) or positive")
		}
	}
	return nil
}

// lower is the stricter of l and m in each limit.
func (l Limits) lower(m Limits) Limits {
	out := Limits{
		Concurrency: int(lowest(float64(l.Concurrency), float64(m.Concurrency))),
		Rate:        lowest(l.Rate, m.Rate),
		NumberRate:  lowest(l.NumberRate, m.NumberRate),
		NumberPer:   l.NumberPer,
	}
	if out.NumberRate != l.NumberRate {
		out.NumberPer = m.NumberPer
	}
	return out
}

// lowest is the smaller limit, where 0 is none.
func lowest(a, b float64) float64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// window is NumberPer in microseconds.
func (l Limits) window() int64 {
	if l.NumberPer == 0 {
		return defaultPerNumber.Microseconds()
	}
	return l.NumberPer.Microseconds()
}

// identity names a key in Redis: the same secret of the same type is the same
// key. A hash, for Redis must not hold secrets.
func identity(typ string, secret providers.Secret) string {
	sum := sha256.Sum256([]byte(typ + "\x00" + secret.Reveal()))
	return hex.EncodeToString(sum[:12])
}
