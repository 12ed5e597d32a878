package providertest

import (
	"context"

	"github.com/lookupq/lookupq/providers"
)

// checkRefused: where nobody listens nothing was sent; the failure is one that
// certainly cost nothing.
func checkRefused(ctx context.Context, x *exam) error {
	s, err := x.open(x.found, replay(x.found.Response))
	if err != nil {
		return err
	}
	s.close()
	if s.provider, err = x.build(x.found, nowhere, s.transport); err != nil {
		return err
	}
	r, err := s.call(ctx, x.found.query())
	if err != nil {
		return err
	}
	return wantFailure(r, providers.KindUnavailable)
}
