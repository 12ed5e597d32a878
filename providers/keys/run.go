package keys

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// Run renews leases and tells Redis what is released, until ctx ends or Close is
// called; then it tells what is still pending (within a second) and returns.
// Leases that are held then run out: end Run after the last call is back. Run it
// once, from the start: leases are not renewed without it.
func (p *Pool) Run(ctx context.Context) {
	p.mu.Lock()
	again := p.started || p.closed
	p.started = p.started || !again
	p.mu.Unlock()
	if again {
		return
	}
	defer close(p.gone)
	timer := time.NewTimer(0) // the first renewal announces the limits
	defer timer.Stop()
	renewAt := time.Now()
	for {
		select {
		case <-ctx.Done():
			p.finish(ctx)
			return
		case <-p.quit:
			p.finish(ctx)
			return
		case <-p.kick:
			timer.Reset(min(time.Until(renewAt), tellAfter))
		case <-timer.C:
			renewAt = p.tick(ctx, renewAt)
			timer.Reset(time.Until(renewAt))
		}
	}
}

// tellAfter is how long a release waits for an Acquire of this pool that takes
// it along: under backlog one follows at once, and a trip of its own would only
// hold that up.
const tellAfter = 500 * time.Microsecond

// tick renews if that is due, else it tells what is pending. It returns when the
// next renewal is due, or, while Redis is away, the next attempt.
func (p *Pool) tick(ctx context.Context, renewAt time.Time) time.Time {
	if p.lock(ctx) != nil {
		return renewAt
	}
	defer p.unlock()
	err := p.ready(ctx)
	if err == nil && !time.Now().Before(renewAt) {
		if err = p.renew(ctx); err == nil {
			renewAt = time.Now().Add(p.interval())
		}
	}
	if err == nil {
		_, err = p.send(ctx)
	}
	if at := p.health.nextTry(); err != nil && !at.IsZero() {
		return at
	}
	return renewAt
}

// interval is the time between renewals: within Renew by a fifth, so that one may
// fail and be repeated; and spread.
func (p *Pool) interval() time.Duration {
	return time.Duration((0.7 + 0.1*p.cfg.Rand()) * float64(p.cfg.Renew))
}

// renew extends all leases of this pool in one trip, and announces its limits;
// with the wire held.
func (p *Pool) renew(ctx context.Context) error {
	sent, away := time.Now(), p.health.awaySince()
	leases, args := p.renewArgs(sent)
	v, err := p.send(ctx, call{p.scripts.renew, args})
	if err != nil {
		return err
	}
	r := newReply(v)
	_, epoch, hides := r.number(), r.text(), r.number() == 1
	if r.err != nil {
		return p.health.failed(time.Now(), r.err)
	}
	p.epoch = epoch
	if hides && !away.IsZero() && sent.Sub(away) > p.cfg.Renew {
		p.health.guard(away.Add(p.cfg.Lease))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range leases {
		if l.state == held {
			l.deadline = sent.Add(p.safeLease()) // its timer looks at this
		}
	}
	return nil
}

// renewArgs lists the leases that are to be renewed, and the script's arguments.
func (p *Pool) renewArgs(now time.Time) ([]*lease, []any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	args := make([]any, 0, 4+len(p.limits)+4*len(p.leases))
	args = append(args, redisdb.NewEpochID(), p.cfg.Lease.Milliseconds(), 2*p.cfg.Lease.Milliseconds(), 0)
	for i := 0; i < len(p.limits); i += 4 {
		args = append(args, p.limits[i:i+3]...)
	}
	leases := make([]*lease, 0, len(p.leases))
	for _, l := range p.leases {
		left := l.deadline.Sub(now)
		if left <= 0 {
			continue // its timer is about to end it: it must not come back
		}
		extend := 1
		last := p.cfg.Lease
		if l.state == abandoned {
			extend, last = 0, left+p.cfg.Lease/10
		}
		args = append(args, l.entity, l.id, last.Milliseconds(), extend)
		leases = append(leases, l)
	}
	args[3] = len(leases)
	return leases, args
}

// finish tells what is still pending, after ctx has ended.
func (p *Pool) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opTimeout)
	defer cancel()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if p.lock(ctx) != nil {
		return
	}
	defer p.unlock()
	// If it fails, the leases run out by themselves.
	_, _ = p.send(ctx)
}

// Close ends Run and waits for it. Acquire fails from then on.
func (p *Pool) Close() {
	p.mu.Lock()
	first, started := !p.closed, p.started
	p.closed = true
	p.mu.Unlock()
	if first {
		close(p.quit)
	}
	if started {
		<-p.gone
	}
}

// isClosed reports whether Close was called or Run has ended.
func (p *Pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}
