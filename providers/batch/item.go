package batch

import (
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// Item is one number of one job that has to be asked. W is the caller's own
// type; it comes back in exactly one Answered.
type Item[W any] struct {
	Number providers.Number
	// Partition is what Provider.Partition said; only equal ones share a batch.
	// Items of one partition have equal Options.
	Partition string
	Options   providers.Options
	Tenant    string
	Campaign  string
	// ShareGroup bounds sharing: equal numbers of one group are asked once.
	ShareGroup string
	// Ticket says that the number was submitted already, maybe by another worker,
	// and is answered under this ticket: the item waits for it and causes no call
	// before the ticket failed. Until then NoShare and MaxAge mean nothing.
	Ticket   string
	Priority names.Priority
	// Paid, with Ticket, says that another worker's item bears the cost of the
	// ticket's answer; this one is Shared.
	Paid bool
	// Raw asks for the provider's own object. It goes to the waiter that bears the cost.
	Raw bool
	// NoShare (max_age 0) may neither join a call on the wire or its ticket nor take
	// a recent answer. It still joins the same number while that waits to be sent.
	NoShare bool
	// Last says that no other provider follows in the route: while this provider
	// cannot be used the item waits here. Any other item is handed on.
	Last bool
	// MaxAge is the oldest recent answer that the item takes; 0 is any.
	MaxAge time.Duration
	// Weight is the tenant's share of the batches against other tenants; below 1 is 1.
	Weight int
	// Expires is when the item leaves unasked; the zero time is never.
	Expires time.Time
	Waiter  W
}

// LiveState is what Config.Live says of a waiter.
type LiveState uint8

// The live states.
const (
	// StateLive still wants its answer.
	StateLive LiveState = iota
	// StateExpired is past its time, StateCancelled belongs to a cancelled campaign.
	StateExpired
	StateCancelled
	// StateDropped belongs to a job that this worker no longer owns.
	StateDropped
)

// Final is how a waiter's stay in this packer ended.
type Final uint8

// The verdicts.
const (
	// Answer brings an outcome of kind Found, NotFound or Invalid.
	Answer Final = iota
	// NextProvider: this provider will not answer it; Failure says why.
	NextProvider
	// GaveUp is NextProvider for an item with Last set.
	GaveUp
	// Expired, Cancelled and Dropped were found to be so and were not asked (again).
	Expired
	Cancelled
	Dropped
)

// String is the log word and metric label of f.
func (f Final) String() string {
	switch f {
	case Answer:
		return "answer"
	case NextProvider:
		return "next_provider"
	case GaveUp:
		return "gave_up"
	case Expired:
		return "expired"
	case Cancelled:
		return "cancelled"
	case Dropped:
		return "dropped"
	}
	return "unknown"
}

// Answered is the end of one waiter.
type Answered[W any] struct {
	Waiter  W
	Verdict Final
	// Outcome is the upstream's for Answer, and its last word (kind Failed) where
	// a number failed on its own; else the zero value. Cost and Raw are only in
	// the outcome of the First.
	Outcome providers.Outcome
	// Failure is set for NextProvider and GaveUp.
	Failure *providers.Failure
	// Attempts is how many calls asked for the number; 0 for a recent answer.
	Attempts int
	// AnsweredAt is when the call of an Answer came back.
	AnsweredAt time.Time
	// First bears the cost; Shared rode along with another waiter; Recent was
	// answered from an answer still in memory.
	First, Shared, Recent bool
	// Key is the name of the key that was used.
	Key string
}
