package tickets

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/providers"
)

// fetchWait bounds the wait for receipts that the server says it has.
const fetchWait = 2 * time.Second

// runReplays answers for numbers whose word came before they were waited for, or
// whose ticket is closed or gone.
func (d *Desk) runReplays(ctx context.Context) {
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-d.recalled:
		}
		d.mu.Lock()
		ids := d.replays
		d.replays = make(map[string]struct{})
		d.mu.Unlock()
		failed := false
		for id := range ids {
			if d.replay(ctx, id) == nil {
				continue
			}
			failed = true
			d.mu.Lock()
			d.recall(id)
			d.mu.Unlock()
		}
		if !failed {
			failures = 0
			continue
		}
		failures++
		if !wait(ctx, d.backoff(failures)) {
			return
		}
	}
}

// replay delivers what is known of the numbers that wait for one ticket. The
// error is that of NATS; whatever was not delivered still waits.
func (d *Desk) replay(ctx context.Context, id string) error {
	d.mu.Lock()
	t := d.index.tickets[id]
	d.mu.Unlock()
	if t == nil {
		// Only a bucket read to its end tells that there is no such ticket.
		if err := d.catchUp(ctx); err != nil {
			return err
		}
	}
	d.mu.Lock()
	t = d.index.tickets[id]
	if t == nil {
		d.dismiss(id, neverSent())
		d.mu.Unlock()
		return nil
	}
	stored := d.sift(t)
	d.mu.Unlock()
	if len(stored) == 0 {
		return nil
	}
	return d.readReceipts(ctx, t, stored)
}

// dismiss answers all who wait for a ticket that is not there. d.mu is held.
func (d *Desk) dismiss(id string, o providers.Outcome) {
	for number := range d.waits[id] {
		d.post(letter{id: id, number: number, outcome: o, at: d.cfg.Now()})
	}
	delete(d.waits, id)
}

// sift answers the numbers that wait for t and need no receipt, and returns
// those whose receipt is stored, by index. d.mu is held.
func (d *Desk) sift(t *ticket) map[int]uint64 {
	stored := make(map[int]uint64)
	none := missing()
	if t.state == void {
		none = neverTaken()
	}
	places := make(map[uint64]int, len(t.numbers))
	for i, number := range t.numbers {
		places[number] = i
	}
	for number := range d.waits[t.id] {
		i, has := places[number]
		outcome, isFinal := none, true
		switch {
		case !has:
			i = -1
		case t.hasFinal(i):
			if o, kept := t.finalOf(i); kept {
				outcome = o
			}
		case t.answered.has(i):
			stored[i] = number
			isFinal = false
		default:
			isFinal = t.state.closed()
		}
		if isFinal && d.unpark(t.id, number) {
			d.post(letter{ticket: t, place: i, number: number, outcome: outcome, at: d.cfg.Now()})
		}
	}
	return stored
}

// readReceipts delivers the receipts of some numbers of t from the bucket. One that
// is not found is no missing one: a replica may lag. It is looked for again until
// the ticket is gone.
func (d *Desk) readReceipts(ctx context.Context, t *ticket, wanted map[int]uint64) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := d.eachReceipt(ctx, t.id, func(i int, body []byte, at time.Time) {
		number, want := wanted[i]
		d.mu.Lock()
		defer d.mu.Unlock()
		if want && d.unpark(t.id, number) {
			d.post(letter{ticket: t, place: i, number: number, body: body, at: at})
		}
		delete(wanted, i)
	})
	if err == nil && len(wanted) > 0 {
		err = errBroken
	}
	return err
}

// eachReceipt calls fn for each stored receipt of a ticket.
func (d *Desk) eachReceipt(ctx context.Context, id string, fn func(i int, body []byte, at time.Time)) error {
	cons, err := d.cfg.JS.CreateConsumer(ctx, d.stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: d.prefix + id + ".*", MemoryStorage: true, InactiveThreshold: idleConsumer,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = d.cfg.JS.DeleteConsumer(ctx, d.stream, cons.CachedInfo().Name) // else the server does
	}()
	return readAll(cons, func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		if i, ok := indexOf(m.Subject()); ok && m.Headers().Get(headerMarker) == "" {
			fn(i, m.Data(), meta.Timestamp)
		}
	})
}

// errBroken says that a reading of receipts missed some.
var errBroken = errors.New("receipts could not be read to the end")

// readAll calls fn for everything that cons has to say now.
func readAll(cons jetstream.Consumer, fn func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	next := uint64(1)
	for left := cons.CachedInfo().NumPending; left > 0; {
		msgs, err := cons.Fetch(pullAhead, jetstream.FetchMaxWait(fetchWait))
		if err != nil {
			return err
		}
		before := next
		for m := range msgs.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != next {
				return errBroken
			}
			next++
			fn(m, meta)
			if left = meta.NumPending; left == 0 {
				return nil
			}
		}
		if next == before {
			return errBroken
		}
	}
	return nil
}

// indexOf is the number's place in its ticket, which ends the subject of a receipt.
func indexOf(subject string) (int, bool) {
	i, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
	return i, err == nil
}
