package keys

import (
	"slices"
	"time"
)

// What a pool has to tell; lua/settle.lua does it.
const (
	opRelease    = "release"
	opRefund     = "refund"
	opPause      = "pause"
	opQuarantine = "quarantine"
	opClear      = "clear"
	opResume     = "resume"
	opTold       = "told"
	opPostpone   = "postpone"
)

// op is one thing to tell Redis. Until it is told it is worth repeating, but for
// refunds, which must not be done twice.
type op struct {
	what   string
	entity int
	id     string // lease
	x, y   int64  // refund: unused, granted
	at     int64  // refund: when it was granted
	why    string
	until  time.Time // when there is nothing left to tell: the lease or pause is over
}

// enqueueLocked queues o and wakes Run; under mu.
func (p *Pool) enqueueLocked(o op) {
	if o.until.IsZero() {
		o.until = time.Now().Add(p.cfg.Lease)
	}
	p.pending = append(p.pending, o)
	p.fullUntil = time.Time{}
	p.wake()
}

// enqueue queues o and wakes Run.
func (p *Pool) enqueue(o op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enqueueLocked(o)
}

// enqueueUnsure releases a lease that Redis may have granted although no answer
// came. Which key it was is not known: all are told.
func (p *Pool) enqueueUnsure(id string, sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.keys {
		p.enqueueLocked(op{what: opRelease, entity: i + 1, id: id, until: sent.Add(p.cfg.Lease + p.opTimeout)})
	}
}

// takePending empties the queue, without what has become pointless.
func (p *Pool) takePending() []op {
	p.mu.Lock()
	defer p.mu.Unlock()
	ops := p.pending
	p.pending = nil
	now := time.Now()
	return slices.DeleteFunc(ops, func(o op) bool { return now.After(o.until) })
}

// keepPending puts ops back in front after a trip that failed.
func (p *Pool) keepPending(ops []op) {
	ops = slices.DeleteFunc(ops, func(o op) bool { return o.what == opRefund })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(ops, p.pending...)
}

// opArgs are the arguments of settle.lua.
func (p *Pool) opArgs(ops []op) []any {
	args := make([]any, 0, 6*len(ops))
	for _, o := range ops {
		x, why := o.x, any(o.why)
		switch o.what {
		case opPause, opPostpone:
			x = max(time.Until(o.until).Milliseconds(), 0)
		case opRefund:
			why = o.at
		}
		args = append(args, o.what, o.entity, o.id, x, o.y, why)
	}
	return args
}

// wake makes Run look at what is pending.
func (p *Pool) wake() {
	select {
	case p.kick <- struct{}{}:
	default: // it will look anyway
	}
}
