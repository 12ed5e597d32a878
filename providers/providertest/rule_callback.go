package providertest

import (
	"context"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkNoCallback: where no receipts can be received the upstream is asked to
// send none, and the submit is as good as any.
func checkNoCallback(ctx context.Context, x *exam) error {
	rec := &recorder{next: x.found.recorded()}
	s, err := x.open(x.found, rec)
	if err != nil {
		return err
	}
	defer s.close()
	d, ok := s.provider.(providers.Deferred)
	if !ok {
		return errNotDeferred
	}
	q, err := s.query()
	if err != nil {
		return err
	}
	r := d.Submit(ctx, q, ticketOf(1), "")
	if err := wellFormed(q, r, true); err != nil {
		return err
	}
	if r.Failure != nil {
		return fmt.Errorf("the submit failed: %w", r.Failure)
	}
	for i, o := range r.Outcomes {
		if o.Kind != providers.Pending {
			return fmt.Errorf("number %d is %s, want pending", i, written(o).Kind)
		}
	}
	return nil
}
