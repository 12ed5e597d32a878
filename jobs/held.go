package jobs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lookupq/lookupq/internal/names"
)

// Problem says why a job was claimed though no route of this worker wants it:
// it can only be made dead.
type Problem string

// The problems of a lane.
const (
	NoProblem    Problem = ""
	UnknownRoute Problem = "unknown_route" // no live worker has served its route for long
	BadSubject   Problem = "bad_subject"   // its subject names no lane; Held.Lane is empty
)

// Held is a job that belongs to this worker: the server gives it to nobody else
// as long as heartbeats reach it. It ends with Ack, Release or Drop; the methods
// may be called from any goroutine, and after the end they do nothing.
type Held struct {
	// Lane is what the subject says; it is the authority.
	Lane    names.Lane
	Subject string
	Problem Problem
	// Body and Header are as published; do not change them.
	Body   []byte
	Header nats.Header
	// Seq is the stream sequence, Stored when the stream took it.
	Seq    uint64
	Stored time.Time
	// Delivered counts deliveries of the lane's present consumer, this one
	// included: a hint, since it restarts with the consumer and can be one low.
	Delivered uint64
	// Items is the estimate of Config.Items.
	Items int

	c    *Claimer
	lane *lane
	beat atomic.Int64 // Claimer.now of the newest moment at which it surely was ours
	// stale is set when a heartbeat came too late; until Reclaimed it stays.
	stale atomic.Bool

	// Guarded by heldTable.mu.
	reply string
	acked int64 // Claimer.now of the first Ack; 0: none
	gone  bool
}

// Ack tells the server that the job is answered: confirmed, and resent until it
// is. h is held and heartbeaten until then. done, which may be nil, is called
// once, from a goroutine of the Confirmer: nil when confirmed, else
// confirm.ErrClosed. It must not block. Of a job that has ended already the
// error is ErrNotHeld, reported at once.
func (h *Held) Ack(done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	reply, ok := h.c.held.acking(h, h.c.now())
	if !ok {
		done(ErrNotHeld)
		return
	}
	err := h.c.cfg.Confirm.Ack(reply, func(err error) {
		h.c.held.settled(h, err == nil)
		done(err)
	})
	if err != nil {
		h.c.held.settled(h, false)
		done(err)
	}
}

// ErrNotHeld says that a job was acknowledged, handed back or dropped before.
var ErrNotHeld = errors.New("job is not held any more")

// Release hands the job back: the server delivers it again at once, to any
// worker. Its lane is not pulled from by this worker for a second, so that a job
// which nobody here wants does not go in circles. Not to be used after Ack.
func (h *Held) Release() {
	if reply, ok := h.c.held.forget(h); ok {
		h.lane.released.Store(true)
		h.c.nak(reply)
	}
}

// Drop forgets the job and tells the server nothing: somebody else owns it now.
func (h *Held) Drop() { h.c.held.forget(h) }

// Fresh reports whether the job has surely been this worker's since it was
// claimed or Reclaimed. False after heartbeats of it failed for half of AckWait,
// or the process stood still for so long: then another worker may have it, and
// ownership must be claimed again before anything is published.
func (h *Held) Fresh() bool {
	return !h.stale.Load() && time.Duration(h.c.now()-h.beat.Load()) < h.c.cfg.AckWait/2
}

// Reclaimed makes a job fresh again after its ownership was confirmed elsewhere
// (the journal). asked is when the question was sent.
func (h *Held) Reclaimed(asked time.Time) {
	h.beat.Store(int64(asked.Sub(h.c.start)))
	h.stale.Store(false)
}

// alive notes a heartbeat that was sent at the given time and reached the server.
// It reports whether that was too late to be sure of the job.
func (h *Held) alive(at int64) (late bool) {
	if time.Duration(at-h.beat.Load()) >= h.c.cfg.AckWait/2 {
		h.stale.Store(true)
		late = true
	}
	h.beat.Store(at)
	return late
}

// heldTable knows what this worker holds, by stream sequence. Used by the loop,
// the heartbeats and the callers of Held.
type heldTable struct {
	mu      sync.Mutex
	bySeq   map[uint64]*Held
	acks    int           // unconfirmed ones
	settle  chan struct{} // capacity 1: acks went down
	aborted uint64        // acks that ended unconfirmed
}

func newHeldTable() *heldTable {
	return &heldTable{bySeq: make(map[uint64]*Held), settle: make(chan struct{}, 1)}
}

// add makes h held. If it is held already (a redelivery) only the reply subject
// of the one held changes, and false is returned. A message with another time
// under a known sequence is another message: the stream was made anew.
func (t *heldTable) add(h *Held) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.bySeq[h.Seq]
	if old != nil && old.Stored.Equal(h.Stored) {
		old.reply = h.reply
		return false
	}
	if old != nil {
		t.removeLocked(old)
	}
	t.bySeq[h.Seq] = h
	h.lane.held.Add(1)
	h.lane.class.held.Add(1)
	return true
}

// removeLocked ends h; false if it has ended before.
func (t *heldTable) removeLocked(h *Held) bool {
	if h.gone {
		return false
	}
	h.gone = true
	if t.bySeq[h.Seq] == h {
		delete(t.bySeq, h.Seq)
	}
	h.lane.held.Add(-1)
	h.lane.class.held.Add(-1)
	return true
}

// forget ends h without an ack and returns its newest reply subject; false if
// it has ended before or is being acknowledged.
func (t *heldTable) forget(h *Held) (reply string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.acked != 0 || !t.removeLocked(h) {
		return "", false
	}
	return h.reply, true
}

// acking marks h as being acknowledged and returns its newest reply subject.
func (t *heldTable) acking(h *Held, now int64) (reply string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.gone || h.acked != 0 {
		return "", false
	}
	h.acked = max(now, 1)
	t.acks++
	return h.reply, true
}

// settled ends h after its ack was confirmed or given up.
func (t *heldTable) settled(h *Held, confirmed bool) {
	t.mu.Lock()
	t.removeLocked(h)
	t.acks--
	if !confirmed {
		t.aborted++
	}
	t.mu.Unlock()
	select {
	case t.settle <- struct{}{}:
	default:
	}
}

// wait returns when no ack is unconfirmed, or with the cause of ctx's end.
func (t *heldTable) wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		n := t.acks
		t.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-t.settle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// heartbeat is one held job and where its heartbeat goes.
type heartbeat struct {
	held  *Held
	reply string
}

// all appends what is held to buf.
func (t *heldTable) all(buf []heartbeat) []heartbeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.bySeq {
		buf = append(buf, heartbeat{held: h, reply: h.reply})
	}
	return buf
}

// overdue returns the lanes with an ack that has been unconfirmed since before t0.
func (t *heldTable) overdue(t0 int64) map[*lane]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.acks == 0 {
		return nil
	}
	lanes := make(map[*lane]bool)
	for _, h := range t.bySeq {
		if h.acked != 0 && h.acked < t0 {
			lanes[h.lane] = true
		}
	}
	return lanes
}

func (t *heldTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bySeq)
}
