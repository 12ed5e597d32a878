package tickets

import (
	"sync/atomic"
	"time"
)

// Status is a snapshot for the status page and metrics.
type Status struct {
	// Tickets are open, of which Unsure wait for a question whether the upstream
	// has them; Kept are closed and not yet cleared away. Over the fleet.
	Tickets, Unsure, Kept int
	// Own are the tickets that this worker looks after.
	Own int
	// Outstanding numbers are handed in and not answered, over the fleet; Limit is
	// how many there may be.
	Outstanding, Limit int
	// Waiting numbers are waited for by this worker's packer.
	Waiting int
	// Oldest is when the oldest open ticket was made; zero if there is none.
	Oldest time.Time
	// Unstored tickets know more than JetStream does.
	Unstored int
	// Ready says that the index has been complete, and Watching that it is kept so.
	Ready, Watching bool

	// Counted since the start, of this worker:
	// Receipts were posted and stored, Duplicates were stored before, Rejected were
	// none of ours, Deferred got a 503.
	Receipts, Duplicates, Rejected, Deferred uint64
	// Fetches asked for a page, Fetched entries were stored, Strange ones were no
	// answers of ours. FetchFailures are rounds of pages that failed.
	Fetches, FetchFailures, Fetched, Strange uint64
	// Delivered outcomes went to the packer.
	Delivered uint64
	// LostReplies of submits, Adopted tickets, Voided ones that the upstream never
	// took, GivenUp numbers, Unsaved writes that had to be repeated, Unreadable records, Panics of the provider.
	LostReplies, Adopted, Voided, GivenUp, Unsaved, Unreadable, Panics uint64
}

type counters struct {
	receipts, duplicates, rejected, deferred, fetches, fetchFailures, fetched, strange, delivered atomic.Uint64
	unsure, adopted, voided, givenUp, unsaved, unreadable, panics                                 atomic.Uint64
}

// Status returns a snapshot. It looks at every ticket: for once a second.
func (d *Desk) Status() Status {
	c := &d.count
	s := Status{
		Limit: d.pace.Outstanding, Receipts: c.receipts.Load(), Duplicates: c.duplicates.Load(), Rejected: c.rejected.Load(),
		Deferred: c.deferred.Load(), Fetches: c.fetches.Load(), FetchFailures: c.fetchFailures.Load(), Fetched: c.fetched.Load(), Strange: c.strange.Load(),
		Delivered: c.delivered.Load(), LostReplies: c.unsure.Load(), Adopted: c.adopted.Load(), Voided: c.voided.Load(),
		GivenUp: c.givenUp.Load(), Unsaved: c.unsaved.Load(), Unreadable: c.unreadable.Load(), Panics: c.panics.Load(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Outstanding = d.used()
	s.Ready, s.Watching = d.view.complete, d.view.watching
	for _, waiting := range d.waits {
		s.Waiting += len(waiting)
	}
	for _, t := range d.index.tickets {
		s.add(t, d.cfg.WorkerID)
	}
	return s
}

func (s *Status) add(t *ticket, self string) {
	if t.owner == self {
		s.Own++
	}
	if t.want != noState {
		s.Unstored++
	}
	if t.now().closed() {
		s.Kept++
		return
	}
	s.Tickets++
	if t.now() == unsure {
		s.Unsure++
	}
	if s.Oldest.IsZero() || t.created.Before(s.Oldest) {
		s.Oldest = t.created
	}
}

// Knows reports whether token belongs to a ticket of this desk, for a listener
// that several desks share. Cheap.
func (d *Desk) Knows(token string) bool {
	t, _ := d.ticketOf(token)
	return t != nil
}
