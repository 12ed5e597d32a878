package batch

import (
	"errors"
	"slices"
	"time"
)

// block is why and until when a loop can ask nothing.
type block struct {
	until  time.Time
	reason string
}

// Usable reports whether the provider can be asked now, else why not. While it
// cannot, items wait here and use up no attempt; the caller should pull no more
// for it. It turns true by itself, so that a probe is tried. Cheap, in parallel.
func (l *Loop[W]) Usable() (bool, string) {
	b := l.block.Load()
	if b == nil || !time.Now().Before(b.until) {
		return true, ""
	}
	return false, b.reason
}

// errWait is how long the loop waits after an error that gives no hint.
const errWait = time.Second

// refused notes why there is no permit.
func (l *Loop[W]) refused(now time.Time, err error) {
	var w *WaitError
	if !errors.As(err, &w) {
		w = &WaitError{After: errWait, Reason: err.Error(), Stop: true}
	}
	until := now.Add(max(w.After, time.Millisecond))
	l.notBefore = until
	if !w.Stop {
		if l.freed {
			l.notBefore = time.Time{} // the refusal is older than what was given back
		}
		l.unblock()
		return
	}
	if l.blocked.IsZero() {
		l.blocked = now
		l.cfg.Log.Warn().Str("provider", l.cfg.Name).Str("reason", w.Reason).Dur("ask_again", w.After).
			Msg("no key can be used; work waits")
	}
	l.permitStop = &block{until: until, reason: w.Reason}
	if w.Fault != nil && until.Sub(l.blocked) >= l.cfg.FailoverAfter {
		l.core.shut(now, until, w.Fault)
	}
}

// unblock notes that keys can be used.
func (l *Loop[W]) unblock() {
	if l.blocked.IsZero() {
		return
	}
	l.cfg.Log.Info().Str("provider", l.cfg.Name).Msg("keys can be used again")
	l.blocked, l.permitStop = time.Time{}, nil
	l.core.shut(l.core.epoch, l.core.epoch, nil)
}

// stall holds back for d by itself, where the fleet could not be told.
func (l *Loop[W]) stall(now time.Time, d time.Duration) {
	l.notBefore = now.Add(d)
	l.permitStop = &block{until: l.notBefore, reason: "key fault not stored"}
}

// publish shows the others where the core stands.
func (l *Loop[W]) publish(now time.Time) {
	for p := range l.waiting {
		l.waiting[p].Store(int64(l.core.unsent[p] - l.core.broke[p]))
	}
	l.wired.Store(int64(l.core.wired))
	l.pending.Store(int64(l.core.pending))
	b := l.permitStop
	if until, reason := l.core.blockedUntil(l.core.at(now)); until > 0 {
		if at := l.core.epoch.Add(until); b == nil || b.until.Before(at) {
			b = &block{until: at, reason: reason}
		}
	}
	if old := l.block.Load(); old == nil || b == nil || *old != *b {
		l.block.Store(b)
	}
}

// blockedUntil is when the first circuit is tried again, if all circuits that
// matter are open: those of the partitions with work, or of all where none has any.
func (c *core[W]) blockedUntil(t tick) (tick, string) {
	until, reason := never, ""
	look := func(p *partition[W]) bool {
		if !p.health.open {
			return p.unsent > 0 || p.health.proven(t)
		}
		if p.health.until < until {
			until, reason = p.health.until, "provider "+p.health.fault.Kind.String()
		}
		return false
	}
	if slices.ContainsFunc(c.active, look) {
		return 0, ""
	}
	if len(c.active) == 0 {
		for _, p := range c.parts {
			if look(p) {
				return 0, ""
			}
		}
	}
	if until == never {
		return 0, ""
	}
	return until, reason
}
