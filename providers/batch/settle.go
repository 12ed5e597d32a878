package batch

// settled settles units that come back from the wire.
func (c *core[W]) settled(units []*unit[W]) []*unit[W] {
	kept := units[:0]
	for _, u := range units {
		if u = c.settle(u); u != nil {
			kept = append(kept, u)
		}
	}
	return kept
}

// settle makes a unit that comes back from the wire, or from its ticket, an
// unsent one; the caller puts it into a list. Where its number is waiting,
// pending or on the wire again already, its waiters go there and nil is returned.
func (c *core[W]) settle(u *unit[W]) *unit[W] {
	if u.twin != u {
		if v := u.host(); v != nil {
			c.absorb(v, u)
			return nil
		}
	}
	if u.detached {
		if v := u.part.find(u.number.E164, u.share); v.state == recent {
			c.recents.remove(v)
			c.drop(v)
		}
		u.detached = false
	}
	for i := range u.waiters {
		u.waiters[i].paid = false // the next call is paid for here
	}
	u.state = parked
	c.hold(u)
	return u
}

// host is another unit for the number and share group of u that its waiters may
// wait with, nil if there is none. The call of a unit that took the place of u
// began after u's waiters came, so they may all take its answer. A detached one
// may have been asked before, which is not good enough for some.
func (u *unit[W]) host() *unit[W] {
	var found *unit[W]
	for v := u.twin; v != u; v = v.twin {
		switch {
		case v.share != u.share || v.state == recent:
		case !v.detached:
			return v
		default:
			found = v
		}
	}
	if found != nil && u.hasOwn() {
		return nil
	}
	return found
}

// hasOwn reports whether a waiter of u takes no answer of a call from before it came.
func (u *unit[W]) hasOwn() bool {
	for i := range u.waiters {
		if u.waiters[i].own {
			return true
		}
	}
	return false
}

// paidElsewhere reports whether another worker's item bears the cost of what u waits for.
func (u *unit[W]) paidElsewhere() bool {
	for i := range u.waiters {
		if !u.waiters[i].paid {
			return false
		}
	}
	return true
}

// absorb gives v the waiters of u, and what u has used up.
func (c *core[W]) absorb(v, u *unit[W]) {
	paid := v.state == pending && v.paidElsewhere()
	for _, w := range u.waiters {
		w.paid = paid
		v.waiters = append(v.waiters, w)
	}
	v.tries, v.burned, v.own = max(v.tries, u.tries), max(v.burned, u.burned), max(v.own, u.own)
	v.doubtful, v.pauses = max(v.doubtful, u.doubtful), max(v.pauses, u.pauses)
	if v.broke {
		c.pull(v) // one of the newcomers may have money
		c.again(v)
	}
	if u.prio > v.prio {
		if v.unsent() {
			c.unsent[v.prio]--
			c.unsent[u.prio]++
		}
		requeued := v.state == fresh || v.state == due
		if requeued {
			c.pull(v)
		}
		v.prio = u.prio
		if requeued {
			c.again(v)
		}
	}
	c.drop(u)
}
