package keys

import (
	"time"

	"github.com/lookupq/lookupq/providers"
)

// Grant is the right to make one call. Copies are the same grant.
type Grant struct {
	// Key is the credential to use.
	Key providers.Key
	// N is how many numbers the call may have, at most.
	N int
	// Probe marks the one call that a quarantined key is tried with: report it by
	// Succeeded or Quarantine.
	Probe bool

	pool  *Pool
	lease *lease
}

// state is what became of a lease.
type state uint8

const (
	held      state = iota
	abandoned       // not renewed, but counted until its end
	lost            // not renewed in time
	released
)

// lease is a grant as Redis knows it. The fields from state on are under Pool.mu;
// a lease is in Pool.leases while it is held, or abandoned and not at its end.
type lease struct {
	id      string
	entity  int   // which key
	granted int   // numbers
	at      int64 // when, in microseconds of Redis's clock
	lostC   chan struct{}

	state    state
	refunded bool
	deadline time.Time   // until then Redis counts it for sure
	timer    *time.Timer // ends it at the deadline
}

// safeLease is how long the holder trusts a lease, counted from before the trip
// that took or renewed it: a tenth less than Redis does, for the time it takes
// to stop a call.
func (p *Pool) safeLease() time.Duration { return p.cfg.Lease - p.cfg.Lease/10 }

// newGrant notes a lease that was asked for at sent.
func (p *Pool) newGrant(l *lease, probe bool, sent time.Time) Grant {
	k := p.keys[l.entity-1]
	if probe {
		k.probe.Store(&l.id)
	}
	l.lostC = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	l.deadline = sent.Add(p.safeLease())
	l.timer = time.AfterFunc(time.Until(l.deadline), func() { p.expire(l) })
	p.leases[l.id] = l
	return Grant{Key: k.cfg.Key, N: l.granted, Probe: probe, pool: p, lease: l}
}

// expire ends a lease whose deadline has come. Called by its timer, which a
// renewal may have just missed.
func (p *Pool) expire(l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == released {
		return
	}
	if left := time.Until(l.deadline); left > 0 {
		l.timer.Reset(left)
		return
	}
	delete(p.leases, l.id)
	if l.state == held {
		l.state = lost
		close(l.lostC)
	}
}

// Lost is closed when the lease could not be renewed in time: somebody else may
// be given the permit soon, so the call must be cancelled. Release it all the same.
func (g *Grant) Lost() <-chan struct{} { return g.lease.lostC }

// Refund gives back numbers of the grant that will not be used, to the number
// rate; all of them give back the call as well. To be called once, before
// Release; later calls do nothing. It does not wait for Redis.
func (g *Grant) Refund(unused int) {
	l := g.lease
	unused = min(unused, l.granted)
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	if l.refunded || unused <= 0 {
		return
	}
	l.refunded = true
	g.pool.enqueueLocked(op{what: opRefund, entity: l.entity, id: l.id, x: int64(unused), y: int64(l.granted), at: l.at})
	if k := g.pool.keys[l.entity-1]; unused == l.granted && g.Probe {
		k.probe.CompareAndSwap(&l.id, nil)
	}
}

// Release says that the call is over, and frees the permit: at once for this
// pool's next Acquire, and for others as soon as Redis knows, to which it does
// not wait. Further calls do nothing.
func (g *Grant) Release() {
	l, p := g.lease, g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	// A lost lease is released as well: Redis may still count it.
	if l.state != held && l.state != lost {
		return
	}
	l.state = released
	l.timer.Stop()
	delete(p.leases, l.id)
	p.enqueueLocked(op{what: opRelease, entity: l.entity, id: l.id})
}

// Abandon gives up on the call without freeing the permit: after a timeout the
// upstream may be working still. The permit ends with its lease, which is not
// renewed any more. Release afterwards does nothing.
func (g *Grant) Abandon() {
	l, p := g.lease, g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == held {
		l.state = abandoned
	}
}

// holding counts the permits that this pool occupies.
func (p *Pool) holding() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.leases)
}
