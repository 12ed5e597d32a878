package batch

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/lookupq/lookupq/providers"
)

const (
	// provenFor is how long a success speaks for the provider: a failure within
	// that time is held against the batch.
	provenFor = time.Minute
	// failuresInARow opens the circuit of a provider that did answer a moment ago.
	failuresInARow = 5
	// suspectsInARow does so where bisecting meets nothing but refusals: with ten
	// bad numbers in a thousand the first dozen are to be expected.
	suspectsInARow = 20
	// firstPause is how long a circuit opens first; each probe that fails doubles
	// it, up to maxPause.
	firstPause = time.Second
	maxPause   = time.Minute
	pauseSteps = 8
	// failoverPauses is how many pauses in a row it takes to hand on the items
	// that another provider of the route can answer.
	failoverPauses = 3
	// unitPauses is how often one number, asked alone as the probe, may be refused
	// before the refusal is believed.
	unitPauses = 5
)

// health is the circuit of one partition. While it is open, nothing is asked
// until the pause is over; then one number is, as a probe. Its success closes
// the circuit.
type health struct {
	lastSuccess tick
	succeeded   bool
	failures    int // ordinary calls failed in a row
	suspects    int // calls of suspects failed in a row
	pauses      int // circuits opened in a row
	open        bool
	until       tick // of the current pause
	fault       *providers.Failure
}

// proven reports whether another batch of the partition succeeded lately.
func (h *health) proven(t tick) bool {
	return !h.open && h.succeeded && t-h.lastSuccess <= provenFor
}

func (h *health) success(t tick) {
	*h = health{lastSuccess: t, succeeded: true}
}

// failed notes a failed call that may be the provider's fault. It returns the
// pause if the circuit is opened by it, or opened again by a probe.
func (c *core[W]) failed(t tick, b *packed[W], f *providers.Failure, certain bool) time.Duration {
	h := &b.part.health
	if h.open && !b.probe {
		return 0 // it left before the circuit opened
	}
	if b.suspect {
		h.suspects++
	} else {
		h.failures++
	}
	if !h.open && !certain && h.proven(t) && h.failures < failuresInARow && h.suspects < suspectsInARow {
		return 0
	}
	pause := c.jitter(step(c.pauses, h.pauses+1))
	h.pauses++
	h.open, h.until, h.fault = true, t+pause, f
	return pause
}

// steps are the intervals of an exponential backoff.
func steps(first, most time.Duration, n int) []time.Duration {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(first), backoff.WithMaxInterval(most), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0), backoff.WithMaxElapsedTime(0),
	)
	s := make([]time.Duration, max(n, 1))
	for i := range s {
		s[i] = b.NextBackOff()
	}
	return s
}

// step is the interval before try n+1, n from 1.
func step(s []time.Duration, n int) time.Duration {
	return s[min(max(n, 1), len(s))-1]
}

// jitter takes up to half of d off, so that those who failed together do not
// come back together. Randomness is passed in: the library's own is not.
func (c *core[W]) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - c.cfg.rand()/2))
}
