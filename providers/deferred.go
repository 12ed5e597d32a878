package providers

import (
	"context"
	"time"
)

// Deferred is a Provider whose upstream takes a batch now and answers later, by
// receipts that it pushes and when it is asked. Between the two stands a ticket:
// an id that we make up and the upstream repeats. internal/worker/tickets stores
// tickets and receipts; the provider only speaks the upstream's language and
// keeps nothing.
type Deferred interface {
	Provider

	// Defers reports whether q has to be submitted. What it does not defer is
	// answered at once by Call. Cheap, no I/O.
	Defers(q Query) bool

	// Submit hands in all numbers of q as one batch called ticket. The reply has
	// Pending for each number that was taken, and a final outcome or a failure of
	// its own for each that was refused at once. A failure of the whole call whose
	// kind is Unsure means that the upstream may have taken the batch: the caller
	// asks with Fetch and never submits again blindly. callbackURL is where
	// receipts go, "" if they cannot be received.
	Submit(ctx context.Context, q Query, ticket, callbackURL string) Reply

	// Fetch asks for one page of what the upstream has to say of a ticket.
	Fetch(ctx context.Context, f Fetch) Page

	// Receipt reads what the upstream said of one number: the body of a pushed
	// receipt, or an entry of a Page. raw asks for Outcome.Raw. An error means that
	// it is no receipt; its text holds nothing of the body.
	Receipt(body []byte, raw bool) (Receipt, error)

	// Pace says how the upstream wants to be asked. It never changes.
	Pace() Pace
}

// Fetch is a question for one page of a ticket's answers.
type Fetch struct {
	Key    Key
	Ticket string
	// SubmittedAt is when the batch was handed in, to a minute or so.
	SubmittedAt time.Time
	// Page counts from 1.
	Page int
	// Cursor is the Next of the page before, "" for the first page.
	Cursor string
}

// Page is what a Fetch brought.
type Page struct {
	// Entries are the answers of single numbers, each in the form that Receipt reads.
	Entries [][]byte
	// More says that there is another page. Next is what to ask for it with; it is
	// good for this round of pages only and never stored.
	More bool
	Next string
	// Known says that the upstream knows the ticket, also if no number is answered.
	// A ticket is known if any page of a round says so.
	Known   bool
	Failure *Failure
}

// Receipt is what the upstream said of one number of a ticket.
type Receipt struct {
	// Ticket is "" where the receipt does not repeat it (entries of a Page).
	Ticket string
	// Number is in E.164 with '+'.
	Number  string
	Outcome Outcome
}

// Pace bounds the questions about tickets.
type Pace struct {
	// PollAfter the submit the first question is due, then one each PollEvery.
	PollAfter, PollEvery time.Duration
	// GiveUpAfter the submit a number without an answer counts as never answered.
	GiveUpAfter time.Duration
	// UnknownAfter the submit a ticket whose reply was lost, and which the upstream
	// does not know by then, counts as never taken.
	UnknownAfter time.Duration
	// FetchRate is how many questions a second each key may be used for.
	FetchRate float64
	// Outstanding bounds the numbers submitted and unanswered, over the fleet.
	Outstanding int
}
