package providertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// checkHang: an upstream that goes silent, before the reply or in it, is a
// timeout when the call's time is over.
func checkHang(ctx context.Context, x *exam) error {
	for fault, begin := range map[string]func(http.ResponseWriter){
		"silence":           func(http.ResponseWriter) {},
		"silence in a body": beginBody,
	} {
		err := x.eachStep(func(c *Case, at int, step step) error {
			if err := x.hang(ctx, c, at, begin); err != nil {
				return fmt.Errorf("%s, %s with %s: %w", c.file, step.name, fault, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func beginBody(w http.ResponseWriter) {
	_, _ = io.WriteString(w, "[")
	_ = http.NewResponseController(w).Flush()
}

// hang lets a call's time run out. On a busy machine that may be before the
// request has arrived, which proves nothing: then it is tried with more.
func (x *exam) hang(ctx context.Context, c *Case, at int, begin func(http.ResponseWriter)) error {
	for patience := 100 * time.Millisecond; ; patience *= 3 {
		var arrived atomic.Bool
		h := hanging(func(w http.ResponseWriter) {
			arrived.Store(true)
			begin(w)
		})
		short, cancel := context.WithTimeout(ctx, patience)
		r, err := x.try(short, c, c.serve(at, h))
		cancel()
		if err != nil {
			return err
		}
		if arrived.Load() || ctx.Err() != nil {
			return wantFailure(r, providers.KindTimeout)
		}
	}
}
