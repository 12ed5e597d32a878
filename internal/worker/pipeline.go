package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/numbers"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

// pipeline is the main path: start reading here. A job goes through it one way,
//
//	claimed     the claimer hands over what it fetched; bodies are decoded
//	  own       the journal is told whose the jobs are, and tells what is known
//	  recall    redelivered jobs go back to where they were
//	  resolve   numbers are read; what needs no provider is settled
//	  pack      the rest goes to the packer of its route's first provider
//	answered    a packer brings outcomes: on to the next provider, or
//	  settle    journal and cache first, then the parts to JetStream
//	stored      a part is confirmed; with the last one the job ends:
//	  finish    done mark and ack
//
// and every job that is not finished is handed back at a clean stop.
//
// Its goroutines, all started by start and waited for by stop: the intake (own to
// pack), the scribes (settle and finish), the flusher of parts that wait, and the watch over
// heartbeats.
type pipeline struct {
	cfg         *Config
	log         zerolog.Logger
	names       names.Names
	js          jetstream.JetStream
	routes      map[string]*route
	nowhere     *route // of jobs whose route is not ours
	resolver    *numbers.Resolver
	journal     *journal.Journal
	cache       *cache.Cache
	storedParts *results.Stored
	publisher   *results.Publisher
	burier      *results.Burier
	metrics     *Metrics
	budgets     *budgets
	now         func() time.Time
	wake        func()                            // tells the claimer that there is room
	heartbeats  func() (lapses uint64, sure bool) // of the claimer
	cleared     atomic.Uint64                     // lapses after which ownership was asked for

	queue   chan []*job // from the claimer's loop to intake
	scribes []*scribe
	turn    atomic.Uint32 // of the scribes
	held    atomic.Int64  // weight of the jobs claimed and not finished
	flying  atomic.Int64  // parts on their way to JetStream
	jobs    jobSet        // claimed and not finished
	linger  jobSet        // with outcomes that wait for their part to fill

	// work outlives the claim: what is in flight at a clean stop is settled in it.
	work     context.Context //nolint:containedctx // the callbacks of other packages bring none
	intake   sync.WaitGroup
	writers  sync.WaitGroup
	flushers sync.WaitGroup
	quit     chan struct{} // ends the scribes
}

const (
	// intakes at work: one waits for Redis while the other computes.
	intakes = 2
	// scribeCount for the same reason.
	scribeCount = 2
	// queueLength is in fetched batches; what they hold is bounded by Demand.Room.
	queueLength = 256
)

// start starts the goroutines. stopping ends when a clean stop begins.
func (p *pipeline) start(stopping context.Context) {
	p.queue = make(chan []*job, queueLength)
	p.quit = make(chan struct{})
	for range scribeCount {
		s := newScribe(p)
		p.scribes = append(p.scribes, s)
		p.writers.Go(func() { s.run(p.quit) })
	}
	for range intakes {
		p.intake.Go(func() {
			for fetched := range p.queue {
				p.take(stopping, fetched)
			}
		})
	}
	p.flushers.Go(func() { p.flush(stopping) })
	p.flushers.Go(func() { p.watch(stopping) })
}

// claimed takes a fetched batch from the claimer's loop: it decodes and queues.
func (p *pipeline) claimed(helds []*jobs.Held) {
	fetched := make([]*job, 0, len(helds))
	for _, h := range helds {
		j := p.decode(h)
		p.held.Add(j.weight())
		j.route.queued[j.priority].Add(j.weight())
		p.jobs.add(j)
		p.metrics.JobsClaimed(h.Lane, 1)
		fetched = append(fetched, j)
	}
	p.queue <- fetched
}

// take is the way of one fetched batch from claim to the packers.
func (p *pipeline) take(stopping context.Context, fetched []*job) {
	defer p.unqueue(fetched)
	owned := p.own(stopping, fetched)
	owned = p.recall(stopping, owned)
	if stopping.Err() != nil { // the cache cannot be asked any more
		p.handBack(stopping, owned)
		return
	}
	outs, ask := p.resolve(owned)
	known, ask := p.answerKnown(stopping, ask)
	p.settle(append(outs, known...), nil)
	p.pack(stopping, ask)
	for _, j := range owned {
		if j.items() == 0 && j.end() { // dead, and nothing to answer
			j.scribe.end(j)
		}
	}
}

func (p *pipeline) unqueue(fetched []*job) {
	for _, j := range fetched {
		j.route.queued[j.priority].Add(-j.weight())
	}
}

// answered takes outcomes from a provider's packer, in the goroutine of the call
// that brought them. The time it takes is what holds the packer back while
// settling is slow.
func (p *pipeline) answered(prov *provider, as []batch.Answered[waiter]) {
	began := p.now()
	p.budgets.late(prov, as)
	outs, answers, next := p.classify(prov, as)
	p.pack(p.work, next)
	p.settle(outs, answers)
	p.metrics.Settled(p.now().Sub(began))
}

// nextScribe spreads claimed batches over the scribes. Jobs claimed together
// share pages of the journal, so they share a scribe.
func (p *pipeline) nextScribe() *scribe {
	return p.scribes[int(p.turn.Add(1))%len(p.scribes)]
}

// stop ends the goroutines once nothing comes in any more: the claimer's Run has
// returned. endCalls stops the packers and returns when calls in flight are
// answered. What is settled by then is stored and acknowledged, the rest is
// handed back, all before ctx ends.
func (p *pipeline) stop(ctx context.Context, endCalls func()) {
	close(p.queue)
	p.intake.Wait()
	endCalls()
	p.flushers.Wait()
	p.push(p.now())
	p.settleAll(ctx)
	close(p.quit)
	p.writers.Wait()
	p.handBack(ctx, p.jobs.list())
}

// settleAll waits until the scribes have written everything and all parts are
// confirmed, or ctx ends.
func (p *pipeline) settleAll(ctx context.Context) {
	for _, s := range p.scribes {
		select {
		case <-s.note(nil, nil):
		case <-ctx.Done():
			return
		}
	}
	const look = 2 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for p.flying.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// jobSet is a set of jobs, safe in parallel.
type jobSet struct {
	mu   sync.Mutex
	jobs map[*job]struct{}
}

func (s *jobSet) add(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs == nil {
		s.jobs = make(map[*job]struct{})
	}
	s.jobs[j] = struct{}{}
}

func (s *jobSet) remove(j *job) {
	s.mu.Lock()
	delete(s.jobs, j)
	s.mu.Unlock()
}

func (s *jobSet) list() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*job, 0, len(s.jobs))
	for j := range s.jobs {
		out = append(out, j)
	}
	return out
}

func (s *jobSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}
