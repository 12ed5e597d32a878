package providertest

import (
	"context"

	"github.com/lookupq/lookupq/providers"
)

// checkRefused: where nobody listens nothing was sent; the failure is one that
// certainly cost nothing.
func checkRefused(ctx context.Context, x *exam) error {
	s, err := x.open(x.found, x.found.recorded())
	if err != nil {
		return err
	}
	s.close()
	if s.provider, err = x.build(x.found, nowhere, s.transport); err != nil {
		return err
	}
	for _, ask := range x.asks() {
		r, err := ask(s, ctx)
		if err == nil {
			err = wantFailure(r, providers.KindUnavailable)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
