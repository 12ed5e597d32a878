package jobs

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/names"
)

// Demand says what the worker wants. The Claimer's loop calls it often and from
// one goroutine: every method must be cheap and must not block.
type Demand interface {
	// Routes are those this worker serves; asked once, at the start of Run.
	Routes() []string
	// Room is how many items are wanted now for jobs of this priority; 0 stops
	// pulling. It counts as waiting whatever `out` has been given and is not sent
	// yet, at this priority and above; what is still on its way from the server
	// is counted by the Claimer. Small change is better kept back: a worker that
	// always wants three items gets three at a time.
	Room(route string, p names.Priority) int
	// Quantum is how many items a tenant of weight 1 gets in one round.
	Quantum(route string) int
	// Priority is at what priority jobs of the lane are claimed.
	Priority(l names.Lane) names.Priority
	// Weight is the tenant's share against others; below 1 counts as 1.
	Weight(tenant string) int
	// Paused lanes are not pulled from.
	Paused(l names.Lane) bool
}

// Config of a Claimer. Names, Demand and Confirm are required.
type Config struct {
	Names   names.Names
	Demand  Demand
	Confirm *confirm.Confirmer
	Log     zerolog.Logger
	// LanesActive is how many lanes are served at a time (64), LanesMax how many
	// durables may exist on the stream before no more are made (256).
	LanesActive, LanesMax int
	// AckWait is how long the server waits for a sign of life of a held job (30 s).
	AckWait time.Duration
	// Poll is how often the stream is asked for lanes (1 s; five times as long
	// above 20,000 subjects). Wake-ups make new lanes known sooner.
	Poll time.Duration
	// Items estimates the number of items in a body, before it is decoded;
	// CountItems by default. Shares and pull sizes are reckoned in it.
	Items func(body []byte) int
	// Served tells which routes some live worker serves; nil: all of them. Asked
	// once per lane and poll for the lanes of foreign routes.
	Served func(route string) bool
	// Orphan is told once of a lane that no live worker has served for OrphanAfter
	// (60 s); after UnservedAfter (10 min) its jobs are claimed, with Held.Problem
	// set. Jobs with an unreadable subject are claimed at once. May be nil.
	Orphan                     func(l names.Lane, age time.Duration)
	OrphanAfter, UnservedAfter time.Duration

	// inactive is how long the server keeps a durable that is not pulled from and
	// of which nothing is held: 5 s, so that many short campaigns turn over. Only
	// tests set it.
	inactive time.Duration
	// stranded is how long a lane must look empty and have jobs on the stream
	// before its durable is suspected: 10 s. Only tests set it.
	stranded time.Duration
}

func (cfg Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&cfg.AckWait, 30*time.Second)
	set(&cfg.Poll, time.Second)
	set(&cfg.inactive, 5*time.Second)
	set(&cfg.stranded, 10*time.Second)
	set(&cfg.OrphanAfter, time.Minute)
	set(&cfg.UnservedAfter, 10*time.Minute)
	if cfg.LanesActive <= 0 {
		cfg.LanesActive = 64
	}
	if cfg.LanesMax <= 0 {
		cfg.LanesMax = 256
	}
	cfg.LanesMax = max(cfg.LanesMax, cfg.LanesActive)
	if cfg.Items == nil {
		cfg.Items = CountItems
	}
	if cfg.Served == nil {
		cfg.Served = func(string) bool { return true }
	}
	if cfg.Orphan == nil {
		cfg.Orphan = func(names.Lane, time.Duration) {}
	}
	return cfg
}

// CountItems estimates the number of items of a job without decoding it: how
// often the key "number" occurs, at least 1.
func CountItems(body []byte) int {
	return max(1, bytes.Count(body, []byte(`"number"`)))
}

// Claimer takes jobs from the stream for one worker. Run does the work; Wake
// and Status may be called at any time, from any goroutine.
type Claimer struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	cfg   Config
	start time.Time // origin of all monotonic times

	pullPrefix string // API subject of a pull, without the durable
	in         *intake
	held       *heldTable
	status     atomic.Pointer[Status]

	// Durables whose making was begun, and has ended, ever.
	creates, created atomic.Int64

	lastBeat atomic.Int64  // when the newest round of heartbeats that arrived was sent
	lapses   atomic.Uint64 // rounds that came too late for some job
	beats    sync.WaitGroup
	stopBeat atomic.Pointer[context.CancelFunc]
}

// NewClaimer makes a Claimer that does nothing yet. nc must outlive Close.
func NewClaimer(nc *nats.Conn, js jetstream.JetStream, cfg Config) *Claimer {
	c := &Claimer{
		nc: nc, js: js, cfg: cfg.withDefaults(), start: time.Now(),
		in: newIntake(), held: newHeldTable(),
	}
	c.pullPrefix = apiPrefix(js) + "CONSUMER.MSG.NEXT." + cfg.Names.JobsStream() + "."
	c.status.Store(&Status{})
	return c
}

// apiPrefix is where js sends its requests, with the final dot.
func apiPrefix(js jetstream.JetStream) string {
	opts := js.Options()
	switch {
	case opts.APIPrefix != "":
		return strings.TrimSuffix(opts.APIPrefix, ".") + "."
	case opts.Domain != "":
		return "$JS." + opts.Domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}

// now is the monotonic time since the start, in nanoseconds.
func (c *Claimer) now() int64 { return int64(time.Since(c.start)) }

// Wake says that room was freed, or a pause ended. Cheap.
func (c *Claimer) Wake() { c.in.kick() }

// Run claims until ctx ends, then stops pulling, hands back what was still on
// its way, and returns nil. Call it once. Every batch of jobs goes to out, which
// the loop calls: it must not block for long, and owns the slice. What is held
// stays heartbeaten until Close, also after Run. The error is that of a
// connection that cannot subscribe.
func (c *Claimer) Run(ctx context.Context, out func([]*Held)) error {
	beatCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stopBeat.Store(&cancel)
	c.beats.Go(func() { c.beatLoop(beatCtx) })

	subs, err := c.subscribe()
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	l := newLoop(c, subs.inbox, out)
	l.spawn = func(f func(context.Context)) { helpers.Go(func() { f(work) }) }
	l.spawn(c.pollLoop)

	l.run(ctx)
	stop()
	helpers.Wait()
	l.awaitPulls()
	subs.close()
	l.handBack()
	return nil
}

// Close waits until every Ack is confirmed or ctx ends, stops the heartbeats,
// hands back what is still held, and flushes. Call it after Run has returned.
// The error says what was left undone; the server redelivers it after AckWait.
func (c *Claimer) Close(ctx context.Context) error {
	err := c.held.wait(ctx)
	if err != nil {
		err = fmt.Errorf("acknowledgements of jobs: %w", err)
	}
	if cancel := c.stopBeat.Load(); cancel != nil {
		(*cancel)()
	}
	c.beats.Wait()
	for _, b := range c.held.all(nil) {
		b.held.Release()
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if c.nc.IsConnected() {
		if ferr := c.nc.FlushWithContext(flush); ferr != nil && err == nil {
			err = fmt.Errorf("hand back jobs: %w", ferr)
		}
	}
	return err
}

// nak hands a job back. Not confirmed: should it be lost, the server redelivers
// after AckWait.
func (c *Claimer) nak(reply string) {
	// The only error is a closed connection, which hands back everything anyway.
	_ = c.nc.Publish(reply, []byte("-NAK"))
}

// Status is a snapshot, at most a poll old.
type Status struct {
	// Lanes of this worker's routes with jobs waiting or held, at most 256, the fullest first.
	Lanes []LaneStatus
	// Known lanes, those Active (served) and Waiting for their turn, and the
	// Durables on the stream, made by any worker.
	Known, Active, Waiting, Durables int
	// Held jobs, and acks of them that are not confirmed yet.
	Held int
	// Since the start: pulls sent, those that brought nothing, jobs handed out,
	// redeliveries of jobs that were held.
	Pulls, EmptyPulls, Jobs, Redeliveries uint64
	// PolledAt is the last time the stream answered, PollError why it did not since.
	PolledAt  time.Time
	PollError string
}

// LaneStatus is one lane as this worker sees it.
type LaneStatus struct {
	Lane names.Lane
	// Waiting is the number of jobs on the stream at the last poll, held ones
	// included; Held are those of this worker.
	Waiting uint64
	Held    int
	Active  bool
	Paused  bool
}

// Status returns the newest snapshot. The caller must not change it.
func (c *Claimer) Status() Status {
	s := *c.status.Load()
	s.Held = c.held.len()
	return s
}
