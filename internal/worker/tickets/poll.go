package tickets

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// answers is what the questions about one ticket brought.
type answers struct {
	began    time.Time
	complete bool // all pages were read
	known    bool // the upstream knows the ticket
	failure  *providers.Failure
}

// sweepKey asks for tickets that were handed in with one key, one after the
// other: the rate of a key leaves no room for more.
func (d *Desk) sweepKey(ctx context.Context, key string, due []*ticket) {
	defer func() {
		d.mu.Lock()
		delete(d.sweeping, key)
		d.mu.Unlock()
	}()
	for _, t := range due {
		if ctx.Err() != nil {
			return
		}
		if !d.beginSweep(t) {
			continue
		}
		a := d.sweep(ctx, t)
		d.noteFault(key, a)
		d.endSweep(ctx, t, a)
	}
}

// noteFault counts questions that failed, and logs when one fails with a key for
// another reason than before, or works again.
func (d *Desk) noteFault(key string, a answers) {
	if a.failure == nil && !a.complete {
		return // there was no permit, or no NATS
	}
	d.mu.Lock()
	before, failed := d.faults[key]
	if a.failure == nil {
		delete(d.faults, key)
	} else {
		d.faults[key] = a.failure.Kind
	}
	d.mu.Unlock()
	switch {
	case a.failure == nil && failed:
		d.cfg.Log.Info().Str("key", key).Msg("the upstream answers questions about batches again")
	case a.failure == nil:
		return
	case !failed || before != a.failure.Kind:
		d.cfg.Log.Warn().Str("key", key).AnErr("failure", a.failure).Msg("the upstream cannot be asked about batches")
	}
	if a.failure != nil {
		d.count.fetchFailures.Add(1)
	}
}

// beginSweep claims t; false if there is nothing to ask for any more.
func (d *Desk) beginSweep(t *ticket) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index.tickets[t.id] != t || t.owner != d.cfg.WorkerID || t.now().closed() || t.unanswered() == 0 {
		return false
	}
	t.sweeping = true
	return true
}

// sweep reads all pages about t and stores what they bring.
func (d *Desk) sweep(ctx context.Context, t *ticket) answers {
	a := answers{began: d.cfg.Now()}
	key, ok := d.cfg.Key(t.key)
	if !ok {
		a.failure = &providers.Failure{Kind: providers.KindMisconfigured, Message: "the key is not configured any more"}
		return a
	}
	cursor := ""
	// No upstream needs more pages than a few and a number each.
	for n := 1; n <= len(t.numbers)+fewPages; n++ {
		page, err := d.fetch(ctx, key, t, n, cursor)
		if err != nil {
			return a
		}
		a.known = a.known || page.Known
		if a.failure = page.Failure; a.failure != nil {
			return a
		}
		if d.storeEntries(ctx, t, page.Entries) != nil {
			return a
		}
		if !page.More || d.isComplete(t) {
			a.complete = true
			return a
		}
		cursor = page.Next
	}
	a.failure = &providers.Failure{Kind: providers.KindGarbled, Message: "the pages do not end"}
	return a
}

// fewPages may bring nothing: an upstream may look in several places, as the
// records of two weeks by their days.
const fewPages = 32

// fetch asks for one page; cursor is what the page before it said. The error is
// that of the permit.
func (d *Desk) fetch(ctx context.Context, key providers.Key, t *ticket, n int, cursor string) (providers.Page, error) {
	release, err := d.cfg.Permits.Acquire(ctx, t.key)
	if err != nil {
		return providers.Page{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	d.count.fetches.Add(1)
	return d.ask(ctx, providers.Fetch{Key: key, Ticket: t.id, SubmittedAt: t.created, Page: n, Cursor: cursor}), nil
}

// storeEntries stores what a page says of numbers without a receipt. Entries that
// cannot be read or belong to no number of t are counted and passed over.
func (d *Desk) storeEntries(ctx context.Context, t *ticket, entries [][]byte) error {
	for _, entry := range entries {
		r, err := d.receipt(entry, false)
		if err != nil || r.Ticket != "" && r.Ticket != t.id {
			d.count.strange.Add(1)
			continue
		}
		i, ok := t.place(r)
		if !ok {
			d.count.strange.Add(1)
			continue
		}
		fresh, err := d.storeReceipt(ctx, t, i, entry)
		if err != nil {
			return err
		}
		if fresh {
			d.count.fetched.Add(1)
		}
	}
	return nil
}

func (d *Desk) isComplete(t *ticket) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return t.unanswered() == 0
}

// endSweep decides what follows from the answers about t.
func (d *Desk) endSweep(ctx context.Context, t *ticket, a answers) {
	verdict, next := d.judge(t, a)
	if verdict.closed() {
		// What has been stored by now must be seen before anything is given up.
		if d.catchUp(ctx) != nil {
			verdict, next = noState, d.cfg.Now().Add(d.backoff(1))
		} else if verdict, next = d.judge(t, a); verdict.closed() {
			d.giveUp(ctx, t, verdict)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t.sweeping = false
	if verdict.closed() {
		return
	}
	t.nextSweep = next
	if verdict == submitted && t.state != submitted {
		t.turn(submitted)
		rouse(d.roused)
	}
}

// judge tells whether a ticket is to be closed, is submitted (noState: as it
// was), and when to ask again.
func (d *Desk) judge(t *ticket, a answers) (verdict state, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	giveUp := t.created.Add(d.pace.GiveUpAfter)
	next = now.Add(d.pace.PollEvery)
	if !a.complete {
		if a.failure != nil && a.failure.RetryAfter > d.pace.PollEvery {
			next = now.Add(a.failure.RetryAfter)
		}
		// Only the upstream's own word ends the waiting; or a long time without any, of
		// this worker's life.
		if last := later(t.created, t.since).Add(hardLimit * d.pace.GiveUpAfter); !now.Before(last) {
			return done, next
		}
		return noState, next
	}
	lost := t.now() != submitted && t.answered.count == 0
	if lost && !a.known {
		unknown := t.created.Add(d.pace.UnknownAfter)
		if !a.began.Before(unknown) {
			return void, next
		}
		return noState, earlier(next, unknown)
	}
	if !a.began.Before(giveUp) && t.unanswered() > 0 {
		return done, next
	}
	if lost {
		next = later(next, t.created.Add(d.pace.PollAfter))
	}
	return submitted, earlier(next, giveUp)
}

// giveUp closes t as it is. What has no receipt is asked again.
func (d *Desk) giveUp(ctx context.Context, t *ticket, s state) {
	if !d.owns(t) {
		return // somebody took it over meanwhile
	}
	d.mu.Lock()
	open := t.unanswered()
	d.mu.Unlock()
	if s == void {
		d.count.voided.Add(1)
	}
	d.count.givenUp.Add(uint64(open))
	d.cfg.Log.Warn().Str("ticket", t.id).Str("key", t.key).Int("numbers", len(t.numbers)).Int("unanswered", open).Stringer("as", s).
		Msg("a ticket is given up, its numbers without an answer are asked again")
	d.close(ctx, t, s)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
