package worker

import (
	"sync"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

// waiter is what the packer knows of an item: whose it is. step is the place of
// the provider it waits for in its route.
type waiter struct {
	job  *job
	item int32
	step int32
}

// job is one claimed job on its way from claim to ack. The first block is made by
// the claimer's loop and intake before anybody else sees the job, and then only
// read; the rest is under mu.
type job struct {
	held     *jobs.Held
	id       names.Identity
	digest   [32]byte // of the body
	decoded  jobs.Job
	route    *route
	tenant   Tenant
	wallet   *wallet
	priority names.Priority
	options  providers.Options // the route's and the job's own
	expires  time.Time         // zero: never
	scope    *cache.Scope      // who shares its answers; nil if none are kept
	info     results.JobInfo
	numbers  []providers.Number // by item, once resolved
	fatal    *deadCause         // why the whole job is dead; every item fails with it
	known    results.Bitmap     // items settled before this claim
	claim    *journal.ClaimReply
	inStream results.Bitmap // items that the result stream holds, if checked
	checked  bool
	// scribe writes the job's journal; nobody else touches slot.
	scribe *scribe
	slot   *journal.Slot

	mu      sync.Mutex
	open    int                      // items without an outcome
	pending []results.Settled        // outcomes in no part yet
	saved   int                      // how many of pending the journal has
	oldest  time.Time                // when the first of pending came
	force   bool                     // cut a part although it is not full
	touched bool                     // in its scribe's list
	all     []results.Settled        // outcomes of this claim, until the job ends, for a Redis that loses them
	cuts    []journal.Part           // parts cut
	parts   int                      // parts cut and not yet confirmed stored
	freed   int64                    // of its weight, for items whose results are stored
	aside   map[int32]results.Result // not_found of items that another provider is asked for
	gone    bool                     // another worker owns it, or it is handed back: touch nothing
	ended   bool                     // every part is stored; done mark and ack are due
}

// items is how many numbers the job asks for.
func (j *job) items() int { return len(j.decoded.Items) }

// weight is what a new job counts against claim.max_held: its items, or what it
// takes of memory if it has few.
func (j *job) weight() int64 { return int64(max(1, len(j.decoded.Items), len(j.held.Body)>>10)) }

// free takes n stored items off the job's weight and returns by how much it fell:
// a job that waits for one slow number must not hold as much as a new one. What
// it takes of memory stays.
func (j *job) free(n int) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	least := int64(max(1, len(j.held.Body)>>10))
	less := min(int64(n), j.weight()-least-j.freed)
	if j.gone || less <= 0 {
		return 0
	}
	j.freed += less
	return less
}

// rest is what is left of the weight.
func (j *job) rest() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.weight() - j.freed
}

// claimed notes what the journal said, and who is to write to it.
func (j *job) claimed(s *scribe, reply *journal.ClaimReply) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.scribe, j.claim, j.slot = s, reply, reply.Slot
}

// doubted returns who can ask whether the job is still ours, if that is in doubt.
func (j *job) doubted() (*scribe, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.scribe, j.slot != nil && !j.gone && !j.ended && !j.held.Fresh()
}

// live reports whether outcomes of the job are still wanted here.
func (j *job) live() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.gone
}

// take adds outcomes, in parallel. It reports whether the scribe must be told of
// the job, which happens once until it has looked.
func (j *job) take(now time.Time, outs []results.Settled) (tell bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone {
		return false
	}
	if len(j.pending) == 0 {
		j.oldest = now
	}
	j.pending = append(j.pending, outs...)
	j.all = append(j.all, outs...)
	j.open -= len(outs)
	tell = !j.touched
	j.touched = true
	return tell
}

// push asks for a part of what has waited since before t.
func (j *job) push(t time.Time) (tell bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone || len(j.pending) == 0 || j.oldest.After(t) {
		return false
	}
	tell = !j.touched
	j.touched, j.force = true, true
	return tell
}

// share is what the journal is to be told of one job now, and the parts to
// publish once it knows. For the scribe.
type share struct {
	job   *job
	entry journal.Entry
	parts [][]results.Settled
	waits bool // outcomes are left that fill no part yet
}

// share cuts parts and collects what is not saved; ok is false if the job is not
// ours any more.
func (j *job) share(now time.Time, maxItems int) (s share, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.touched = false
	if j.gone {
		return share{}, false
	}
	s = share{job: j, entry: journal.Entry{Slot: j.slot, Settled: j.pending[j.saved:], Checked: j.checked, Stored: j.inStream}}
	j.saved = len(j.pending)
	s.parts = j.cut(maxItems, j.force || j.open == 0)
	j.force = false
	for _, part := range s.parts {
		s.entry.Parts = append(s.entry.Parts, journal.Part{Items: itemsOf(part), At: now})
	}
	j.cuts = append(j.cuts, s.entry.Parts...)
	j.parts += len(s.parts)
	s.waits = len(j.pending) > 0
	return s, true
}

// cut takes full parts off pending, and the rest too if all is set. Needs mu.
func (j *job) cut(maxItems int, all bool) [][]results.Settled {
	if len(j.pending) == 0 || !all && len(j.pending) < maxItems {
		return nil
	}
	parts := results.Pack(j.pending, maxItems)
	if last := len(parts) - 1; !all && len(parts[last]) < maxItems {
		j.pending = parts[last]
		parts = parts[:last]
	} else {
		j.pending = nil
	}
	j.saved = len(j.pending) // what is left was collected with the rest
	return parts
}

// stored takes note of a part confirmed by JetStream; true if it was the last of
// everything.
func (j *job) stored() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.parts--
	return j.endLocked()
}

// end reports, once, that nothing of the job is left to do.
func (j *job) end() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.endLocked()
}

func (j *job) endLocked() bool {
	if j.gone || j.ended || j.open > 0 || len(j.pending) > 0 || j.parts > 0 {
		return false
	}
	j.ended = true
	return true
}

// abandon makes every later step skip the job; false if it was left or has ended.
func (j *job) abandon() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone || j.ended {
		return false
	}
	j.gone = true
	return true
}

func itemsOf(part []results.Settled) results.Bitmap {
	var b results.Bitmap
	for i := range part {
		b.Set(part[i].Index)
	}
	return b
}

// everything is what the journal should hold of the job, for a Redis that lost
// it; ok is false if the job is not ours any more or has ended.
func (j *job) everything() (e journal.Entry, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journal.Entry{
		Slot: j.slot, Settled: j.all, Parts: j.cuts, Checked: true, Stored: j.inStream,
	}, !j.gone && !j.ended
}
