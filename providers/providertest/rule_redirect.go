package providertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/lookupq/lookupq/providers"
)

// checkRedirect: a redirect is a failure and nobody else gets to see the key.
func checkRedirect(ctx context.Context, x *exam) error {
	var seen atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Store(true) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		h := answer(status, map[string]string{"Location": elsewhere.URL + "/moved"}, "")
		err := x.wantCall(ctx, fmt.Sprintf("status %d", status), h, func(r providers.Reply) error {
			return wantFailure(r, providers.KindMisconfigured)
		})
		if err != nil {
			return err
		}
		if seen.Load() {
			return errors.New("the redirect was followed")
		}
	}
	return nil
}
