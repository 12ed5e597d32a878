package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lookupq/lookupq/internal/worker/tickets"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
	"github.com/lookupq/lookupq/providers/keys"
)

// desk is what a deferred provider has besides its packer: its tickets, and the
// permits of the questions about them, which have a rate of their own.
type desk struct {
	*tickets.Desk
	name, typ string
	fetch     map[string]*keys.Pool // by key
}

// callbackPath is where providers push receipts, followed by their type and a token.
const callbackPath = "/callbacks/"

// openDesk makes the desk of a deferred provider.
func (w *Worker) openDesk(name string, pc Provider, impl providers.Deferred) (*desk, error) {
	d := &desk{name: name, typ: pc.Type, fetch: map[string]*keys.Pool{}}
	byName := map[string]providers.Key{}
	for _, k := range pc.Keys {
		key := providers.Key{Name: k.Name, Secret: k.Secret}
		pool, err := keys.NewPool(w.rdb, keys.Config{
			Provider: name + "." + k.Name + ".fetch", Type: pc.Type + ".fetch", WorkerID: w.opt.ID, Lease: w.opt.Lease, Renew: w.opt.Lease / 3,
			Keys: []keys.KeyConfig{{Key: key, Limits: keys.Limits{Concurrency: 1, Rate: impl.Pace().FetchRate}}},
		})
		if err != nil {
			return nil, err
		}
		w.onClose("questions with key "+k.Name+" of "+name, func(context.Context) error { pool.Close(); return nil })
		d.fetch[k.Name], byName[k.Name] = pool, key
	}
	callback := ""
	if w.cfg.HTTP.PublicURL != "" {
		callback = w.cfg.HTTP.PublicURL + callbackPath + pc.Type
	}
	w.desks = append(w.desks, d)
	var err error
	d.Desk, err = tickets.New(tickets.Config{
		Names: w.cfg.Names(), JS: w.js, Confirm: w.confirm, Provider: name, Impl: impl,
		WorkerID: w.opt.ID, Alive: w.registry.Alive, CallbackURL: callback,
		Key:     func(name string) (providers.Key, bool) { k, ok := byName[name]; return k, ok },
		Permits: d, Timeout: pc.Timeout, Sure: w.pipeline.sure, Log: w.log.With().Str("provider", name).Logger(),
	})
	return d, err
}

// Acquire implements tickets.Permits: it waits until a question may be asked with
// the key.
func (d *desk) Acquire(ctx context.Context, key string) (release func(), err error) {
	pool := d.fetch[key]
	if pool == nil {
		return nil, errors.New("no such key: " + key)
	}
	for {
		g, err := pool.Acquire(ctx, 1)
		if err == nil {
			return g.Release, nil
		}
		wait, ok := errors.AsType[*keys.WaitError](err)
		if !ok {
			return nil, err
		}
		timer := time.NewTimer(wait.After)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// run keeps the desk until ctx ends.
func (d *desk) run(ctx context.Context) error {
	var pools sync.WaitGroup
	defer pools.Wait()
	for _, p := range d.fetch {
		pools.Go(func() { p.Run(ctx) })
	}
	return d.Run(ctx)
}

// deskPermits gives a packer permits to submit, as long as tickets can be kept and
// the numbers submitted and unanswered leave room for the whole batch: a few at a
// time would make many small ones.
type deskPermits struct {
	batch.Permits
	desk      *desk
	connected func() bool // to NATS
}

// roomLook is how often room among the outstanding numbers is looked for.
const roomLook = 500 * time.Millisecond

// Acquire implements batch.Permits.
func (p deskPermits) Acquire(ctx context.Context, n int) (batch.Grant, error) {
	if !p.connected() {
		return batch.Grant{}, &batch.WaitError{After: roomLook, Reason: "nats_away", Stop: true}
	}
	if reason, blocked := p.desk.Blocked(); blocked {
		return batch.Grant{}, &batch.WaitError{After: roomLook, Reason: reason, Stop: true}
	}
	_, limit := p.desk.Outstanding()
	if n = min(n, limit); !p.desk.Reserve(n) {
		return batch.Grant{}, &batch.WaitError{After: roomLook, Reason: "outstanding"}
	}
	g, err := p.Permits.Acquire(ctx, n)
	if err != nil {
		p.desk.Unreserve(n)
		return g, err
	}
	p.desk.Unreserve(n - g.N)
	g.Lease = p.desk.Hold(g.Lease, g.N)
	return g, nil
}

// attachTimeout bounds one wait for the desk to have read every ticket there is.
const attachTimeout = 5 * time.Second

// attach has items wait for the tickets that their numbers are under already: of
// a job that a worker left behind, or of another item of their share group. It
// returns false if ctx ended first; the items must not be packed then.
func (p *pipeline) attach(ctx context.Context, d *desk, ask []asking, items []batch.Item[waiter]) bool {
	asks := make([]tickets.Ask, len(ask))
	for i := range ask {
		j := ask[i].job
		asks[i] = tickets.Ask{
			Number: ask[i].number.E164, Partition: ask[i].partition, ShareGroup: j.tenant.ShareGroup,
			Reclaimed: j.reclaimed(), Fresh: items[i].NoShare, Stored: j.held.Stored,
		}
	}
	var found []tickets.Attachment
	err := p.patiently(ctx, "tickets", func() (err error) {
		once, cancel := context.WithTimeout(ctx, attachTimeout)
		defer cancel()
		found, err = d.Attach(once, asks)
		return err
	})
	for i := range found {
		items[i].Ticket, items[i].Paid = found[i].Ticket, found[i].Paid
	}
	return err == nil
}

// status is the desk's part of /v1/status.
func (d *desk) status() *TicketStatus {
	s := d.Status()
	out := &TicketStatus{
		Open: s.Tickets, Unsure: s.Unsure, Outstanding: s.Outstanding, Limit: s.Limit, Waiting: s.Waiting, Ready: s.Ready && s.Watching,
	}
	if !s.Oldest.IsZero() {
		out.Oldest = &s.Oldest
	}
	return out
}

// deskGauges registers what a desk tells at every scrape.
func (w *Worker) deskGauges(d *desk) {
	l := map[string]string{"provider": d.name}
	gauge := func(name, help string, read func(s tickets.Status) int) {
		w.metrics.Gauge(name, help, l, func() float64 { return float64(read(d.Status())) })
	}
	gauge("tickets_open", "Submitted batches that lack an answer, over the fleet.", func(s tickets.Status) int { return s.Tickets })
	gauge("tickets_unsure", "Batches of which it is not known whether the upstream took them.", func(s tickets.Status) int { return s.Unsure })
	gauge("outstanding_numbers", "Numbers submitted and not answered, over the fleet.", func(s tickets.Status) int { return s.Outstanding })
	count := func(name, help string, read func(s tickets.Status) uint64) {
		w.metrics.Counter(name, help, l, func() float64 { return float64(read(d.Status())) })
	}
	count("receipts_total", "Receipts that were pushed and stored.", func(s tickets.Status) uint64 { return s.Receipts })
	count("receipts_rejected_total", "Posts to the callback address that were no receipt of ours.", func(s tickets.Status) uint64 { return s.Rejected })
	count("receipts_deferred_total", "Receipts that could not be stored; the upstream sends them again.", func(s tickets.Status) uint64 { return s.Deferred })
	count("ticket_fetches_total", "Questions about tickets.", func(s tickets.Status) uint64 { return s.Fetches })
	count("ticket_fetch_failures_total", "Questions about tickets without an answer.", func(s tickets.Status) uint64 { return s.FetchFailures })
	count("tickets_lost_replies_total", "Submits whose reply was lost.", func(s tickets.Status) uint64 { return s.LostReplies })
	count("tickets_adopted_total", "Tickets taken over from a worker that is gone.", func(s tickets.Status) uint64 { return s.Adopted })
	count("numbers_given_up_total", "Numbers that the upstream never answered.", func(s tickets.Status) uint64 { return s.GivenUp })
}
