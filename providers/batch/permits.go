package batch

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// SlowDown is the reason of a pause that a reply asked for which found no fault
// (providers.Reply.SlowDown). It is short.
const SlowDown = "slow_down"

// Permits is what the loop needs of a pool of keys. All methods may do I/O and
// are called in parallel, never from the loop's own goroutine.
type Permits interface {
	// Acquire grants one call with one key for 1 to n numbers now, or fails at
	// once with a *WaitError. The loop has one Acquire in flight at a time.
	Acquire(ctx context.Context, n int) (Grant, error)
	// Pause stops the use of a key for d, over the whole fleet.
	Pause(ctx context.Context, key string, d time.Duration, reason string) error
	// Quarantine stops the use of a key until a probe of it succeeds, over the whole fleet.
	Quarantine(ctx context.Context, key, reason string) error
	// Succeeded says that a call with the key brought answers.
	Succeeded(key string)
}

// Lease is the permit of one call.
type Lease interface {
	// Refund gives back numbers that the call will not ask for. A refund of all
	// of them means that there will be no call; Release follows all the same.
	Refund(unused int)
	// Release ends the permit: the call is over.
	Release()
	// Abandon keeps the permit until its lease runs out, in place of Release: the
	// upstream may still be working.
	Abandon()
	// Lost is closed when the lease could not be kept: the call has to end.
	Lost() <-chan struct{}
}

// Grant is a permit with what it allows. Exactly one of Release and Abandon is
// called for each, once.
type Grant struct {
	Key providers.Key
	N   int
	Lease
}

// WaitError says that there is no permit now.
type WaitError struct {
	// After is when to ask again.
	After time.Duration
	// Reason is a log word ("concurrency", "paused").
	Reason string
	// Stop says that this will last: Loop.Usable turns false until After has
	// passed, so that no more work is pulled for it.
	Stop bool
	// Fault is set, with Stop, where the provider or its keys are to blame: once
	// it has lasted Config.FailoverAfter, items that have another provider go there
	// with this failure. A pool that cannot reach its store leaves it nil.
	Fault *providers.Failure
}

// Error implements error.
func (e *WaitError) Error() string {
	return "no permit: " + e.Reason + ", ask again in " + e.After.String()
}
