package providertest

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/lookupq/lookupq/providers"
)

// checkOversize: a reply without end is left at a cap, one that announces to be
// huge before its first byte.
func checkOversize(ctx context.Context, x *exam) error {
	const most = 64 << 20 // caps are far below, the rest is in the sockets
	var written atomic.Int64
	oversize := func(r providers.Reply) error { return wantFailure(r, providers.KindOversize) }
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 256<<10)
		for written.Load() < 2*most {
			n, err := w.Write(block)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	if err := x.wantCall(ctx, "a reply without end", endless, oversize); err != nil {
		return err
	}
	if n := written.Load(); n > most*int64(len(x.answering)) {
		return fmt.Errorf("%d bytes of an endless reply were read", n)
	}
	huge := hanging(func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1099511627776")
		beginBody(w)
	})
	return x.wantCall(ctx, "a terabyte announced", huge, oversize)
}
