package tickets

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
)

// askAgain bounds the calls of a number that was never answered: once more.
const askAgain = 2

// letter is one outcome on its way to the packer.
type letter struct {
	ticket *ticket // its first block only: d.mu is not held
	id     string  // where there is no ticket
	place  int     // of the number in the ticket, -1 if it has it not
	number uint64
	// body is the receipt; without one it is outcome.
	body    []byte
	outcome providers.Outcome
	at      time.Time
}

// Parked says that the packer waits for numbers of a ticket. What is known of
// them already comes at once, through deliver; a number that the ticket will
// never answer comes back as missing, and as innocent if the upstream has never
// heard of the ticket. It does not block.
func (d *Desk) Parked(ticket string, numbers []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.waits[ticket]
	if waiting == nil {
		waiting = make(map[uint64]struct{}, len(numbers))
		d.waits[ticket] = waiting
	}
	for _, n := range numbers {
		if number, ok := parseNumber(n); ok {
			waiting[number] = struct{}{}
		}
	}
	if len(waiting) == 0 {
		delete(d.waits, ticket)
	}
	if t := d.index.tickets[ticket]; t == nil || t.answered.count > 0 || t.state.closed() {
		d.recall(ticket)
	}
}

// unpark takes a number from those waited for; false if it is none. d.mu is held.
func (d *Desk) unpark(id string, number uint64) bool {
	waiting := d.waits[id]
	if _, ok := waiting[number]; !ok {
		return false
	}
	delete(waiting, number)
	if len(waiting) == 0 {
		delete(d.waits, id)
	}
	return true
}

// post puts a letter into the outbox. d.mu is held.
func (d *Desk) post(l letter) {
	d.outbox = append(d.outbox, l)
	rouse(d.posted)
}

// runPost delivers what is in the outbox, gathered for a moment.
func (d *Desk) runPost(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.posted:
		}
		if !wait(ctx, linger) {
			return
		}
		d.mu.Lock()
		letters := d.outbox
		d.outbox = nil
		d.mu.Unlock()
		byTicket := make(map[string][]batch.Late)
		for _, l := range letters {
			id, late := d.read(l)
			byTicket[id] = append(byTicket[id], late)
		}
		for id, late := range byTicket {
			d.deliver(id, late)
			d.count.delivered.Add(uint64(len(late)))
		}
		d.noteServed(letters)
	}
}

// noteServed notes whose outcomes were delivered. Of a worker that is not sure of
// its jobs, somebody else may have them, and come for the outcomes.
func (d *Desk) noteServed(letters []letter) {
	if !d.cfg.Sure() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range letters {
		if l.ticket != nil {
			l.ticket.serve(l.place)
		}
	}
}

// read reads a letter for the packer.
func (d *Desk) read(l letter) (id string, late batch.Late) {
	late = batch.Late{Number: e164(l.number), Outcome: l.outcome, At: l.at}
	if l.ticket == nil {
		return l.id, late
	}
	late.Key = l.ticket.key
	if l.body == nil {
		return l.ticket.id, late
	}
	r, err := d.receipt(l.body, l.ticket.raw)
	if err != nil || r.Number != late.Number {
		// It could be read when it was stored; a newer program may have done that.
		late.Outcome = providers.Outcome{Failure: &providers.Failure{Kind: providers.KindGarbled, Message: "the stored receipt cannot be read"}}
		return l.ticket.id, late
	}
	late.Outcome = r.Outcome
	return l.ticket.id, late
}

// missing is a number that was handed in, and perhaps paid.
func missing() providers.Outcome {
	return providers.Outcome{Failure: &providers.Failure{
		Kind: providers.KindMissing, Message: "handed in, never answered", Tries: askAgain,
	}}
}

// neverSent is a number whose ticket the upstream certainly never had: nobody is
// to blame, and it is asked again at once.
func neverSent() providers.Outcome {
	return providers.Outcome{Failure: &providers.Failure{
		Kind: providers.KindRetryable, Message: "its batch was never handed in", Innocent: true,
	}}
}

// neverTaken is a number whose ticket the upstream does not know. That is no proof,
// so innocence ends with askAgain calls.
func neverTaken() providers.Outcome {
	o := neverSent()
	o.Failure.Message, o.Failure.Tries = "its batch never arrived", askAgain
	return o
}
