// Package tickets keeps the batches of one deferred provider in a JetStream KV
// bucket: what was handed in (the ticket) and what came back for each number (the
// receipts). What comes in: calls of the packer, receipts that the upstream
// posts, pages that the poller asks for. What goes out: outcomes for the numbers
// that this worker's packer waits for. A ticket is stored before the upstream
// hears of it, so whatever dies, no number is handed in twice and all are answered.
//
// Every worker sees all tickets. One owns each: it asks for stragglers, gives up
// and clears away. Who sees that an owner is gone takes its tickets over.
//
// Keys of the bucket: <provider>.<ticket> is the record, written once;
// <provider>.<ticket>.state its status, written over the revision that is known;
// <provider>.<ticket>.<index> the receipt of a number, the first that came.
// Subjects hold no numbers, and nothing holds a callback token but its URL.
//
// Start reading at call.go, then watch.go. Run owns all goroutines.
package tickets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
)

const (
	// ticketTTL is how long JetStream keeps tickets and receipts that nobody clears
	// away: as long as results. It only matters while no worker lives; a shorter
	// one would let a fleet that was down for a weekend pay again.
	ticketTTL = 7 * 24 * time.Hour
	// markerTTL is how long the mark of a removed ticket stays for watchers that
	// are cut off; after half of it they read everything again.
	markerTTL = time.Hour
	// keepFor is how long a closed ticket stays, in time that its owner lives, after
	// all who waited for it were answered by the worker that made it: should it
	// crash before their results are stored, the jobs' next worker finds them.
	keepFor = 10 * time.Minute
	// keepUnclaimed is the same for a ticket whose numbers were not all answered, or
	// that was taken over: its jobs come back when there is Redis, a usable provider
	// and room for them. A day sees most outages through; ticketTTL bounds it.
	keepUnclaimed = 24 * time.Hour
	// adoptAfter is how long an owner is seen dead before its tickets are taken
	// over, up to three times it by chance: a registry that starts knows nobody.
	adoptAfter = 5 * time.Second
	// unsureAfter is when a lost reply is first asked for.
	unsureAfter = time.Second
	// storeTimeout bounds one write where the context does not.
	storeTimeout = 10 * time.Second
	// createTimeout bounds the storing of a ticket, with a third of its call's time.
	createTimeout = 5 * time.Second
	// restFor is how long no ticket is stored after one could not be.
	restFor = time.Second
	// hardLimit times GiveUpAfter is when a ticket is given up though its owner
	// could not ask for it.
	hardLimit = 10
	// linger is how long deliveries are gathered.
	linger = 10 * time.Millisecond
	// pacePerTick divides the shortest time of a provider's pace: how often the
	// Desk looks what is due, within minTick and maxTick.
	pacePerTick = 4
	minTick     = 10 * time.Millisecond
	maxTick     = time.Second
)

// Permits grant questions to the upstream.
type Permits interface {
	// Acquire waits for the permit to ask once with key, at the rate of the whole
	// fleet. release is called when the answer is there. An error means that none
	// is to be had now.
	Acquire(ctx context.Context, key string) (release func(), err error)
}

// Config is what a Desk needs. Now and Rand may be nil.
type Config struct {
	Names names.Names
	JS    jetstream.JetStream
	// Confirm publishes on JS's connection; it is closed after Run has returned.
	Confirm *confirm.Confirmer
	// Provider is the configured name, a token; Impl is what it runs.
	Provider string
	Impl     providers.Deferred
	// WorkerID is this worker, new at every start. Alive tells whether another one
	// lives; it is called often, with locks held: it must be cheap.
	WorkerID string
	Alive    func(workerID string) bool
	// CallbackURL is where the upstream posts receipts, without the "/<token>" at
	// the end; "" if it cannot reach us.
	CallbackURL string
	// Key finds a key by its configured name.
	Key func(name string) (providers.Key, bool)
	// Permits grants each Fetch, Timeout bounds it.
	Permits Permits
	Timeout time.Duration
	// Sure is asked between storing a ticket and handing it in, and when outcomes are
	// delivered: false means that the worker may have stood still, and others may have
	// its jobs. It must be cheap. nil is always sure.
	Sure func() bool
	Log  zerolog.Logger
	Now  func() time.Time
	// Rand is uniform in [0, 1).
	Rand func() float64
}

// Desk keeps the tickets of one provider. All methods may be called in parallel.
type Desk struct {
	cfg     Config
	pace    providers.Pace
	stream  string // of the bucket
	prefix  string // of this provider's subjects
	deliver func(ticket string, outcomes []batch.Late)

	keep, keepLong, adopt, tick time.Duration // the constants above; tests shorten them

	count counters
	told  sync.Map // the first panics

	roused   chan struct{} // 1: upkeep has something to do
	posted   chan struct{} // 1: the outbox has something
	recalled chan struct{} // 1: replays has something
	stalled  chan struct{} // 1: the watcher's consumer seems dead

	mu       sync.Mutex // guards all below, tickets included
	index    index
	view     view                           // how far the watcher is
	waits    map[string]map[uint64]struct{} // numbers that the packer waits for, by ticket
	replays  map[string]struct{}            // tickets whose waiting numbers need a look
	outbox   []letter
	discards map[string]bool           // tickets to remove, never handed in; true while that is on its way
	sweeping map[string]bool           // keys that are being asked with
	faults   map[string]providers.Kind // of questions with a key, while they fail
	reserved int                       // numbers that room was taken for
	inCalls  int                       // of these, numbers that are in the index already
	// unstorable is until when no ticket is to be stored, after one could not be.
	unstorable time.Time
}

// New makes the Desk; Run starts it. The error says what is missing in cfg.
func New(cfg Config) (*Desk, error) {
	if !names.ValidToken(cfg.Provider) {
		return nil, fmt.Errorf("provider %q cannot name tickets: use letters, digits, '-' and '_'", cfg.Provider)
	}
	if cfg.JS == nil || cfg.Confirm == nil || cfg.Impl == nil || cfg.Permits == nil || cfg.Key == nil || cfg.Alive == nil || cfg.WorkerID == "" {
		return nil, errors.New("tickets: the configuration is not complete")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = storeTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Sure == nil {
		cfg.Sure = func() bool { return true }
	}
	bucket, pace := cfg.Names.TicketsBucket(), cfg.Impl.Pace()
	return &Desk{
		cfg: cfg, pace: pace, stream: "KV_" + bucket, prefix: "$KV." + bucket + "." + cfg.Provider + ".",
		keep: keepFor, keepLong: keepUnclaimed, adopt: adoptAfter, tick: tickOf(pace),
		roused: make(chan struct{}, 1), posted: make(chan struct{}, 1), recalled: make(chan struct{}, 1), stalled: make(chan struct{}, 1),
		index: newIndex(), waits: make(map[string]map[uint64]struct{}), replays: make(map[string]struct{}),
		discards: make(map[string]bool), sweeping: make(map[string]bool), faults: make(map[string]providers.Kind),
	}, nil
}

func tickOf(p providers.Pace) time.Duration {
	shortest := min(p.PollAfter, p.PollEvery, p.UnknownAfter, p.GiveUpAfter)
	return min(max(shortest/pacePerTick, minTick), maxTick)
}

// Bind says where outcomes go; call it before Run. deliver must not block, and
// may be called in parallel with itself.
func (d *Desk) Bind(deliver func(ticket string, outcomes []batch.Late)) { d.deliver = deliver }

// Run watches the bucket, asks for stragglers and delivers until ctx ends; then
// it waits for its goroutines and returns nil. Nothing is undone: tickets stay
// for the next worker. It should outlive the packer, whose last calls it records.
// While NATS is away it keeps trying.
func (d *Desk) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { d.watch(ctx) })
	parts.Go(func() { d.runPost(ctx) })
	parts.Go(func() { d.runReplays(ctx) })
	parts.Go(func() { d.upkeep(ctx) })
	parts.Wait()
	return nil
}

// Outstanding is how many numbers were handed in and not answered, over the fleet
// as far as this worker sees, or have room reserved here; and how many there may
// be. Cheap.
func (d *Desk) Outstanding() (now, limit int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used(), d.pace.Outstanding
}

// rouse wakes the owner of a channel of capacity 1.
func rouse(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits for dur; false if ctx ended before.
func wait(ctx context.Context, dur time.Duration) bool {
	timer := time.NewTimer(dur)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// backoff is the pause before the n-th try again, jittered, from 50 ms to 2 s.
func (d *Desk) backoff(n int) time.Duration {
	const first, most, doublings = 50 * time.Millisecond, 2 * time.Second, 6
	pause := min(first<<min(n, doublings), most)
	return time.Duration(float64(pause) * (0.5 + d.cfg.Rand()))
}
