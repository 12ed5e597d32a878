package providertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkPace: how a deferred upstream is asked makes sense and never changes, and
// a whole batch fits into what may be outstanding.
func checkPace(_ context.Context, x *exam) error {
	d, ok := x.sample.(providers.Deferred)
	if !ok {
		return errNotDeferred
	}
	switch p := d.Pace(); {
	case p != d.Pace():
		return errors.New("the pace changes from call to call")
	case p.PollAfter <= 0 || p.PollEvery <= 0 || p.FetchRate <= 0:
		return errors.New("polls without a pause, or never")
	case p.GiveUpAfter <= p.PollAfter:
		return fmt.Errorf("gives up after %v, before it asks after %v", p.GiveUpAfter, p.PollAfter)
	case p.UnknownAfter <= 0 || p.UnknownAfter > p.GiveUpAfter:
		return fmt.Errorf("a ticket counts as never taken after %v, with %v to give up", p.UnknownAfter, p.GiveUpAfter)
	case p.Outstanding < x.limits.MaxBatch:
		return fmt.Errorf("%d numbers may be outstanding, a batch has %d", p.Outstanding, x.limits.MaxBatch)
	}
	return nil
}
