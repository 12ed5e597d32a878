package worker

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/journal"
)

// trustDedupe is how old a recorded part may be to be published again on the
// strength of JetStream's duplicate window alone.
const trustDedupe = jobs.DuplicateWindow / 2

// recall takes in what is known of a batch: outcomes and parts in the journal,
// and the parts in the result stream where the journal may have lost them or is
// too old to rely on the duplicate window.
func (p *pipeline) recall(ctx context.Context, batch []*job) []*job {
	if err := p.lookUpStored(ctx, batch); err != nil { // only when the worker stops
		p.handBack(ctx, batch)
		return nil
	}
	for _, j := range batch {
		p.resume(j)
	}
	return batch
}

// lookUpStored asks the result stream for the jobs in doubt.
func (p *pipeline) lookUpStored(ctx context.Context, batch []*job) error {
	var inDoubt []*job
	var ask []results.StoredJob
	for _, j := range batch {
		if j.doubtful(p.now()) {
			inDoubt = append(inDoubt, j)
			ask = append(ask, results.StoredJob{
				ID: j.id, At: j.held.Stored, Redelivered: j.held.Delivered > 1 || j.claim.State != journal.StateNew,
			})
		}
	}
	if len(inDoubt) == 0 {
		return nil
	}
	var found []results.Bitmap
	err := p.patiently(ctx, "result stream", func() (err error) {
		found, err = p.storedParts.Items(ctx, ask)
		return err
	})
	for i := range found {
		inDoubt[i].checked, inDoubt[i].inStream = true, found[i]
	}
	return err
}

// doubtful reports whether the result stream may hold more of the job than the
// journal tells, or a part that the duplicate window has forgotten.
func (j *job) doubtful(now time.Time) bool {
	if j.reclaimed() {
		// Also where the journal knows the job: while Redis was away its last holder
		// may have published parts that the journal was not told of.
		return true
	}
	for _, part := range j.claim.Log.Parts {
		if now.Sub(part.At) > trustDedupe {
			return true
		}
	}
	return false
}

// reclaimed reports whether the job may have been in work before.
func (j *job) reclaimed() bool {
	return j.claim.Doubt || j.claim.State != journal.StateNew || j.held.Delivered > 1
}

// resume puts a job back to where it was: what is stored is done, what was cut is
// published again under its id, what was settled waits for its part.
func (p *pipeline) resume(j *job) {
	log := &j.claim.Log
	if j.claim.State == journal.StateNew && !j.checked {
		return
	}
	byIndex := make(map[int]results.Settled, len(log.Settled))
	j.known.Union(log.Stored)
	j.known.Union(j.inStream)
	for _, s := range log.Settled {
		byIndex[s.Index] = s
		j.all = append(j.all, s)
	}
	again := j.cutAgain(byIndex)
	for _, s := range log.Settled {
		if !j.known.Has(s.Index) {
			j.known.Set(s.Index)
			j.pending = append(j.pending, s)
		}
	}
	j.saved = len(j.pending)
	j.oldest = p.now()
	j.open = j.items() - j.known.Count()
	j.parts = len(again)
	j.touched = true
	for _, part := range again {
		p.send(j, part)
	}
	j.scribe.note([]*job{j}, nil) // also tells the journal that the stream was asked
	if j.end() {
		j.scribe.end(j)
	}
}

// cutAgain returns the recorded parts that have to be published once more, and
// marks their items as known. A part with an item of which nothing is known any
// more, or that is stored in part, is not one: its items are looked at singly.
func (j *job) cutAgain(byIndex map[int]results.Settled) [][]results.Settled {
	var again [][]results.Settled
	for _, part := range j.claim.Log.Parts {
		j.cuts = append(j.cuts, part)
		if part.Items.Overlaps(j.known) {
			continue
		}
		whole := make([]results.Settled, 0, part.Items.Count())
		for i := range part.Items.Items() {
			if s, ok := byIndex[i]; ok {
				whole = append(whole, s)
			}
		}
		if len(whole) == part.Items.Count() {
			again = append(again, whole)
			j.known.Union(part.Items)
		}
	}
	return again
}
