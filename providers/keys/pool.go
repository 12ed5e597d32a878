// Package keys hands out permits: the right to make one upstream call with one
// key now. All limits of all keys are kept in Redis, on Redis's clock, by one
// script an operation, so they hold over the whole fleet.
//
// In comes the configuration of one provider's keys; out go Grants, or a
// WaitError that says how long to wait and why. The caller runs Run and waits
// for it, or for Close; each Grant is ended by Release or Abandon.
//
// Nothing is granted while Redis is away, nor while a lease that it may have lost
// could still be trusted by its holder: no limit is ever kept from memory alone.
package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers"
)

const (
	// longestTrip bounds one Redis trip: while one hangs nothing is granted.
	longestTrip = time.Second
	// unlimitedShare is Share without a concurrency limit: enough to keep calls
	// going, little enough not to hoard jobs.
	unlimitedShare = 64
)

// Pool hands out the permits of one provider. Its methods may be called in parallel.
type Pool struct {
	cfg       Config
	rdb       redis.UniversalClient
	id        string        // this pool among all of the fleet
	opTimeout time.Duration // of one trip
	scripts   scripts
	names     []string       // KEYS of every script
	limits    []any          // ARGV: the limits of each entity
	keys      []*key         // entity i+1 is keys[i]
	byName    map[string]int // entity of a key's name; "" is the provider
	health    *health
	workers   atomic.Int64
	seq       atomic.Uint64

	// wire is held during a trip: a renewal must not overtake the release of a
	// lease it names, nor an Acquire the release that makes room for it.
	wire  chan struct{}
	epoch string        // the last one this pool renewed in; owned by who holds wire
	kick  chan struct{} // something is pending
	quit  chan struct{} // closed by Close
	gone  chan struct{} // closed when Run has returned

	mu      sync.Mutex
	leases  map[string]*lease // held or abandoned, until they end
	pending []op              // to be told to Redis
	// fullUntil is when to ask again after Redis said that no permit is left.
	fullUntil time.Time
	started   bool
	closed    bool
}

// key is one key of the pool.
type key struct {
	cfg KeyConfig
	// probe is the lease id of a probe that this pool made, nil if none is out.
	probe atomic.Pointer[string]
}

// NewPool checks cfg and returns a pool that has not talked to Redis yet. rdb
// should be redisdb.Open's: its timeouts and dial limits are assumed.
func NewPool(rdb redis.UniversalClient, cfg Config) (*Pool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("key pool: %w", err)
	}
	p := &Pool{
		cfg: cfg, rdb: rdb,
		id:        cfg.WorkerID + "-" + redisdb.NewEpochID(),
		opTimeout: min(longestTrip, cfg.Renew/2),
		scripts:   newScripts(),
		byName:    map[string]int{"": 0},
		health:    &health{rand: cfg.Rand},
		wire:      make(chan struct{}, 1),
		kick:      make(chan struct{}, 1),
		quit:      make(chan struct{}),
		gone:      make(chan struct{}),
		leases:    map[string]*lease{},
	}
	p.workers.Store(1)
	p.addKeys()
	return p, nil
}

// addKeys merges keys of one secret and names everything in Redis. All names
// share the hash tag {type}, so that a cluster keeps them on one node.
func (p *Pool) addKeys() {
	prefix := namesOf(p.cfg.Type)
	byID := map[string]int{}
	ids := []string{}
	for _, k := range p.cfg.Keys {
		id := identity(p.cfg.Type, k.Key.Secret)
		if i, known := byID[id]; known {
			have := p.keys[i-1]
			have.cfg.Limits = have.cfg.Limits.lower(k.Limits)
			have.cfg.LowBalance = max(have.cfg.LowBalance, k.LowBalance)
			p.byName[k.Key.Name] = i
			continue
		}
		p.keys = append(p.keys, &key{cfg: k})
		ids = append(ids, id)
		byID[id] = len(p.keys)
		p.byName[k.Key.Name] = len(p.keys)
	}
	p.names = []string{epochKey(p.cfg.Type), prefix + "wait:" + p.cfg.Provider}
	p.addEntity(prefix+"provider:"+p.cfg.Provider, p.cfg.Limits)
	for i, k := range p.keys {
		p.addEntity(prefix+"key:"+ids[i], k.cfg.Limits)
	}
}

// namesOf is what all names in Redis of keys of a type begin with.
func namesOf(typ string) string { return "lookupq:keys:{" + typ + "}:" }

// epochKey names the epoch of all keys of a type.
func epochKey(typ string) string { return namesOf(typ) + "epoch" }

// addEntity names what limits l guard.
func (p *Pool) addEntity(name string, l Limits) {
	p.names = append(p.names, name+":leases", name+":state")
	p.limits = append(p.limits, l.Concurrency, l.Rate, l.NumberRate, l.window())
}

// SetWorkers tells how many live workers share the keys. Cheap.
func (p *Pool) SetWorkers(n int) { p.workers.Store(int64(max(n, 1))) }

// Share is how many permits this worker may expect at a time: the concurrency of
// all keys, or of the provider if lower, divided by the live workers and rounded
// up. Where concurrency is not limited it is a share of 64. Cheap.
func (p *Pool) Share() int {
	total := 0
	for _, k := range p.keys {
		if k.cfg.Limits.Concurrency == 0 {
			total = unlimitedShare
			break
		}
		total += k.cfg.Limits.Concurrency
	}
	if c := p.cfg.Limits.Concurrency; c > 0 {
		total = min(total, c)
	}
	n := int(p.workers.Load())
	return (total + n - 1) / n
}

// lock takes the wire.
func (p *Pool) lock(ctx context.Context) error {
	select {
	case p.wire <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unlock gives the wire back.
func (p *Pool) unlock() { <-p.wire }

// send does one trip, with the wire held: first what is pending, then c (which
// may be empty). A failure marks Redis as away, unless it is the caller's own
// doing; what was pending is kept for the next trip.
func (p *Pool) send(ctx context.Context, c ...call) (any, error) {
	ops := p.takePending()
	if len(ops) > 0 {
		c = append([]call{{p.scripts.settle, p.opArgs(ops)}}, c...)
	}
	if len(c) == 0 {
		return nil, nil //nolint:nilnil // nothing asked, nothing answered
	}
	v, err := p.roundTrip(ctx, c...)
	if err == nil {
		p.health.answered()
		return v, nil
	}
	p.keepPending(ops)
	if err := ended(ctx); err != nil {
		return nil, err
	}
	return nil, p.health.failed(time.Now(), err)
}

// ended is why ctx is over, or nil. A connection may notice the deadline just
// before the context does.
func ended(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// ready prepares a trip, with the wire held: it fails while Redis is away, and
// after a failure it renews first, so that no lease is counted as lost.
func (p *Pool) ready(ctx context.Context) error {
	w, back := p.health.blocked(time.Now())
	if w != nil {
		return w
	}
	if back {
		return p.renew(ctx)
	}
	return nil
}

// errAway picks the outage out of an error for callers that report it.
func errAway(err error) error {
	if w, ok := errors.AsType[*WaitError](err); ok && w.Err != nil {
		return w.Err
	}
	return err
}

// Key returns the key called name, for calls that need no permit (balance).
func (p *Pool) Key(name string) (providers.Key, bool) {
	i := p.byName[name]
	if i == 0 {
		return providers.Key{}, false
	}
	return p.keys[i-1].cfg.Key, true
}
