package providertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/lookupq/lookupq/providers"
)

// checkEmpty: a reply that says nothing answers nothing: no number is found, not
// found or invalid because of it, and no key blamed.
func checkEmpty(ctx context.Context, x *exam) error {
	for _, body := range []string{"", " ", "null", "{}", "[]", `""`, "0", "true", "[null]", "[{}]"} {
		err := x.wantCall(ctx, fmt.Sprintf("reply %q", body), answer(200, nil, body), func(r providers.Reply) error {
			if err := blameless(r); err != nil {
				return err
			}
			for i, o := range r.Outcomes {
				if o.Kind != providers.Failed {
					return fmt.Errorf("number %d is %s", i, written(o).Kind)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// blameless: the reply was senseless; that is neither the key's fault nor a
// reason to ask never again.
func blameless(r providers.Reply) error {
	blame := []providers.Kind{
		providers.KindThrottled, providers.KindUnauthorized, providers.KindForbidden, providers.KindNoBalance,
		providers.KindMisconfigured, providers.KindRejected, providers.KindUnsupported, providers.KindTooMany,
	}
	for _, f := range failures(r) {
		if slices.Contains(blame, f.Kind) {
			return fmt.Errorf("a senseless reply is taken for %w", f)
		}
	}
	return nil
}

// failures are those of the call or its numbers.
func failures(r providers.Reply) []*providers.Failure {
	if r.Failure != nil {
		return []*providers.Failure{r.Failure}
	}
	var all []*providers.Failure
	for _, o := range r.Outcomes {
		if o.Failure != nil {
			all = append(all, o.Failure)
		}
	}
	return all
}
