package telnyx

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// lowWater: below a tenth of its limit a key is slowed down.
	lowWater = 10
	// longestHold bounds what one header can do.
	longestHold = time.Minute
	// reserve is kept of a call's time for the request that is under way.
	reserve = 5 * time.Second
	// noDeadline is how long a call without a deadline goes on listing.
	noDeadline = time.Hour
)

// pace spreads the requests of one key. Safe in parallel.
type pace struct {
	mu sync.Mutex
	// next is when the next paced request may leave, held until when none may.
	next, held time.Time
}

// wait returns when the next request may leave, at once for the first of a call
// unless the key is held; false if ctx ends before, or it would be after until.
func (p *pace) wait(ctx context.Context, until time.Time, every interval, first bool) bool {
	p.mu.Lock()
	at := time.Now()
	if p.held.After(at) {
		at = p.held
	}
	if !first && p.next.After(at) {
		at = p.next
	}
	if at.After(until) {
		p.mu.Unlock() // the turn is left to a call that has the time
		return false
	}
	if p.next.Before(at) {
		p.next = at
	}
	p.next = p.next.Add(time.Duration(every))
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// observe slows down when little is left of the limit: what is left is spread
// over the time until it is reset.
func (p *pace) observe(h http.Header) {
	limit, errL := strconv.Atoi(strings.TrimSpace(h.Get("X-Ratelimit-Limit")))
	left, errR := strconv.Atoi(strings.TrimSpace(h.Get("X-Ratelimit-Remaining")))
	if errL != nil || errR != nil || left < 0 || left*lowWater >= limit {
		return
	}
	d := min(seconds(h.Get("X-Ratelimit-Reset"))/time.Duration(left+1), longestHold)
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.held) {
		p.held = until
	}
}

// heldFor is how long no request may leave.
func (p *pace) heldFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.held))
}

// beforeDeadline is a while before ctx ends, so that what was done can be kept and
// the caller be told.
func beforeDeadline(ctx context.Context) time.Time {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(noDeadline)
	}
	return end.Add(-min(time.Until(end)/4, reserve))
}
