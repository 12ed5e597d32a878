package tickets

import "time"

// seeRecord takes in a ticket as stored under revision. d.mu is held.
func (d *Desk) seeRecord(id string, r *record, revision uint64) {
	if _, gone := d.discards[id]; gone {
		return
	}
	if t := d.index.tickets[id]; t != nil {
		if revision >= t.revision {
			d.relearn(t, r, revision)
		}
		return
	}
	t := newTicket(id, r)
	t.since = d.cfg.Now()
	for _, i := range d.index.early[id] {
		if i < len(t.numbers) {
			t.answered.set(i)
		}
	}
	delete(d.index.early, id)
	d.index.add(t)
	t.owner = "" // as if it changed hands
	d.relearn(t, r, revision)
}

// relearn takes in what is stored of a known ticket. d.mu is held.
func (d *Desk) relearn(t *ticket, r *record, revision uint64) {
	before, wasClosed := t.owner, t.state.closed()
	t.revision, t.round = revision, d.view.round
	t.learn(r)
	d.index.recount(t)
	if t.owner != before {
		t.adoptAt = time.Time{}
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

// adopted tells that a ticket is this worker's now; before is "" if it always was.
func (d *Desk) adopted(t *ticket, before string) {
	if before == "" {
		return
	}
	d.count.adopted.Add(1)
	d.cfg.Log.Info().Str("ticket", t.id).Str("from", before).Stringer("state", t.state).Int("numbers", len(t.numbers)).
		Int("unanswered", t.unanswered()).Msg("the ticket of a worker that is gone was taken over")
}

// seeReceipt takes in the receipt of number i. d.mu is held.
func (d *Desk) seeReceipt(id string, i int, body []byte, at time.Time) {
	t := d.index.tickets[id]
	if t == nil {
		if i >= 0 && i < maxNumbers {
			d.index.early[id] = append(d.index.early[id], i)
		}
		return
	}
	if i < 0 || i >= len(t.numbers) || !t.answered.set(i) {
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
		d.post(letter{ticket: t, number: number, body: body, at: at})
	}
}

// forget drops a ticket that is not in the bucket any more. d.mu is held.
func (d *Desk) forget(t *ticket) {
	d.index.remove(t)
	d.recall(t.id)
}

// recall lets the numbers that wait for a ticket be looked at. d.mu is held.
func (d *Desk) recall(id string) {
	if len(d.waits[id]) > 0 {
		d.replays[id] = struct{}{}
		rouse(d.recalled)
	}
}
