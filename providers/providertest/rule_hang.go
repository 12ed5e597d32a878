package providertest

import (
	"context"
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
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond*time.Duration(len(x.answering)))
		err := x.wantCall(short, fault, hanging(begin), func(r providers.Reply) error {
			return wantFailure(r, providers.KindTimeout)
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
