package worker

import (
	"sync"
	"time"

	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

// repairEvery is how often a journal that missed writes is tried again.
const repairEvery = time.Second

// scribe writes the journal for its share of the jobs. It alone touches their
// slots, so whatever comes while it writes goes into its next trip together.
// One goroutine, run's, which the pipeline waits for.
type scribe struct {
	p *pipeline

	mu      sync.Mutex
	touched []*job        // with outcomes to record
	answers []cache.Entry // for the cache, in the same trip
	ended   []*job        // all parts stored: done mark and ack are due
	asks    []*ownership  // questions whose jobs are
	next    chan struct{} // closed when what is in the lists now is recorded
	ready   chan struct{} // 1: the lists are not empty

	// run's goroutine only:
	lost   map[*job]struct{} // the journal missed a write of theirs
	undone []*journal.Slot   // done marks that Redis missed
	late   []share           // with parts that must not be published before the journal has spoken
}

func newScribe(p *pipeline) *scribe {
	return &scribe{p: p, next: make(chan struct{}), ready: make(chan struct{}, 1), lost: map[*job]struct{}{}}
}

// note leaves work for the scribe; the channel closes when it is recorded.
func (s *scribe) note(touched []*job, answers []cache.Entry) <-chan struct{} {
	s.mu.Lock()
	s.touched = append(s.touched, touched...)
	s.answers = append(s.answers, answers...)
	next := s.next
	s.mu.Unlock()
	s.signal()
	return next
}

// end leaves a job whose last part is stored.
func (s *scribe) end(j *job) {
	s.mu.Lock()
	s.ended = append(s.ended, j)
	s.mu.Unlock()
	s.signal()
}

func (s *scribe) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// run records until quit is closed and nothing is left.
func (s *scribe) run(quit <-chan struct{}) {
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ready:
			s.turn()
		case <-tick.C:
			s.repair()
			s.retry()
		case <-quit:
			s.turn()
			return
		}
	}
}

// turn records everything that has come.
func (s *scribe) turn() {
	s.mu.Lock()
	touched, answers, ended, asks, recorded := s.touched, s.answers, s.ended, s.asks, s.next
	s.touched, s.answers, s.ended, s.asks, s.next = nil, nil, nil, nil, make(chan struct{})
	s.mu.Unlock()
	for _, ask := range asks {
		s.answer(ask)
	}
	s.record(s.shares(touched), answers)
	close(recorded)
	s.finish(ended)
}

func (s *scribe) shares(touched []*job) []share {
	now := s.p.now()
	shares := make([]share, 0, len(touched))
	for _, j := range touched {
		sh, ok := j.share(now, s.p.cfg.Results.MaxItems)
		if !ok {
			continue
		}
		if sh.waits {
			s.p.linger.add(j)
		} else {
			s.p.linger.remove(j)
		}
		// Without an outcome or a part there is no progress to record.
		if len(sh.entry.Settled) > 0 || len(sh.parts) > 0 {
			shares = append(shares, sh)
		}
	}
	return shares
}

// record writes shares to the journal, then sends their parts. Redis away stops
// neither: JetStream is the record, the journal catches up.
func (s *scribe) record(shares []share, answers []cache.Entry) {
	if len(shares) == 0 && len(answers) == 0 {
		return
	}
	entries := make([]journal.Entry, len(shares))
	for i := range shares {
		entries[i] = shares[i].entry
	}
	states, _ := s.p.journal.Settle(s.p.work, entries, answers)
	for i := range shares {
		state := journal.Lost // nothing was heard
		if i < len(states) {
			state = states[i]
		}
		switch j := shares[i].job; state {
		case journal.Refused:
			s.p.drop(j, "another worker owns the job")
		case journal.Lost:
			s.lost[j] = struct{}{}
		case journal.OK:
		}
	}
	s.repair()
	for i := range shares {
		s.publish(&shares[i])
	}
}

// publish sends the parts of a job that is surely ours. Where heartbeats have
// failed for long the journal decides, and the parts wait until it has.
func (s *scribe) publish(sh *share) {
	if len(sh.parts) == 0 || !sh.job.live() {
		return
	}
	if !sh.job.held.Fresh() && !s.reclaim(sh.job) {
		if sh.job.live() {
			s.late = append(s.late, *sh)
		}
		return
	}
	for _, part := range sh.parts {
		s.p.send(sh.job, part)
	}
}

// reclaim asks the journal whether a job is still ours, and drops it if not.
// false says that it may not be published now.
func (s *scribe) reclaim(j *job) bool {
	ask := ownership{jobs: []*job{j}, done: make(chan struct{})}
	s.answer(&ask)
	return ask.ok && j.live()
}

// retry publishes what had to wait.
func (s *scribe) retry() {
	late := s.late
	s.late = nil
	for i := range late {
		s.publish(&late[i])
	}
}

// repair puts back what the journal has lost or missed: its holder knows
// everything. Jobs that somebody else has claimed since are dropped. While Redis
// is away it does nothing; the next tick tries again.
func (s *scribe) repair() {
	if len(s.undone) > 0 && s.p.journal.Done(s.p.work, s.undone) == nil {
		s.undone = nil
	}
	if len(s.lost) == 0 {
		return
	}
	jobs := make([]*job, 0, len(s.lost))
	entries := make([]journal.Entry, 0, len(s.lost))
	for j := range s.lost {
		if e, ok := j.everything(); ok {
			jobs, entries = append(jobs, j), append(entries, e)
		} else {
			delete(s.lost, j)
		}
	}
	states, err := s.p.journal.Restore(s.p.work, entries)
	if err != nil {
		return
	}
	for i, j := range jobs {
		delete(s.lost, j)
		if states[i] == journal.Refused {
			s.p.drop(j, "another worker owns the job")
		}
	}
	s.p.metrics.JournalLost(len(jobs))
}

// finish marks jobs done and acknowledges them. The mark guards against the same
// job published again; while Redis is away the acks go out all the same and the
// marks follow.
func (s *scribe) finish(ended []*job) {
	if len(ended) == 0 {
		return
	}
	slots := make([]*journal.Slot, len(ended))
	for i, j := range ended {
		slots[i] = j.slot
		delete(s.lost, j)
	}
	if err := s.p.journal.Done(s.p.work, slots); err != nil {
		s.undone = append(s.undone, slots...)
	}
	for _, j := range ended {
		j.held.Ack(nil)
		s.p.forget(j)
	}
	s.p.metrics.JobsSettled(len(ended))
}
