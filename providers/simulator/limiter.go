package simulator

import (
	"sync"
	"time"
)

// limiter enforces one key's limits the way upstreams do: what is too much is
// refused, never queued. Rates are spaced (GCRA) with a small tolerance, so that
// a client that keeps the rate is not refused for the network's jitter.
type limiter struct {
	mu     sync.Mutex
	limits Limits
	open   int
	calls  spacing
	nums   spacing
	paces  map[string]*spacing
}

// pace is a rate of its own for one sort of call; 0 or less is unlimited.
type pace struct {
	name string
	rate float64 // calls a second
}

// jitterTolerance is how much earlier than its turn a call may arrive.
const jitterTolerance = 20 * time.Millisecond

type spacing struct{ next time.Time }

func (s *spacing) admit(now time.Time, rate float64, cost int) bool {
	if rate <= 0 {
		return true
	}
	if now.Before(s.next.Add(-jitterTolerance)) {
		return false
	}
	if s.next.Before(now) {
		s.next = now
	}
	s.next = s.next.Add(time.Duration(float64(cost) / rate * float64(time.Second)))
	return true
}

// enter asks for one call with n numbers; leave must follow if it is let in.
func (l *limiter) enter(now time.Time, n int, paces ...pace) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.Concurrency > 0 && l.open >= l.limits.Concurrency {
		return false
	}
	if !l.calls.admit(now, l.limits.Rate, 1) || !l.nums.admit(now, l.limits.NumberRate, n) {
		return false
	}
	for _, p := range paces {
		s := l.paces[p.name]
		if s == nil {
			if l.paces == nil {
				l.paces = map[string]*spacing{}
			}
			s = &spacing{}
			l.paces[p.name] = s
		}
		if !s.admit(now, p.rate, 1) {
			return false
		}
	}
	l.open++
	return true
}

// room is how many calls the limiter would let in right now, at most its rate,
// and when the next one may come. For the headers that tell it.
func (l *limiter) room(now time.Time) (left int, reset time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reset = l.calls.next.Sub(now); reset > 0 {
		return 0, reset
	}
	return max(1, int(l.limits.Rate)), 0
}

func (l *limiter) leave() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
}
