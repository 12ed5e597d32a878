package confirm

import (
	"fmt"
	"time"
)

// resendLoop sends again what is due, and gives up what is past its deadline.
func (c *Confirmer) resendLoop() {
	tick := time.NewTicker(max(c.opt.Resend/5, time.Millisecond))
	defer tick.Stop()
	reconnects := c.nc.Stats().Reconnects
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		connected, n := c.nc.IsConnected(), c.nc.Stats().Reconnects
		due, late := c.sweep(connected, connected && n != reconnects)
		if connected {
			reconnects = n
		}
		for _, e := range late {
			c.finish(e, nil, unconfirmed(e))
		}
		c.resend(due)
	}
}

func (c *Confirmer) resend(due []*entry) {
	for _, e := range due {
		if err := c.transmit(e); err != nil {
			// The connection is going away; the reconnect makes all of them due again.
			return
		}
	}
}

func unconfirmed(e *entry) error {
	if e.refusal != "" {
		return fmt.Errorf("%w for a message on %s; last refusal: %s", ErrUnconfirmed, e.subject, e.refusal)
	}
	return fmt.Errorf("%w for a message on %s: no reply", ErrUnconfirmed, e.subject)
}

// sweep collects what is due and removes what is late. A lost connection takes
// unread messages and unsent replies with it, so after a reconnect everything
// is due at once. While it is away nothing is: the client library would keep
// every copy.
func (c *Confirmer) sweep(connected, reconnected bool) (due, late []*entry) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.table.slots {
		switch {
		case e == nil:
		case e.deadline != 0 && now >= e.deadline:
			c.table.remove(e)
			late = append(late, e)
		case connected && (reconnected || c.pace[e.kind].lost(e, now, c.opt)):
			e.strayed = e.strayed || reconnected
			e.due = now + int64(jitter(e.wait))
			// Silence grows the wait slowly: a leader may be back at any moment.
			e.wait = min(e.wait*5/4, c.opt.MaxResend)
			due = append(due, e)
		}
	}
	c.stats.Resends += uint64(len(due))
	return due, late
}
