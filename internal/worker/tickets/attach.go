package tickets

import (
	"context"
	"time"
)

// Ask is an item that is about to be packed.
type Ask struct {
	Number     string // E.164
	Partition  string
	ShareGroup string
	// Reclaimed says that the item's job was delivered before: it may have been
	// handed in by a worker that is gone.
	Reclaimed bool
	// Fresh (max_age 0) says that an answer to somebody else's question will not do.
	Fresh bool
	// Stored is when the item's job was stored: no ticket from before that can be
	// its own. The zero time is not known.
	Stored time.Time
}

// Attachment is the ticket that an item is to wait for; without Ticket there is
// none, and the item is packed. Paid says that another item bears the cost.
type Attachment struct {
	Ticket string
	Paid   bool
}

// Attach finds the tickets that answer asks, one attachment each.
//
// An item waits for the number in an open ticket of its share group and partition
// that is not answered yet. A reclaimed one also takes what was answered in an
// open or a kept ticket, from the newest that has it, and bears the cost: the
// worker that would have borne it is gone. A fresh one takes nothing, unless it
// is reclaimed. To a ticket from before its job was stored a reclaimed item is
// like any other: it was not handed in there.
//
// With a reclaimed item among asks, Attach first makes sure that it knows
// everything that was in the bucket when it was called. If it cannot before ctx
// ends, it returns an error: the items must be held back, for packing them might
// pay twice.
func (d *Desk) Attach(ctx context.Context, asks []Ask) ([]Attachment, error) {
	for i := range asks {
		if asks[i].Reclaimed {
			if err := d.catchUp(ctx); err != nil {
				return nil, err
			}
			break
		}
	}
	found := make([]Attachment, len(asks))
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range asks {
		if t := d.ticketFor(&asks[i]); t != nil {
			found[i] = Attachment{Ticket: t.id, Paid: !asks[i].mayBeIn(t)}
		}
	}
	return found, nil
}

// ticketFor is the ticket that a waits for, nil if it is to be asked. d.mu is held.
func (d *Desk) ticketFor(a *Ask) *ticket {
	if a.Fresh && !a.Reclaimed {
		return nil
	}
	number, ok := parseNumber(a.Number)
	if !ok {
		return nil
	}
	key := numberKey{number, scopeOf(a.ShareGroup, a.Partition)}
	return d.index.newest(key, func(t *ticket) bool {
		own := a.mayBeIn(t)
		return (own || !a.Fresh) && t.serves(number, own)
	})
}

// clockSkew is how far the clocks of workers and of NATS may be apart.
const clockSkew = time.Minute

// mayBeIn tells whether a's own job may have handed it in with t.
func (a *Ask) mayBeIn(t *ticket) bool {
	return a.Reclaimed && !t.created.Before(a.Stored.Add(-clockSkew))
}

// serves tells whether an item may wait for number in t; reclaimed: it may be
// its own.
func (t *ticket) serves(number uint64, reclaimed bool) bool {
	i := t.find(number)
	switch {
	case i < 0 || t.now() == void:
		return false
	case !t.answered.has(i):
		return !t.now().closed()
	case !reclaimed:
		return false
	case t.hasFinal(i):
		_, kept := t.finalOf(i)
		return kept
	}
	return true
}
