package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The states of a key that Status tells.
const (
	StateReady       = "ready"
	StatePaused      = "paused"
	StateQuarantined = "quarantined"
)

// keepTelling is how long a quarantine, or its end, is worth telling to a Redis that is away.
const keepTelling = time.Hour

// KeyStatus is one key as the whole fleet sees it. The entry with an empty Name
// is the provider over all its keys.
type KeyStatus struct {
	Name  string
	State string
	// InFlight are the calls on the wire, Limit how many there may be (0: no limit).
	InFlight, Limit int
	// Until is when the pause ends or the next probe goes, zero if ready.
	Until time.Time
	// Reason is why it is paused or quarantined, as Pause or Quarantine was told.
	Reason string
	// Failures counts failures in a row of a quarantined key.
	Failures int
	// Balance is what it had left when that was last read, nil if it never was.
	Balance *Balance
}

// Pause stops the whole fleet from using a key for d, or the whole provider if
// name is empty. A pause that ends later stands. On error Redis does not know yet;
// it is told as soon as it is back.
func (p *Pool) Pause(ctx context.Context, name string, d time.Duration, reason string) error {
	return p.tell(ctx, name, op{what: opPause, why: reason, until: time.Now().Add(d)})
}

// Quarantine takes a key away from the whole fleet that does not work (unknown,
// forbidden, no balance). After a minute, doubling to an hour with each failure
// of a probe, one call is let through; Succeeded ends the quarantine. Failures of
// calls that were on the wire already do not count again. On error as Pause.
func (p *Pool) Quarantine(ctx context.Context, name, reason string) error {
	if name == "" {
		return errors.New("quarantine: no key named")
	}
	return p.tell(ctx, name, op{what: opQuarantine, why: reason, until: time.Now().Add(keepTelling)})
}

// Resume ends a pause and a quarantine of that cause over the whole fleet, and no
// other: the reason is known to be gone. On error Redis may be told a little later.
func (p *Pool) Resume(ctx context.Context, name, cause string) error {
	if name == "" {
		return errors.New("resume: no key named")
	}
	return p.tell(ctx, name, op{what: opResume, why: cause, until: time.Now().Add(p.cfg.Lease)})
}

// Succeeded says that a call with the key was answered. It ends a quarantine, if
// this pool made the probe. Cheap, to be called after each good call.
func (p *Pool) Succeeded(name string) {
	i := p.byName[name]
	if i == 0 {
		return
	}
	if id := p.keys[i-1].probe.Swap(nil); id != nil {
		p.enqueue(op{what: opClear, entity: i, id: *id, until: time.Now().Add(keepTelling)})
	}
}

// tell queues o and sends what is pending.
func (p *Pool) tell(ctx context.Context, name string, o op) error {
	i, known := p.byName[name]
	if !known {
		return fmt.Errorf("%s: provider %s has no key called %q", o.what, p.cfg.Provider, name)
	}
	o.entity = i
	if o.what == opQuarantine {
		p.keys[i-1].probe.Store(nil)
	}
	p.enqueue(o)
	if err := p.lock(ctx); err != nil {
		return fmt.Errorf("%s key %s: %w", o.what, name, err)
	}
	defer p.unlock()
	err := p.ready(ctx)
	if err == nil {
		_, err = p.send(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s key %s: %w", o.what, name, errAway(err))
	}
	return nil
}

// Status asks Redis for the state of the provider and each key, in the order of
// the configuration; one trip, for the status page.
func (p *Pool) Status(ctx context.Context) ([]KeyStatus, error) {
	limits := make([]any, 0, 1+len(p.keys))
	for i := 0; i < len(p.limits); i += 4 {
		limits = append(limits, p.limits[i])
	}
	v, err := p.roundTrip(ctx, call{p.scripts.status, limits})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r := newReply(v)
	out := make([]KeyStatus, 0, 1+len(p.keys))
	for i := range limits {
		s, err := readStatus(newReply(r.next()), now)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			s.Name = p.keys[i-1].cfg.Key.Name
		}
		out = append(out, s)
	}
	return out, r.err
}

// readStatus reads one entry of the answer of status.lua.
func readStatus(r *reply, now time.Time) (KeyStatus, error) {
	s := KeyStatus{State: StateReady, InFlight: int(r.number()), Limit: int(r.number())}
	paused, why := r.number(), r.text()
	failures, probe, reason := r.number(), r.number(), r.text()
	if paused > 0 {
		s.State, s.Reason, s.Until = StatePaused, why, now.Add(time.Duration(paused)*time.Millisecond)
	}
	if failures > 0 {
		s.State, s.Reason, s.Failures = StateQuarantined, reason, int(failures)
		s.Until = now.Add(time.Duration(max(probe, paused)) * time.Millisecond)
	}
	s.Balance = readBalance(r, now)
	return s, r.err
}
