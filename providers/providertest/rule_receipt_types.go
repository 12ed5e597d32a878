package providertest

import (
	"context"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkReceiptTypes: with any one value of a receipt of another type, nothing
// breaks, and a number that was found is not refused for good because of it.
func checkReceiptTypes(_ context.Context, x *exam) error {
	return x.eachReceipt(func(d providers.Deferred, r *Receipt) error {
		all, err := mutations(r.Body, nil)
		if err != nil {
			return err
		}
		for _, m := range all {
			if err := r.checkMutation(d, m); err != nil {
				return fmt.Errorf("with %s: %w", m.what, err)
			}
		}
		return nil
	})
}

func (r *Receipt) checkMutation(d providers.Deferred, m mutation) error {
	got, err := receive(d, m.body, true)
	if err != nil {
		return unsound(err) // refusing it is right
	}
	if r.Unreadable || r.Outcome.Kind != kindFound || got.Number != r.number.E164 {
		return nil
	}
	switch k := got.Outcome.Kind; {
	case k == providers.Invalid, k == providers.NotFound && !m.none:
		return fmt.Errorf("the number is %s because of a damaged receipt", written(got.Outcome).Kind)
	}
	return blameless(providers.Reply{Outcomes: []providers.Outcome{got.Outcome}})
}
