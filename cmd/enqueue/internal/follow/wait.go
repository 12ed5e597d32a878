package follow

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/results"
)

const (
	// minPoll and maxPoll bound the pause between two looks at the stream.
	minPoll, maxPoll = 50 * time.Millisecond, time.Second
	// quietTime is how long nothing may come before the user is told.
	quietTime = 15 * time.Second
)

// Wait follows a campaign that is sent completely.
type Wait struct {
	Campaign
	Numbers int64
	Size    Size
	Began   time.Time
	// Export, if not nil, gets every result; then bodies are read.
	Export *Exporter
	// JobsLeft tells how many jobs are still in the jobs stream; an error means
	// that it cannot.
	JobsLeft func(context.Context) (uint64, error)
	Notice   func(string)

	answered, failed atomic.Int64
}

// Progress is how many numbers are answered and how many of them failed; safe in
// parallel with Run.
func (w *Wait) Progress() (answered, failed int64) { return w.answered.Load(), w.failed.Load() }

// Run reads until every number is answered, or no job is left and nothing more
// comes. A server that goes away meanwhile is waited for. Call it once.
func (w *Wait) Run(ctx context.Context) (*Report, error) {
	t := NewTally(w.Size, w.Export != nil)
	var next uint64
	var failed error // of the export: final
	quiet, pause, reached := time.Duration(0), minPoll, false
	for {
		// Asked before reading: parts are stored before their job is gone, so with
		// no job left this reading finds all there is.
		left, leftErr := w.JobsLeft(ctx)
		before := t.Parts
		err := w.each(ctx, next, w.Export != nil, func(p *results.StoredPart) error {
			next = p.Seq + 1
			failed = w.count(t, p)
			return failed
		})
		switch {
		case err != nil && (!reached || failed != nil || ctx.Err() != nil):
			return nil, err
		case err != nil:
			w.once(&quiet, fmt.Sprintf("NATS does not answer, trying again: %v", err), pause)
		case t.Answered >= w.Numbers, leftErr == nil && left == 0:
			return w.report(t), nil
		case t.Parts > before:
			quiet, pause, reached = 0, minPoll, true
		default:
			reached = true
			w.once(&quiet, w.quiet(t.Answered), pause)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, maxPoll)
	}
}

// once adds d to the time without an answer, and tells the user when that gets long.
func (w *Wait) once(quiet *time.Duration, text string, d time.Duration) {
	if *quiet < quietTime && *quiet+d >= quietTime {
		w.Notice(text)
	}
	*quiet += d
}

func (w *Wait) report(t *Tally) *Report {
	rep := t.report(w.Numbers, w.Began)
	rep.Missing = max(0, w.Numbers-t.Answered)
	return rep
}

// count adds a part to the tally, and its results to the export.
func (w *Wait) count(t *Tally, p *results.StoredPart) error {
	t.AddHead(&p.Head)
	w.answered.Store(t.Answered)
	w.failed.Store(t.Status[string(results.StatusFailed)])
	if w.Export == nil {
		return nil
	}
	return w.Export.Part(p.Part, t.Details, "")
}

// quiet is what to tell the user when nothing comes.
func (w *Wait) quiet(answered int64) string {
	if answered == 0 {
		return "no answers yet: is a worker running that serves this route (worker run)? Waiting goes on; Ctrl-C ends the waiting, not the campaign"
	}
	return "no new answers for a while; waiting goes on"
}

// sleep waits d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
