package jobs

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// pull is a request for jobs that is under way. A lane has one at a time.
type pull struct {
	id      uint64
	n, got  int
	items   float64 // received so far
	per     float64 // items expected of each job
	wakes   uint64  // of the lane when it was sent
	sent    int64
	again   bool // it brought redeliveries: the server counts those nowhere
	patient int  // pulls in a row without an answer before this one
}

const (
	maxPull     = 256
	pullTimeout = 2 * time.Second
)

// pullSize is how many jobs to ask l for: as many as fill the room and the
// lane's share. One at first; then at most four times as many as have been seen
// of it, so that a wrong guess of their size costs little.
func pullSize(l *lane, room float64) int {
	if l.jobs == 0 {
		return 1
	}
	n := int(math.Ceil(min(room, l.deficit, l.tenant.deficit) / max(l.average, 1)))
	limit := min(maxPull, 4*l.jobs)
	if l.avail < maxPull {
		limit = min(limit, int(l.avail))
	}
	return max(1, min(n, limit))
}

// fetch pulls from l, or makes its durable first. It returns the items asked for.
func (lp *loop) fetch(l *lane, room float64, now int64) float64 {
	if !lp.wanted(l) { // paused meanwhile
		lp.turns.dequeue(l)
		return 0
	}
	if l.released.CompareAndSwap(true, false) {
		l.retryAt = now + int64(time.Second)
		return 0
	}
	if l.hasDurable(now, lp.turns.forgets) {
		return lp.request(l, pullSize(l, room), now)
	}
	lp.turns.redeem(l)
	switch {
	case l.durableAt != 0:
		// It may still be there; the answer tells.
	case lp.turns.mayCreate(l.class.priority):
		lp.create(l)
		return 0
	default: // Another worker may have made it.
		l.probeAt = now + int64(probeEvery)
	}
	return lp.request(l, pullSize(l, room), now)
}

// request sends a pull for n jobs.
func (lp *loop) request(l *lane, n int, now int64) float64 {
	lp.pullIDs++
	lp.pulls++
	l.pull = pull{id: lp.pullIDs, n: n, per: max(l.average, 1), wakes: l.wakes, sent: now, patient: l.pull.patient}
	l.pulling, l.pulledAt = true, now
	lp.pulling[l] = struct{}{}
	asked := float64(n) * l.pull.per
	l.charge(asked)
	l.class.inflight += asked

	reply := lp.inbox + strconv.FormatUint(l.id, 36) + "." + strconv.FormatUint(l.pull.id, 36)
	body := append(strconv.AppendInt([]byte(`{"no_wait":true,"batch":`), int64(n), 10), '}')
	if err := lp.c.nc.PublishRequest(lp.c.pullPrefix+l.durable, reply, body); err != nil {
		lp.ended(l)
		l.fail(now)
	}
	return asked
}

// message books a job, or the status that ends a pull.
func (lp *loop) message(m *nats.Msg, now int64) {
	info, ok := parseAckReply(m.Reply)
	if !ok {
		lp.pullStatus(m, now)
		return
	}
	l := lp.lane(lp.laneKey(m.Subject), now)
	l.avail, l.seenAt, l.durableAt, l.failures = info.pending, now, now, 0
	l.jobs++
	h := &Held{
		Lane: l.Lane, Subject: m.Subject, Problem: l.problem, Body: m.Data, Header: m.Header,
		Seq: info.seq, Stored: time.Unix(0, info.stored), Delivered: info.delivered,
		c: lp.c, lane: l, reply: m.Reply,
	}
	// Of a pull's answer we know only that it was not sent before the pull.
	h.beat.Store(now)
	if l.pulling {
		h.beat.Store(l.pull.sent)
	}
	if lp.stopping {
		lp.c.nak(m.Reply)
		lp.booked(l, 0, info.delivered > 1)
		return
	}
	if !lp.c.held.add(h) {
		lp.redeliveries++
		lp.booked(l, 0, true)
		return
	}
	h.Items = max(lp.c.cfg.Items(m.Data), 1)
	lp.booked(l, h.Items, info.delivered > 1)
	l.class.inflight += float64(h.Items) // until it is handed out
	if len(lp.batch) == 0 {
		lp.batchSince = now
	}
	lp.batch = append(lp.batch, h)
}

// booked replaces what was expected of a job by what came, and ends a pull that
// is complete. 0 items are those of a job that was held already.
func (lp *loop) booked(l *lane, items int, again bool) {
	if !l.pulling {
		// The late answer of a pull that was given up.
		l.charge(float64(items))
		lp.batchDue = true
		return
	}
	p := &l.pull
	p.got++
	p.items += float64(items)
	p.again = p.again || again
	l.charge(float64(items) - p.per)
	l.class.inflight -= p.per
	if p.got < p.n {
		return
	}
	if p.again {
		l.avail = max(l.avail, uint64(4*p.n))
	}
	lp.ended(l)
}

// ended ends the pull of l, complete or not.
func (lp *loop) ended(l *lane) {
	p := &l.pull
	if missing := float64(p.n-p.got) * p.per; missing > 0 {
		l.charge(-missing)
		l.class.inflight -= missing
	}
	if p.got > 0 {
		p.patient = 0
		lp.batchDue = true
	}
	if p.items > 0 {
		learn(l, p.items/float64(p.got))
	}
	l.pulling = false
	delete(lp.pulling, l)
	if len(lp.pulling) == 0 && len(lp.batch) == 0 {
		lp.settleInflight(l.class)
	}
	lp.line(l)
}

// settleInflight keeps rounding errors from adding up.
func (lp *loop) settleInflight(c *class) {
	if math.Abs(c.inflight) < 1 {
		c.inflight = 0
	}
}

// learn moves the average: up at once, because asking for too much is what
// hurts; down by half.
func learn(l *lane, average float64) {
	if l.average == 0 || average > l.average {
		l.average = average
		return
	}
	l.average += (average - l.average) / 2
}

// pullStatus handles a message without a job: the end of a pull.
func (lp *loop) pullStatus(m *nats.Msg, now int64) {
	lane, id, ok := strings.Cut(strings.TrimPrefix(m.Subject, lp.inbox), ".")
	if !ok {
		return
	}
	laneID, err1 := strconv.ParseUint(lane, 36, 64)
	pullID, err2 := strconv.ParseUint(id, 36, 64)
	l := lp.byID[laneID]
	if err1 != nil || err2 != nil || l == nil || !l.pulling || l.pull.id != pullID {
		return
	}
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case status == "100": // a heartbeat of the server, not the end
		return
	case status == "404":
		lp.ranDry(l, now)
	case status == "503", status == "409" && strings.Contains(text, "Deleted"):
		defer lp.noDurable(l, now)
	default:
		// "Requests Pending": what there is has been promised to another worker.
		// Or the leader changed, or too many wait.
		l.durableAt = now
		l.fail(now)
	}
	lp.ended(l)
}

// ranDry books that the server had nothing more, unless a wake-up came since.
func (lp *loop) ranDry(l *lane, now int64) {
	if l.pull.got == 0 {
		lp.emptyPulls++
	}
	l.avail, l.emptyAt, l.durableAt, l.failures = l.wakes-l.pull.wakes, now, now, 0
}

// expirePulls ends pulls that get no answer: all of them after a reconnect.
// What still comes of them is taken.
func (lp *loop) expirePulls(now int64) {
	if len(lp.pulling) == 0 {
		return
	}
	reconnects := lp.c.nc.Stats().Reconnects
	lost := reconnects != lp.reconnects
	lp.reconnects = reconnects
	for l := range lp.pulling {
		timeout := pullTimeout << min(l.pull.patient, 4)
		if !lost && now-l.pull.sent < int64(timeout) {
			continue
		}
		l.avail = max(l.avail, 1)
		if !lost {
			l.pull.patient++
			l.fail(now)
		}
		lp.ended(l)
	}
}
