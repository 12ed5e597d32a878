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
	var read atomic.Int64
	oversize := func(r providers.Reply) error {
		if err := wantFailure(r, providers.KindOversize); err != nil {
			return err
		}
		if n := read.Load(); n > most {
			return fmt.Errorf("%d bytes of an endless reply were read", n)
		}
		return nil
	}
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 256<<10)
		for written := int64(0); written < 2*most; {
			n, err := w.Write(block)
			written += int64(n)
			read.Store(written)
			if err != nil {
				return
			}
		}
	})
	if err := x.wantCall(ctx, "a reply without end", endless, oversize); err != nil {
		return err
	}
	huge := hanging(func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1099511627776")
		beginBody(w)
	})
	return x.wantCall(ctx, "a terabyte announced", huge, oversize)
}
