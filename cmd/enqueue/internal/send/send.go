// Package send turns files of phone numbers into the jobs of a campaign. In come
// paths and options, out go jobs on JetStream and the campaign's record, in which
// the sender notes how far it is, so that the same command continues after a
// crash and no number is enqueued twice. Sender.Run is one reading loop and one
// goroutine that writes checkpoints, which Run waits for; ending Run's context
// stops both, and what was published is still waited for and noted.
package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/input"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
)

// Config says what to send where.
type Config struct {
	// Paths are the files in order, or Stdin alone, which is then read from Stdin.
	Paths []string
	Stdin io.Reader
	Names names.Names
	// Lane is where the jobs go; an empty Campaign is made of the file's name
	// and hash.
	Lane names.Lane
	// Shared goes into every job; its Region is that of rows without their own.
	Shared  jobs.Shared
	Input   input.Options
	JobSize int
	// Budget is what the campaign may spend; nil is no limit.
	Budget *jobs.Budget
	// Rejects is the path of the file of unusable lines; empty is none.
	Rejects string
	// Notice gets a line for the user now and then, from Run's goroutines.
	Notice func(string)
}

// budgetText is the budget as it was asked for.
func (c *Config) budgetText() string {
	if c.Budget == nil {
		return ""
	}
	return c.Budget.Amount + c.Budget.Currency
}

// NATS is what Run needs to reach the server.
type NATS struct {
	Campaigns *jobs.Campaigns
	Confirm   *confirm.Confirmer
	// Answered visits the ids of all jobs of the campaign that have results. It
	// is asked once when a run is resumed; an error means that it cannot be told.
	Answered func(ctx context.Context, visit func(jobID string)) error
}

// Sender sends one source. Use it for one Run.
type Sender struct {
	cfg      Config
	src      *source
	lane     names.Lane
	progress counters
}

// counters are written by Run's goroutine and read by anybody.
type counters struct {
	lines, numbers, rejects, jobs, skipped atomic.Int64
	publisher                              atomic.Pointer[jobs.Publisher]
}

// Progress is a snapshot of a run.
type Progress struct {
	// Read and Size are bytes of the source; Size is 0 for a stream.
	Read, Size int64
	// Lines were read; of them Numbers were usable and Rejects not.
	Lines, Numbers, Rejects int64
	// Jobs were made, Stored of them are on JetStream for sure (from the first
	// on without a gap), Skipped by an earlier run.
	Jobs, Stored, Skipped int64
}

// New hashes the source and names the campaign. It reads every file once.
func New(ctx context.Context, cfg Config) (*Sender, error) {
	src, err := hashSource(ctx, cfg.Paths, cfg.Stdin)
	if err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg, src: src, lane: cfg.Lane}
	if s.lane.Campaign == "" {
		if src.isStream() {
			s.lane.Campaign = ulid.Make().String()
		} else {
			s.lane.Campaign = defaultCampaign(cfg.Paths[0], src.sum)
		}
	}
	return s, nil
}

// Campaign is the campaign's name.
func (s *Sender) Campaign() string { return s.lane.Campaign }

// Progress tells how far Run is; safe in parallel with it.
func (s *Sender) Progress() Progress {
	c := &s.progress
	p := Progress{
		Read: s.src.read.Load(), Size: s.src.sizes, Lines: c.lines.Load(), Numbers: c.numbers.Load(),
		Rejects: c.rejects.Load(), Jobs: c.jobs.Load(), Skipped: c.skipped.Load(),
	}
	if pub := c.publisher.Load(); pub != nil {
		p.Stored = int64(pub.Checkpoint().Published)
	}
	return p
}

// Summary is what a run did.
type Summary struct {
	Campaign string `json:"campaign"`
	// Numbers and Jobs are the whole campaign's, also what an earlier run sent.
	Lines   int64 `json:"lines"`
	Numbers int64 `json:"numbers"`
	Jobs    int64 `json:"jobs"`
	// Resumed is how many of the jobs an earlier run had sent.
	Resumed int64            `json:"resumed_jobs"`
	Rejects int64            `json:"rejects"`
	Reasons map[string]int64 `json:"reject_reasons,omitempty"`
	// AlreadySent is set if an earlier run had sent everything: nothing was done.
	AlreadySent time.Time `json:"already_sent,omitzero"`
	Started     time.Time `json:"started_at"`
	Seconds     float64   `json:"seconds"`
}

// The ways a run ends early.
var (
	// ErrNoNumbers says that the source has no usable number; nothing was sent.
	ErrNoNumbers = errors.New("there is no usable number in the input")
	// ErrStopped says that the context ended; the same command continues.
	ErrStopped = errors.New("stopped before the end")
)

// flushTime is how long a stopped run waits for what it has published.
const flushTime = 5 * time.Second

// Run sends the source: it makes the jobs, publishes those that are not stored
// yet, writes checkpoints and seals the campaign. Call it once.
func (s *Sender) Run(ctx context.Context, to NATS) (Summary, error) {
	started := time.Now()
	r := &run{s: s, to: to, sum: Summary{Campaign: s.lane.Campaign, Reasons: map[string]int64{}, Started: started.UTC()}}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	r.build = &builder{size: s.cfg.JobSize, region: s.cfg.Shared.Region, drafts: map[string]*jobs.Draft{}}
	r.build.cut = func(region string, d *jobs.Draft) error { return r.job(ctx, region, d) }
	err := r.all(ctx)
	c := &s.progress
	r.sum.Lines, r.sum.Numbers, r.sum.Jobs = c.lines.Load(), c.numbers.Load(), c.jobs.Load()
	r.sum.Rejects, r.sum.Resumed = c.rejects.Load(), c.skipped.Load()
	r.sum.Seconds = time.Since(started).Seconds()
	return r.sum, err
}

// run is the state of one Run, owned by its goroutine.
type run struct {
	s      *Sender
	to     NATS
	cancel context.CancelCauseFunc
	build  *builder
	bad    *rejects
	sum    Summary

	begun  bool
	sealed bool                // an earlier run has sent everything
	from   jobs.Checkpoint     // where an earlier run was
	stored map[uint64]struct{} // jobs behind it that are stored all the same
	seed   string
	chain  markChain
	pub    *jobs.Publisher
	saver  *saver
}

// all is the whole run: read, publish, wait, seal.
func (r *run) all(ctx context.Context) (err error) {
	if r.bad, err = openRejects(r.s.cfg.Rejects); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.bad.close()) }()
	err = r.readAll(ctx)
	switch {
	case r.pub != nil:
	case err != nil:
		return cause(ctx, err)
	case r.sealed:
		return nil
	default:
		return ErrNoNumbers
	}
	return r.finish(ctx, err)
}

// cause prefers the reason for which the context was ended to the error that this
// led to, and names an interruption by the user as such.
func cause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if why := context.Cause(ctx); !errors.Is(why, context.Canceled) {
		return why
	}
	return ErrStopped
}

// finish waits for what was published, notes it, and seals the campaign unless
// reading ended with an error.
func (r *run) finish(ctx context.Context, err error) error {
	wait := ctx
	if err != nil {
		err = cause(ctx, err)
		var done context.CancelFunc
		wait, done = context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer done()
	}
	flushErr := r.pub.Flush(wait)
	if err == nil && flushErr == nil {
		flushErr = ctx.Err() // Ctrl-C also ends what feeds a pipe: its end is none
	}
	if err == nil && flushErr != nil {
		err = cause(ctx, flushErr)
	}
	r.saver.stop()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer done()
	if err != nil {
		return errors.Join(err, r.saver.save(last))
	}
	return r.seal(last)
}

// readAll reads every file and cuts the last jobs.
func (r *run) readAll(ctx context.Context) error {
	for i := range r.s.src.paths {
		if err := r.readFile(ctx, i); err != nil {
			return err
		}
	}
	if err := r.s.src.unchanged(); err != nil {
		return err
	}
	return r.build.rest()
}

// readFile feeds one file to the builder.
func (r *run) readFile(ctx context.Context, i int) error {
	path := r.s.src.paths[i]
	f, err := r.s.src.open(i)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	in, err := input.Open(ctxReader{ctx: ctx, r: f}, r.s.cfg.Input)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.s.notice(path + ": " + in.Layout().String())
	c := &r.s.progress
	var row input.Row
	for {
		err := in.Next(&row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, row.Line, err)
		}
		c.lines.Add(1)
		if row.Problem != "" {
			c.rejects.Add(1)
			r.sum.Reasons[row.Problem]++
			if err := r.bad.add(path, row.Line, row.Problem, row.Text); err != nil {
				return err
			}
			continue
		}
		c.numbers.Add(1)
		if err := r.build.add(&row); err != nil {
			return err
		}
	}
}

// notice tells the user something.
func (s *Sender) notice(text string) {
	if s.cfg.Notice != nil {
		s.cfg.Notice(text)
	}
}
