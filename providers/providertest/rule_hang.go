package providertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// checkHang: an upstream that goes silent, before the reply or in it, is a
// timeout when the call's time is over.
func checkHang(ctx context.Context, x *exam) error {
	for fault, begin := range map[string]func(http.ResponseWriter){
		"silence":           nil,
		"silence in a body": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "[") },
	} {
		for _, c := range x.answering {
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			r, err := x.try(short, c, hanging(begin))
			cancel()
			if err == nil {
				err = wantFailure(r, providers.KindTimeout)
			}
			if err != nil {
				return fmt.Errorf("%s with %s: %w", c.file, fault, err)
			}
		}
	}
	return nil
}
