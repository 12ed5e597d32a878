package providertest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// checkThrottled: 429 is throttled, with what Retry-After asks for in each of
// its forms.
func checkThrottled(ctx context.Context, x *exam) error {
	forms := []struct {
		header map[string]string
		want   time.Duration
	}{
		{nil, 0},
		{map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, 1500 * time.Millisecond},
		{map[string]string{"Retry-After": clock().Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		{map[string]string{"Retry-After": "soon"}, 0},
	}
	for _, form := range forms {
		fault := fmt.Sprintf("429 with %v", form.header)
		err := x.wantCall(ctx, fault, answer(http.StatusTooManyRequests, form.header, ""), func(r providers.Reply) error {
			if err := wantFailure(r, providers.KindThrottled); err != nil {
				return err
			}
			if r.Failure.RetryAfter != form.want {
				return fmt.Errorf("retry after %v, want %v", r.Failure.RetryAfter, form.want)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
