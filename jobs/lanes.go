package jobs

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// lane is what the loop knows of the jobs under one subject. Only the loop uses
// it, but for the atomics.
type lane struct {
	names.Lane
	id      uint64
	key     string // subject without the prefix all job subjects share
	subject string
	durable string
	problem Problem
	class   *class
	tenant  *tenant
	held    atomic.Int64 // jobs of it that this worker holds
	// released is set when a job of it was handed back.
	released atomic.Bool

	// What is believed to wait on the server.
	avail   uint64 // jobs that a pull would bring
	count   uint64 // on the stream at the last poll, delivered ones included
	wakes   uint64 // wake-ups ever
	seenAt  int64  // last sign of it: poll, wake-up or job
	emptyAt int64  // when a pull last brought nothing
	// Since when it has looked empty with the same number of jobs on the stream.
	quietAt    int64
	quietCount uint64

	// How large its jobs are.
	average float64 // items a job; 0: nothing known
	jobs    int     // received ever

	// Its turn; see turns.
	place     place
	deficit   float64
	served    float64 // items since it became active
	waitingAt int64   // since when it has been in line
	refusedAt int64   // when it last got no durable
	activeAt  int64
	pledged   bool  // its durable is still to be made
	pulledAt  int64 // last pull, or activation

	// Its durable and its pull; see fetch.go.
	pull      pull
	pulling   bool
	creating  bool
	repair    bool  // the durable must be looked at: acks get no answer
	durableAt int64 // when the durable surely existed last; 0: not known
	probeAt   int64 // not before then is it tried whether another worker made the durable
	retryAt   int64 // not before then is it pulled from
	failures  int   // in a row

	// Lanes of routes that this worker does not serve.
	foreign     bool
	orphanSince int64
	orphanTold  bool
}

// place is where a lane is in line.
type place uint8

const (
	placeNone place = iota
	placeWaiting
	placeActive
)

// busy tells that the lane cannot be pulled from now.
func (l *lane) busy(now int64) bool { return l.pulling || l.creating || now < l.retryAt }

// hasDurable tells whether the durable surely exists: it was used lately.
func (l *lane) hasDurable(now int64, forgets time.Duration) bool {
	return l.durableAt != 0 && now-l.durableAt < int64(forgets)
}

// fail puts off the next attempt, longer with each failure in a row.
func (l *lane) fail(now int64) {
	l.failures = min(l.failures+1, 8)
	l.retryAt = now + int64(20*time.Millisecond)<<l.failures
}

// laneKey is the part of a job's subject that names the lane.
func (lp *loop) laneKey(subject string) string {
	key, _ := strings.CutPrefix(subject, lp.jobsPrefix)
	return key
}

// lane returns the lane under key, making it when it is new.
func (lp *loop) lane(key string, now int64) *lane {
	l := lp.lanes[key]
	if l == nil {
		l = lp.newLane(strings.Clone(key), now)
		lp.lanes[key] = l
		lp.byID[l.id] = l
	}
	return l
}

func (lp *loop) newLane(key string, now int64) *lane {
	lp.laneIDs++
	l := &lane{id: lp.laneIDs, key: key, subject: lp.jobsPrefix + key, seenAt: now}
	lane, err := lp.c.cfg.Names.ParseJobsSubject(l.subject)
	if err != nil {
		// Nobody's lane, and no durable's name can be made of its tokens.
		l.problem, l.durable = BadSubject, "X"+names.Lane{Route: l.subject}.Durable()
		lp.stray(l)
		return l
	}
	l.Lane, l.durable = lane, lane.Durable()
	if !slices.Contains(lp.routes, lane.Route) {
		l.foreign = true
		lp.stray(l)
		return l
	}
	lp.turns.class(lane.Route, lp.c.cfg.Demand.Priority(lane)).join(l, lane.Tenant, lp.c.cfg.Demand.Weight(lane.Tenant))
	return l
}

// stray puts a lane into the class of those that can only be made dead.
func (lp *loop) stray(l *lane) { lp.turns.class("", names.Bulk).join(l, l.Tenant, 1) }

// wanted tells whether l should be in line.
func (lp *loop) wanted(l *lane) bool {
	switch {
	case l.avail == 0:
		return false
	case l.problem == BadSubject:
		return true
	case l.foreign:
		return l.problem == UnknownRoute
	}
	return !lp.c.cfg.Demand.Paused(l.Lane)
}

// line puts l in line or takes it out, as it should be.
func (lp *loop) line(l *lane) {
	if lp.wanted(l) {
		lp.turns.enqueue(l, lp.c.now())
	} else if !l.pulling && !l.creating {
		lp.turns.dequeue(l)
	}
}

// woken books wake-ups of a lane.
func (lp *loop) woken(key string, w wake, now int64) {
	l := lp.lanes[key]
	if l == nil {
		l = lp.lane(key, now)
	}
	l.seenAt = now
	l.wakes += uint64(w.jobs)
	l.avail += uint64(w.jobs)
	if l.average == 0 {
		l.average = max(1, float64(w.bytes)/float64(w.jobs)/bytesPerItem)
	}
	lp.line(l)
}

// bytesPerItem turns the size of a job into a first guess of its items.
const bytesPerItem = 40

// polled books the subjects of the stream.
func (lp *loop) polled(r pollResult, now int64) {
	if r.err != nil {
		if lp.pollErr == "" {
			lp.c.cfg.Log.Warn().Err(r.err).Msg("jobs stream cannot be read")
		}
		lp.pollErr = r.err.Error()
		return
	}
	lp.pollErr, lp.polledAt = "", r.at
	// Those that may have been made since the stream was asked are not in its count.
	lp.onStream = r.consumers
	lp.turns.durables = r.consumers + int(lp.c.creates.Load()-r.created)
	for _, l := range lp.lanes {
		l.count = 0
	}
	for subject, n := range r.subjects {
		l := lp.lane(lp.laneKey(subject), now)
		if l.count = n; n > 0 {
			l.seenAt = now
		}
		if l.jobs == 0 && l.avail == 0 && l.emptyAt == 0 {
			l.avail = n
		}
	}
}

// Some times of the sweep.
const (
	probeEvery  = time.Second      // how often a lane is tried that looks empty and has jobs on the stream
	keepLane    = 30 * time.Second // how long a lane is remembered that has none
	ackPatience = 3 * time.Second  // how long an ack may be unconfirmed before the durable is looked at
)

// sweep looks at every lane, once a second: who has something to do, whose
// route nobody serves, what can be forgotten.
func (lp *loop) sweep(now int64) {
	lp.sweptAt = now
	var ready []*lane
	for _, l := range lp.lanes {
		if l.foreign {
			lp.orphan(l, now)
		}
		held := uint64(max(l.held.Load(), 0))
		lp.quiet(l, held, now)
		if l.avail == 0 && l.count > held && now-l.emptyAt >= int64(probeEvery) {
			l.avail = 1
		}
		switch {
		case l.place == placeNone && lp.wanted(l):
			ready = append(ready, l)
		case l.place != placeNone:
			lp.line(l)
		default:
			lp.forget(l, now)
		}
	}
	// All workers begin with the same lanes, and share their durables.
	slices.SortFunc(ready, func(a, b *lane) int { return strings.Compare(a.key, b.key) })
	for _, l := range ready {
		lp.turns.enqueue(l, now)
	}
	for _, c := range lp.turns.classes {
		c.tidy()
	}
	lp.turns.letGo(lp.quantum, now)
	for l := range lp.c.held.overdue(now - int64(ackPatience)) {
		lp.repair(l)
	}
	lp.publishStatus()
}

// forget drops a lane that has had nothing for long.
func (lp *loop) forget(l *lane, now int64) {
	if l.count > 0 || l.held.Load() > 0 || l.pulling || l.creating || now-l.seenAt <= int64(keepLane) {
		return
	}
	l.class.leave(l)
	delete(lp.lanes, l.key)
	delete(lp.byID, l.id)
}

// quiet keeps account of how long a lane has had jobs on the stream that no pull
// brings, though this worker holds none of it. Mostly another worker does; if
// that lasts, the durable is asked.
func (lp *loop) quiet(l *lane, held uint64, now int64) {
	switch {
	case l.count == 0 || held > 0 || l.emptyAt == 0 || l.avail > 1 || l.count != l.quietCount:
		l.quietAt, l.quietCount = now, l.count
	case now-l.quietAt >= int64(lp.c.cfg.stranded):
		l.quietAt = now
		lp.inspect(l)
	}
}

// orphan keeps account of how long nobody has served the route of l.
func (lp *loop) orphan(l *lane, now int64) {
	if l.count == 0 || lp.c.cfg.Served(l.Route) {
		l.orphanSince, l.orphanTold, l.problem = 0, false, NoProblem
		return
	}
	if l.orphanSince == 0 {
		l.orphanSince = now
	}
	age := time.Duration(now - l.orphanSince)
	if age >= lp.c.cfg.OrphanAfter && !l.orphanTold {
		l.orphanTold = true
		lp.c.cfg.Orphan(l.Lane, age)
	}
	if age >= lp.c.cfg.UnservedAfter {
		l.problem = UnknownRoute
	}
}

// publishStatus makes the snapshot for Claimer.Status.
func (lp *loop) publishStatus() {
	s := &Status{
		Active: lp.turns.active, Durables: lp.onStream, PolledAt: lp.polledAt, PollError: lp.pollErr,
		Pulls: lp.pulls, EmptyPulls: lp.emptyPulls, Jobs: lp.jobs, Redeliveries: lp.redeliveries,
	}
	var show []*lane
	for _, l := range lp.lanes {
		if l.place == placeWaiting {
			s.Waiting++
		}
		if l.foreign || l.problem != NoProblem {
			continue
		}
		s.Known++
		if l.count > 0 || l.held.Load() > 0 {
			show = append(show, l)
		}
	}
	slices.SortFunc(show, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.key, b.key))
	})
	for _, l := range show[:min(len(show), statusLanes)] {
		s.Lanes = append(s.Lanes, LaneStatus{
			Lane: l.Lane, Waiting: l.count, Held: int(l.held.Load()),
			Active: l.place == placeActive, Paused: lp.c.cfg.Demand.Paused(l.Lane),
		})
	}
	lp.c.status.Store(s)
}

const statusLanes = 256
