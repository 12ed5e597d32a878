package tickets

import (
	"math"
	"sync"

	"github.com/lookupq/lookupq/providers/batch"
)

// Room among the outstanding numbers is taken before a permit is asked for, and
// given back when its call is over; while a call is on, its numbers count once.
// That is exact within this process. Of other workers' tickets the index is as far
// behind as the watcher, some milliseconds: together, workers may exceed the limit
// by what they hand in meanwhile.

// Reserve takes room for n numbers; false if there is not that much. More than the
// limit is never granted: ask for no more. What it took goes back with Unreserve,
// or with a lease from Hold. Cheap, in parallel.
func (d *Desk) Reserve(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used()+n > d.pace.Outstanding {
		return false
	}
	d.reserved += n
	return true
}

// Unreserve gives back room for n numbers.
func (d *Desk) Unreserve(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved -= n
}

// used is the room that is taken. d.mu is held.
func (d *Desk) used() int { return d.index.outstanding + max(d.reserved-d.inCalls, 0) }

// counted says that a call with n numbers in the index is over.
func (d *Desk) counted(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inCalls -= n
}

// Hold is lease, with room for n numbers that goes back with it: with a refund
// what is refunded, the rest when the lease ends.
func (d *Desk) Hold(lease batch.Lease, n int) batch.Lease { return &room{Lease: lease, desk: d, n: n} }

// room is a lease with room that was reserved.
type room struct {
	batch.Lease

	desk *Desk
	mu   sync.Mutex
	n    int
}

// Refund implements batch.Lease.
func (r *room) Refund(unused int) {
	r.giveBack(unused)
	r.Lease.Refund(unused)
}

// Release implements batch.Lease.
func (r *room) Release() {
	r.giveBack(math.MaxInt)
	r.Lease.Release()
}

// Abandon implements batch.Lease: what the upstream may have is in the ticket.
func (r *room) Abandon() {
	r.giveBack(math.MaxInt)
	r.Lease.Abandon()
}

// giveBack gives back n, at most what is left.
func (r *room) giveBack(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, r.n)
	r.n -= n
	r.desk.Unreserve(n)
}

// Blocked tells whether nothing can be handed in now, and why in a word: tickets
// are not read yet, or one could not be stored a moment ago. Permits that heed it
// spare the packer calls that end in nothing. Cheap, in parallel.
func (d *Desk) Blocked() (reason string, blocked bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.view.complete:
		return "tickets_unread", true
	case d.cfg.Now().Before(d.unstorable):
		return "tickets_unstored", true
	}
	return "", false
}
