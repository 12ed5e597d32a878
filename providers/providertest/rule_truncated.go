package providertest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/lookupq/lookupq/providers"
)

// checkTruncated: a reply that breaks off is cut off; one that is whole for HTTP
// and breaks off in its JSON is garbled. Nothing of either is believed.
func checkTruncated(ctx context.Context, x *exam) error {
	return x.eachStep(func(c *Case, at int, step step) error {
		body := step.response.Body
		for _, end := range []int{1, len(body) / 4, len(body) / 2, len(body) * 3 / 4, len(body) - 1} {
			head := fmt.Sprintf("HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n", step.response.Status, len(body))
			faults := map[providers.Kind]http.Handler{
				providers.KindCutOff:  raw(false, head+string(body[:end])),
				providers.KindGarbled: replayBody(step.response, body[:end]),
			}
			for kind, h := range faults {
				r, err := x.try(ctx, c, c.serve(at, h))
				if err == nil {
					err = wantFailure(r, kind)
				}
				if err != nil {
					return fmt.Errorf("%s, %s cut to %d bytes: %w", c.file, step.name, end, err)
				}
			}
		}
		return nil
	})
}
