package providertest

import (
	"context"

	"github.com/lookupq/lookupq/providers"
)

// checkHTML: a web page that comes with status 200 (a gateway's, a captive
// portal's) is garbled, whatever it calls itself.
func checkHTML(ctx context.Context, x *exam) error {
	const page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>code: 0, 13800138000</body></html>"
	for _, contentType := range []string{"text/html", "application/json"} {
		h := answer(200, map[string]string{"Content-Type": contentType}, page)
		err := x.wantCall(ctx, "a web page as "+contentType, h, func(r providers.Reply) error {
			return wantFailure(r, providers.KindGarbled)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
