package providertest

import (
	"context"

	"github.com/lookupq/lookupq/providers"
)

// checkReset: a connection that ends after the request left is ambiguous: the
// upstream may have done the work.
func checkReset(ctx context.Context, x *exam) error {
	for _, reset := range []bool{true, false} {
		err := x.wantCall(ctx, "a connection that ends", raw(reset, ""), func(r providers.Reply) error {
			return wantFailure(r, providers.KindCutOff)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
