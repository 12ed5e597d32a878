package telnyx

import (
	"context"
	"net/http"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// session is one call. It belongs to the call's goroutine and makes one request at
// most: that is what the call's permit is for.
type session struct {
	p *Provider
	q providers.Query
	// slowDown is what the reply's headers ask for.
	slowDown time.Duration
}

// send makes the request. Reads have less time than a call may take.
func (s *session) send(ctx context.Context, a ask) (upstream.Response, *refusal) {
	if a.route.endpoint().method == http.MethodGet {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(s.p.settings.ReadTimeout))
		defer stop()
	}
	res, no := s.p.wire.send(ctx, s.q.Key, a)
	s.slowDown = slowDown(res.Header)
	return res, no
}

// ask makes the call of an operation.
func (s *session) ask(ctx context.Context, op operation) providers.Reply {
	var r providers.Reply
	switch op {
	case opLookup:
		r = s.lookup(ctx)
	case opPorting:
		r = s.porting(ctx)
	case opPortability:
		r = s.portability(ctx)
	}
	if f := r.Failure; f != nil && f.Kind == providers.KindForbidden && f.Code == codeNoRight {
		// The right that is missing is this operation's. The key is of use for the
		// others, so only this one is to stand still.
		f.Kind, f.Message = providers.KindMisconfigured, "the key may not use "+string(op)+": "+f.Message
	}
	r.SlowDown = s.slowDown
	return r
}
