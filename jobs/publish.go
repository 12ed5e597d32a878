package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/names"
)

const (
	idHash   = 20 // base32 characters: 100 bits, not to be guessed
	idDigits = 9
	// MaxJobs is how many jobs one source can make: what idDigits can count.
	MaxJobs = 1_000_000_000
	// defaultInFlight is how many bytes of jobs may be unconfirmed: enough to
	// keep a server busy, small beside what the client may use.
	defaultInFlight = 8 << 20
)

// JobID is the id of a source's job number index in a campaign: the same for the
// same (seed, campaign, index), not to be guessed without seed, and telling its index.
func JobID(seed, campaign string, index uint64) string {
	sum := sha256.Sum256([]byte(seed + "\x00" + campaign + "\x00" + strconv.FormatUint(index, 10)))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:idHash])
	return fmt.Sprintf("%s-%0*d", hash, idDigits, index)
}

// JobIndex is the index in an id that JobID made; false for any other id.
func JobIndex(id string) (uint64, bool) {
	if len(id) != idHash+1+idDigits || id[idHash] != '-' {
		return 0, false
	}
	index, err := strconv.ParseUint(id[idHash+1:], 10, 64)
	return index, err == nil
}

// Outgoing is one job to publish.
type Outgoing struct {
	// Index counts a source's jobs from 0 without gaps.
	Index uint64
	ID    string
	Body  []byte // must not change any more
	// Mark is kept in the Checkpoint that counts this job as the last.
	Mark string
}

// Checkpoint is how far publishing is; what Source stores.
type Checkpoint struct {
	// Published jobs, counted from the first, are stored for sure. Others may
	// be, at sequences of the stream above After.
	Published, After uint64
	Mark             string
}

// PublisherConfig says where jobs go.
type PublisherConfig struct {
	Names   names.Names
	Lane    names.Lane
	Confirm *confirm.Confirmer
	// InFlight bounds the bytes of unconfirmed jobs; 0 takes the default.
	InFlight int64
}

// Publisher publishes a source's jobs in their order and keeps count of what is
// stored. A full stream, a server that restarts or has no leader hold it up and
// nothing else: the Confirmer sends again (measured against PublishMsgAsync: a
// tenth less CPU with one number a job, the same with 500). Publish, Skip and
// Flush are for one goroutine, the rest is safe in parallel. It starts none.
type Publisher struct {
	cfg  PublisherConfig
	subj string

	mu     sync.Mutex
	moved  *sync.Cond // a job was settled, or err is set
	base   uint64     // index of queue[head]: all before are stored
	queue  []pending  // from head on: jobs published, or skipped, and not all stored
	head   int
	bytes  int64  // of the unconfirmed ones
	newest uint64 // highest sequence confirmed
	mark   string // of job base-1
	stored uint64 // confirmed by the stream in this run
	dups   uint64 // of those: refused by it as duplicates
	err    error
}

// pending is one job of the queue; after is what newest was when it was sent.
type pending struct {
	after uint64
	mark  string
	bytes int64
	done  bool
}

// NewPublisher continues from a checkpoint; the zero one starts anew.
func NewPublisher(cfg PublisherConfig, from Checkpoint) *Publisher {
	if cfg.InFlight <= 0 {
		cfg.InFlight = defaultInFlight
	}
	p := &Publisher{cfg: cfg, subj: cfg.Names.JobsSubject(cfg.Lane), base: from.Published, newest: from.After, mark: from.Mark}
	p.moved = sync.NewCond(&p.mu)
	return p
}

// Publish sends the next job; jobs must come in the order of their indexes,
// beginning with the checkpoint's Published. It blocks while too much is
// unconfirmed, until ctx ends. An error, also of an earlier job, is final.
func (p *Publisher) Publish(ctx context.Context, job Outgoing) error {
	weight := min(int64(len(job.Body)), p.cfg.InFlight)
	err := p.wait(ctx, func() bool { return p.bytes+weight <= p.cfg.InFlight })
	if err != nil {
		return err
	}
	p.push(pending{mark: job.Mark, bytes: weight})
	id := names.Identity{Tenant: p.cfg.Lane.Tenant, Campaign: p.cfg.Lane.Campaign, JobID: job.ID}
	m := &nats.Msg{Subject: p.subj, Data: job.Body, Header: nats.Header{jetstream.MsgIDHeader: {id.MsgID()}}}
	err = p.cfg.Confirm.Publish(ctx, m, 0, func(ack *jetstream.PubAck, err error) { p.settle(job.Index, ack, err) })
	if err != nil {
		p.unpush()
		return fmt.Errorf("publishing job %s: %w", job.ID, err)
	}
	return nil
}

// Flush waits until everything published is stored, a job has failed or ctx ends.
func (p *Publisher) Flush(ctx context.Context) error {
	return p.wait(ctx, func() bool { return p.head == len(p.queue) })
}

// wait blocks until ready, which is called with p.mu held, or nothing will come.
func (p *Publisher) wait(ctx context.Context, ready func() bool) error {
	if ok, err := p.isReady(ready); ok || err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.moved.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ready() && p.err == nil && ctx.Err() == nil {
		p.moved.Wait()
	}
	if p.err == nil && !ready() {
		return fmt.Errorf("publishing jobs: %w", context.Cause(ctx))
	}
	return p.err
}

func (p *Publisher) isReady(ready func() bool) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ready(), p.err
}

// Skip counts the next job, which is known to be stored.
func (p *Publisher) Skip(job Outgoing) {
	p.push(pending{mark: job.Mark, done: true})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trim()
}

func (p *Publisher) push(e pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.after = p.newest
	p.bytes += e.bytes
	p.queue = append(p.queue, e)
}

// unpush takes back the newest job, which was not sent.
func (p *Publisher) unpush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.queue) - 1
	p.bytes -= p.queue[last].bytes
	p.queue = p.queue[:last]
}

// settle notes the stream's answer to a job.
func (p *Publisher) settle(index uint64, ack *jetstream.PubAck, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.moved.Broadcast()
	e := &p.queue[p.head+int(index-p.base)]
	p.bytes -= e.bytes
	if err != nil {
		if p.err == nil {
			p.err = fmt.Errorf("publishing to %s: %w", p.subj, err)
		}
		return
	}
	p.stored++
	if ack.Duplicate {
		p.dups++
	} else {
		p.newest = max(p.newest, ack.Sequence)
	}
	e.done = true
	p.trim()
}

// trim moves base over what is stored. p.mu is held.
func (p *Publisher) trim() {
	for p.head < len(p.queue) && p.queue[p.head].done {
		p.mark = p.queue[p.head].mark
		p.head++
		p.base++
	}
	if p.head*2 > len(p.queue) { // so that moving the rest costs O(1) a job
		p.queue = append(p.queue[:0], p.queue[p.head:]...)
		p.head = 0
	}
}

// Checkpoint is how far publishing is now.
func (p *Publisher) Checkpoint() Checkpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Checkpoint{Published: p.base, After: p.newest, Mark: p.mark}
	if p.head < len(p.queue) {
		c.After = p.queue[p.head].after
	}
	return c
}

// Err is why a job could not be published; nil while there is no reason.
func (p *Publisher) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Counts is how many jobs the stream has confirmed in this run, and how many of
// them it already had.
func (p *Publisher) Counts() (stored, duplicates uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored, p.dups
}
