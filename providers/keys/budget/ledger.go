// Package budget keeps what was spent of money budgets in Redis, for a whole fleet.
//
// In comes what a call may cost at most, before it is made (Reserve), and what it
// did cost (Settle); out goes how many of its numbers can be paid. A reservation is
// spent until it is settled: what a worker that died had on the wire may have been
// charged. So at any time no more is spent than the limit and what calls under way
// cost above their price.
//
// Nothing is granted while Redis is away. When it has lost data (FLUSHALL, a restart,
// a failover), every ledger tells it what it remembers, and nothing is granted for
// Config.Guard and before Config.Learn has said what the stored results cost: the
// larger counts. A budget never starts at zero because it is not found.
//
// The caller runs Run, and ends it after the last Settle.
package budget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
)

const (
	// DefaultGuard is for how long nothing is granted after lost data, so that every
	// ledger has told what it remembers.
	DefaultGuard = 5 * time.Second
	// DefaultPatience is how long the money held by calls under way may come back.
	DefaultPatience = time.Minute
	// longestTrip bounds one Redis trip.
	longestTrip = time.Second
	// remembered is how long a budget that nobody uses is kept in memory, so that it
	// can be told to a Redis that lost it.
	remembered = 7 * 24 * time.Hour
)

// Mark is what was spent at some time, in millionths.
type Mark struct {
	Spent int64
	// Epoch and N order marks of one budget: when the life of Redis began that it is
	// from (ms), and the count of changes in it. Epoch 0 is no mark.
	Epoch, N int64
}

// newer reports whether m is a later word than o.
func (m Mark) newer(o Mark) bool {
	return cmp.Or(cmp.Compare(m.Epoch, o.Epoch), cmp.Compare(m.N, o.N)) > 0
}

// Past is what is known of a budget without Redis.
type Past struct {
	// Results is what the stored results cost.
	Results int64
	// Last is what was remembered elsewhere, the zero Mark if nothing was.
	Last Mark
}

// Config is what a Ledger works with.
type Config struct {
	// Prefix is the deployment's, as in its NATS subjects.
	Prefix string
	// WorkerID tells this ledger from others, and from that of its last life.
	WorkerID string
	// Guard and Patience default to DefaultGuard and DefaultPatience.
	Guard, Patience time.Duration
	// Learn says what is known of a budget that Redis does not know. It may take its
	// time, and is called in parallel; after an error it is called again.
	Learn func(ctx context.Context, id string) (Past, error)
}

// Ledger reserves and settles. Its methods may be called in parallel.
type Ledger struct {
	cfg     Config
	rdb     redis.UniversalClient
	id      string
	scripts scripts
	tasks   sync.WaitGroup
	slots   chan struct{} // of Learn

	// wire is held during a trip: reservations and settlements of a ledger reach Redis
	// in the order of their numbers.
	wire   chan struct{}
	epoch  string // the last one that this ledger's memory was told to; owned by who holds wire
	number int64  // of the last reservation or settlement; likewise
	batch  *settlement
	kick   chan struct{}

	mu       sync.Mutex
	seen     map[string]memory
	pending  map[string]change
	undo     []lostCall
	learning map[string]bool // asked for, or under way
	asked    []string        // to be learned
}

// memory is the last that is known of a budget.
type memory struct {
	mark Mark
	used time.Time
}

// Limit is one budget that a purse is bound by.
type Limit struct {
	// ID names the budget in the whole deployment, its currency included.
	ID string
	// Most may be spent of it, Price is what a number costs at most; in millionths.
	// Price is 1 at least.
	Most, Price int64
}

// Want is N numbers that are paid from one purse: all its budgets must allow them.
type Want struct {
	N      int
	Limits []Limit
}

// Grant is what became of a Want.
type Grant struct {
	// N numbers are paid.
	N int
	// By is the index in Want.Limits of the budget that refuses the others, -1 if
	// there are none.
	By int
	// Soft says that calls under way hold money which may come back.
	Soft bool
	// Tell says that operators have not been told, as far as is known, that By is
	// spent at its limit; see Told.
	Tell bool
}

// WaitError says that nothing can be granted now.
type WaitError struct {
	// After is when to ask again.
	After time.Duration
	// Reason is a log word.
	Reason string
	Err    error
}

// Error implements error.
func (e *WaitError) Error() string {
	text := "no money: " + e.Reason + ", ask again in " + e.After.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap is what Redis said.
func (e *WaitError) Unwrap() error { return e.Err }

const (
	// waitAway, waitLearning and waitVersion are how soon to ask again.
	waitAway     = 500 * time.Millisecond
	waitLearning = 50 * time.Millisecond
	waitVersion  = 10 * time.Second
	// learners is how many budgets are learned at a time.
	learners = 4
)

// New makes a ledger that has not talked to Redis yet.
func New(rdb redis.UniversalClient, cfg Config) (*Ledger, error) {
	if cfg.Prefix == "" || strings.ContainsAny(cfg.Prefix, "{} ") || cfg.Learn == nil {
		return nil, errors.New("ledger of budgets: needs a prefix without braces and spaces, and a way to learn")
	}
	cfg.Guard = cmp.Or(cfg.Guard, DefaultGuard)
	cfg.Patience = cmp.Or(cfg.Patience, DefaultPatience)
	return &Ledger{
		cfg: cfg, rdb: rdb, id: cfg.WorkerID + "-" + redisdb.NewEpochID(), scripts: newScripts(),
		slots: make(chan struct{}, learners), wire: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		seen: map[string]memory{}, pending: map[string]change{}, learning: map[string]bool{},
	}, nil
}

// names are the KEYS of a script: all under one hash tag, for a cluster.
func (l *Ledger) names(ids []string) []string {
	prefix := l.cfg.Prefix + ":{budget}:"
	out := make([]string, 2, 2+len(ids))
	out[0], out[1] = prefix+"epoch", prefix+"caller:"+l.id
	for _, id := range ids {
		out = append(out, prefix+"b:"+id)
	}
	return out
}

// Spent is the last that this ledger heard of a budget, in millionths; false if it
// never did. Cheap.
func (l *Ledger) Spent(id string) (Mark, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.seen[id]
	return m.mark, ok
}

// remember takes what Redis said of a budget.
func (l *Ledger) remember(id string, m Mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.seen[id]; !m.newer(old.mark) {
		m = old.mark
	}
	l.seen[id] = memory{m, time.Now()}
}

// memories are all that this ledger remembers; what nobody uses any more is forgotten.
func (l *Ledger) memories() (ids []string, marks []Mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, m := range l.seen {
		if time.Since(m.used) > remembered {
			delete(l.seen, id)
			continue
		}
		ids, marks = append(ids, id), append(marks, m.mark)
	}
	return ids, marks
}

// lock takes the wire.
func (l *Ledger) lock(ctx context.Context) error {
	select {
	case l.wire <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ledger of budgets: %w", context.Cause(ctx))
	}
}

// unlock gives the wire back.
func (l *Ledger) unlock() { <-l.wire }
