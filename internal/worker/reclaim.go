package worker

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/results/journal"
)

// watchTick is how soon a lapse of heartbeats is looked at.
const watchTick = 50 * time.Millisecond

// sure reports whether the worker may pay for the jobs it holds: heartbeats reach
// the server, and after every lapse the journal has confirmed whose they are.
func (p *pipeline) sure() bool {
	lapses, sure := p.heartbeats()
	return sure && lapses == p.cleared.Load()
}

// watch asks the journal about the jobs that a lapse of heartbeats has put in
// doubt, until ctx ends. Meanwhile no permit is taken.
func (p *pipeline) watch(ctx context.Context) {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if lapses, sure := p.heartbeats(); sure && lapses != p.cleared.Load() && p.reclaimStale() {
				p.cleared.Store(lapses)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reclaimStale has every stale job confirmed or dropped; false if the journal
// could not be asked.
func (p *pipeline) reclaimStale() bool {
	stale := map[*scribe][]*job{}
	n := 0
	for _, j := range p.jobs.list() {
		if s, doubted := j.doubted(); doubted {
			stale[s] = append(stale[s], j)
			n++
		}
	}
	ok := true
	for s, jobs := range stale {
		ok = s.confirm(jobs) && ok
	}
	if ok && n > 0 {
		p.log.Warn().Int("jobs", n).Msg("heartbeats had failed; the journal has been asked whose the jobs are")
	}
	return ok
}

// confirm has the scribe ask whose the jobs are, and waits for it.
func (s *scribe) confirm(jobs []*job) bool {
	ask := &ownership{jobs: jobs, done: make(chan struct{})}
	s.mu.Lock()
	s.asks = append(s.asks, ask)
	s.mu.Unlock()
	s.signal()
	<-ask.done
	return ask.ok
}

// ownership is a question to the journal.
type ownership struct {
	jobs []*job
	done chan struct{}
	ok   bool // before done
}

// answer asks the journal. Jobs of others are dropped, lost ones put back.
func (s *scribe) answer(ask *ownership) {
	defer close(ask.done)
	asked := time.Now()
	slots := make([]*journal.Slot, len(ask.jobs))
	for i, j := range ask.jobs {
		slots[i] = j.slot
	}
	states, err := s.p.journal.Owns(s.p.work, slots)
	if err != nil {
		return
	}
	for i, j := range ask.jobs {
		switch states[i] {
		case journal.Refused:
			s.p.drop(j, "another worker owns the job")
		case journal.Lost:
			s.lost[j] = struct{}{}
		case journal.OK:
			j.held.Reclaimed(asked)
		}
	}
	s.repair()
	for _, j := range ask.jobs {
		if _, still := s.lost[j]; still {
			return
		}
		if j.live() {
			j.held.Reclaimed(asked)
		}
	}
	ask.ok = true
}
