package tickets

import "time"

// seeRecord takes in a stored ticket. d.mu is held.
func (d *Desk) seeRecord(id string, r *record) {
	if _, gone := d.discards[id]; gone {
		return
	}
	t := d.index.tickets[id]
	if t == nil {
		t = newTicket(id, r)
		t.since, t.moved = d.cfg.Now(), r.Owner != d.cfg.WorkerID
		d.index.add(t)
	}
	t.round = d.view.round
	d.recall(id)
}

// seeStatus takes in a stored status. d.mu is held.
func (d *Desk) seeStatus(id string, body []byte, revision uint64) {
	t := d.index.tickets[id]
	if t == nil || revision < t.revision {
		return
	}
	s, err := decodeStatus(body, len(t.numbers))
	if err != nil {
		d.count.unreadable.Add(1)
		return
	}
	d.relearn(t, &s, revision)
}

// relearn takes in the status that is stored. d.mu is held.
func (d *Desk) relearn(t *ticket, s *status, revision uint64) {
	before, wasClosed := t.owner, t.state.closed()
	t.revision = revision
	t.learn(s)
	d.index.recount(t)
	if t.owner != before {
		t.adoptAt, t.moved, t.served = time.Time{}, true, bitset{}
		if t.owner == d.cfg.WorkerID {
			t.since, t.nextSweep = d.cfg.Now(), time.Time{}
			d.adopted(t, before)
		}
	}
	if t.state.closed() && !wasClosed {
		t.since = d.cfg.Now()
	}
	d.recall(t.id)
}

// adopted tells that a ticket is this worker's now.
func (d *Desk) adopted(t *ticket, before string) {
	d.count.adopted.Add(1)
	d.cfg.Log.Info().Str("ticket", t.id).Str("from", before).Stringer("state", t.state).Int("numbers", len(t.numbers)).
		Int("unanswered", t.unanswered()).Msg("the ticket of a worker that is gone was taken over")
}

// seeReceipt takes in the receipt of number i. d.mu is held.
func (d *Desk) seeReceipt(id string, i int, body []byte, at time.Time) {
	t := d.index.tickets[id]
	if t == nil || i < 0 || i >= len(t.numbers) || !t.answered.set(i) {
		return
	}
	if t.owner == d.cfg.WorkerID && !t.calling && (t.now() == unsure || t.now() == submitting) {
		t.turn(submitted) // the upstream has it
		t.nextSweep = t.created.Add(d.pace.PollAfter)
	}
	if t.unanswered() == 0 {
		rouse(d.roused)
	}
	d.index.recount(t)
	number := t.numbers[i]
	if d.unpark(id, number) {
		d.post(letter{ticket: t, place: i, number: number, body: body, at: at})
	}
}

// forget drops a ticket that is not in the bucket any more. d.mu is held.
func (d *Desk) forget(t *ticket) {
	d.index.remove(t)
	if s := t.now(); s == submitting || s == void {
		d.recall(t.id)
		return
	}
	d.dismiss(t.id, missing()) // it was handed in, and may have been paid
}

// recall lets the numbers that wait for a ticket be looked at. d.mu is held.
func (d *Desk) recall(id string) {
	if len(d.waits[id]) > 0 {
		d.replays[id] = struct{}{}
		rouse(d.recalled)
	}
}
