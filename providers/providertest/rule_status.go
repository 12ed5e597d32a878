package providertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// checkStatus: a status outside 2xx without words has the meaning that it has
// for all providers, keeps its code, and its Retry-After.
func checkStatus(ctx context.Context, x *exam) error {
	header := map[string]string{"Retry-After": "3"}
	for _, status := range []int{400, 401, 402, 403, 404, 405, 409, 413, 415, 418, 422, 500, 502, 503, 504, 520} {
		for _, body := range []string{"", "<html><body>Error</body></html>"} {
			err := x.wantCall(ctx, fmt.Sprintf("status %d %s", status, body), answer(status, header, body), func(r providers.Reply) error {
				err := wantFailure(r, upstream.StatusKind(status))
				if err == nil && (r.Failure.Code != strconv.Itoa(status) || r.Failure.RetryAfter != 3*time.Second) {
					err = errors.New("the failure lost the status or its Retry-After")
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
