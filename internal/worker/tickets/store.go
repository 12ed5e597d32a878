package tickets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers that JetStream's KV clients write and read.
const (
	headerOperation = "KV-Operation"
	headerMarker    = "Nats-Marker-Reason" // the server's own mark of a message that ran out
	purgeOperation  = "PURGE"
	rollupSubject   = "sub"
)

// stateKey ends the key of a ticket's status.
const stateKey = "state"

// anyRevision is an expectation that always holds.
const anyRevision = -1

// purgesPerTick bounds how many tickets are cleared away at a time: each is a
// walk through the server's index.
const purgesPerTick = 20

// message is one for the bucket, to be stored only over the expected revision (0: nothing).
func (d *Desk) message(key string, body []byte, ttl time.Duration, expected int64) *nats.Msg {
	m := nats.NewMsg(d.prefix + key)
	m.Data = body
	m.Header.Set(jetstream.MsgTTLHeader, ttl.String())
	if expected != anyRevision {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatInt(expected, 10))
	}
	return m
}

// isConflict tells that something else is stored than was expected. It may be an
// earlier copy of the same message.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// store publishes m and waits until JetStream has it, at most until ctx ends and
// at most storeTimeout where ctx has no end.
func (d *Desk) store(ctx context.Context, m *nats.Msg) (revision uint64, err error) {
	giveUp := storeTimeout
	if end, ok := ctx.Deadline(); ok {
		giveUp = max(time.Until(end), time.Millisecond)
	}
	type answer struct {
		ack *jetstream.PubAck
		err error
	}
	answers := make(chan answer, 1)
	err = d.cfg.Confirm.Publish(ctx, m, giveUp, func(ack *jetstream.PubAck, err error) { answers <- answer{ack, err} })
	if err != nil {
		return 0, err
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return 0, a.err
		}
		return a.ack.Sequence, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("store %s: %w", d.stream, context.Cause(ctx))
	}
}

// create stores a new ticket. Nobody else has its id, so a conflict is an earlier
// copy of the same message.
func (d *Desk) create(ctx context.Context, id string, r *record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode ticket: %w", err)
	}
	if _, err = d.store(ctx, d.message(id, body, ticketTTL, 0)); isConflict(err) {
		return nil
	}
	return err
}

// save writes the status of t over the one that is stored, without waiting. What
// fails is written again by upkeep. ctx bounds the wait for room to send.
func (d *Desk) save(ctx context.Context, t *ticket) {
	d.mu.Lock()
	owner := t.owner
	d.mu.Unlock()
	d.write(ctx, t, owner)
}

// adoptTicket makes this worker the owner of t, unless anybody writes it before.
func (d *Desk) adoptTicket(ctx context.Context, t *ticket) { d.write(ctx, t, d.cfg.WorkerID) }

func (d *Desk) write(ctx context.Context, t *ticket, owner string) {
	d.mu.Lock()
	if t.writing || d.index.tickets[t.id] != t {
		d.mu.Unlock()
		return
	}
	t.writing = true
	s, revision := t.status(owner), t.revision
	d.mu.Unlock()
	body, err := json.Marshal(s)
	if err == nil {
		m := d.message(t.id+"."+stateKey, body, ticketTTL, int64(revision))
		err = d.cfg.Confirm.Publish(ctx, m, storeTimeout, func(ack *jetstream.PubAck, err error) { d.saved(t, s, ack, err) })
	}
	if err != nil {
		d.saved(t, s, nil, err)
	}
}

// saved takes in the answer to write. After a conflict the watcher tells what is
// stored, be it somebody else's or an earlier copy of this.
func (d *Desk) saved(t *ticket, s *status, ack *jetstream.PubAck, err error) {
	d.mu.Lock()
	t.writing = false
	if err == nil && d.index.tickets[t.id] == t && ack.Sequence >= t.revision {
		d.relearn(t, s, ack.Sequence)
	}
	d.mu.Unlock()
	if err != nil && !isConflict(err) {
		d.count.unsaved.Add(1)
	}
}

// sendDiscard marks a ticket that was never handed in as removed.
func (d *Desk) sendDiscard(ctx context.Context, id string) {
	answered := func(_ *jetstream.PubAck, err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if err == nil {
			delete(d.discards, id)
			return
		}
		d.discards[id] = false // again
	}
	if err := d.cfg.Confirm.Publish(ctx, d.removal(id), storeTimeout, answered); err != nil {
		answered(nil, err)
	}
}

// clear removes a closed ticket, receipts first: a crash between the two leaves a
// ticket that is cleared again, not receipts that nobody knows of.
func (d *Desk) clear(ctx context.Context, t *ticket) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s, err := d.cfg.JS.Stream(ctx, d.stream)
	if err != nil {
		return err
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(d.prefix+t.id+".>")); err != nil {
		return err
	}
	_, err = d.store(ctx, d.removal(t.id))
	return err
}

// removal marks a ticket as removed, whatever is stored of it.
func (d *Desk) removal(id string) *nats.Msg {
	m := d.message(id, nil, markerTTL, anyRevision)
	m.Header.Set(headerOperation, purgeOperation)
	m.Header.Set(jetstream.MsgRollup, rollupSubject)
	return m
}
