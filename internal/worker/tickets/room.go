package tickets

// Reserve takes room for n numbers among the outstanding ones; false if there is
// not that much. Provider's Call consumes the room for its numbers; what is not
// called for goes back with Unreserve. Cheap, in parallel.
func (d *Desk) Reserve(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index.outstanding+d.reserved+n > d.pace.Outstanding {
		return false
	}
	d.reserved += n
	return true
}

// Unreserve gives back room that Reserve took.
func (d *Desk) Unreserve(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unreserve(n)
}

// unreserve is Unreserve; a call without a reservation takes nobody's. d.mu is held.
func (d *Desk) unreserve(n int) { d.reserved -= min(n, d.reserved) }

// Blocked tells whether nothing can be handed in now, and why in a word: tickets
// are not read yet, or could not be stored a moment ago. Cheap, in parallel.
func (d *Desk) Blocked() (reason string, blocked bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.view.complete:
		return "tickets_unread", true
	case d.cfg.Now().Before(d.unstorable):
		return "tickets_unstored", true
	}
	return "", false
}
