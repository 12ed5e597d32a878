package providertest

import (
	"context"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkTruncated: a reply that breaks off is cut off; one that is whole for HTTP
// and breaks off in its JSON is garbled. Nothing of either is believed.
func checkTruncated(ctx context.Context, x *exam) error {
	for _, c := range x.answering {
		body := c.Response.Body
		for _, at := range []int{1, len(body) / 4, len(body) / 2, len(body) * 3 / 4, len(body) - 1} {
			head := fmt.Sprintf("HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n", c.Response.Status, len(body))
			r, err := x.try(ctx, c, raw(false, head+string(body[:at])))
			if err == nil {
				err = wantFailure(r, providers.KindCutOff)
			}
			if err != nil {
				return fmt.Errorf("%s cut off at byte %d: %w", c.file, at, err)
			}
			r, err = x.try(ctx, c, replayBody(c.Response, body[:at]))
			if err == nil {
				err = wantFailure(r, providers.KindGarbled)
			}
			if err != nil {
				return fmt.Errorf("%s shortened to %d bytes: %w", c.file, at, err)
			}
		}
	}
	return nil
}
