package tickets

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/lookupq/lookupq/providers"
)

// Provider is Impl for the packer: what Impl defers is handed in under a ticket.
// It passes on every method of providers.Deferred, PartitionLimit and
// ValidateOptions. BalanceReader and Checker are asked of Impl itself.
func (d *Desk) Provider() providers.Provider { return &caller{d.cfg.Impl, d} }

// caller is Impl with tickets.
type caller struct {
	providers.Deferred
	desk *Desk
}

var (
	_ providers.Deferred         = (*caller)(nil)
	_ providers.PartitionLimiter = (*caller)(nil)
	_ providers.OptionsValidator = (*caller)(nil)
)

// Call answers q at once or hands it in.
func (c *caller) Call(ctx context.Context, q providers.Query) providers.Reply {
	if !c.Defers(q) {
		return c.Deferred.Call(ctx, q)
	}
	return c.desk.submit(ctx, q)
}

// PartitionLimit is Impl's, or its MaxBatch if partitions do not differ.
func (c *caller) PartitionLimit(partition string) int {
	if l, ok := c.Deferred.(providers.PartitionLimiter); ok {
		return l.PartitionLimit(partition)
	}
	return c.Limits().MaxBatch
}

// ValidateOptions is Impl's; one without it takes no options.
func (c *caller) ValidateOptions(opts providers.Options) error {
	if v, ok := c.Deferred.(providers.OptionsValidator); ok {
		return v.ValidateOptions(opts)
	}
	if len(opts) > 0 {
		return errors.New("takes no options")
	}
	return nil
}

// submit stores a ticket, hands q in and notes what became of it.
func (d *Desk) submit(ctx context.Context, q providers.Query) providers.Reply {
	r, token, fail := d.newRecord(q)
	if fail != nil {
		return providers.Reply{Failure: fail}
	}
	id := ulid.MustNew(ulid.Timestamp(r.CreatedAt), rand.Reader).String()
	t, err := d.open(ctx, id, r)
	if err != nil {
		// A write without an answer may be stored after all.
		d.discard(id)
		return providers.Reply{Failure: notSent("the ticket could not be stored")}
	}
	defer d.counted(len(r.Numbers))
	// A process that was stopped for a while wakes up here.
	switch {
	case d.late(ctx):
		fail = notSent("the time was up")
	case !d.cfg.Sure():
		fail = notSent("the worker may have lost its jobs")
	}
	if fail != nil {
		d.discard(id)
		return providers.Reply{Failure: fail}
	}
	return d.record(ctx, t, d.handIn(ctx, q, id, d.callback(token)))
}

// notSent fails a call that nobody heard of: neither numbers nor key nor upstream
// are to blame for it.
func notSent(why string) *providers.Failure {
	return &providers.Failure{Kind: providers.KindRetryable, Message: "not sent: " + why, Innocent: true, RetryAfter: restFor}
}

// late tells whether ctx has ended. The timer that ends it fires late in a process
// that was stopped, and counts no time in a machine that was suspended.
func (d *Desk) late(ctx context.Context) bool {
	end, has := ctx.Deadline()
	now := d.cfg.Now()
	return ctx.Err() != nil || has && (!now.Before(end) || !now.Round(0).Before(end.Round(0)))
}

// callback is where receipts of the token's ticket go.
func (d *Desk) callback(token string) string {
	if d.cfg.CallbackURL == "" {
		return ""
	}
	return d.cfg.CallbackURL + "/" + token
}

// newRecord makes the ticket of q and its callback token, which is stored nowhere.
func (d *Desk) newRecord(q providers.Query) (*record, string, *providers.Failure) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	token := hex.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(token))
	r := &record{
		Version: recordVersion, Owner: d.cfg.WorkerID, Key: q.Key.Name, Partition: q.Partition,
		CreatedAt: d.cfg.Now().UTC(), Token: hex.EncodeToString(hash[:]), Raw: q.Raw, Numbers: make([]uint64, len(q.Numbers)),
	}
	for i, n := range q.Numbers {
		number, ok := parseNumber(n.E164)
		if !ok {
			return nil, "", &providers.Failure{Kind: providers.KindInternal, Message: "a number is not in E.164"}
		}
		r.Numbers[i] = number
	}
	r.group(q.ShareGroups)
	return r, token, nil
}

// group notes whose answers the numbers are; nil is nobody's in particular.
func (r *record) group(groups []string) {
	if len(groups) != len(r.Numbers) {
		r.Groups = []string{""}
		return
	}
	places := make(map[string]uint16)
	of := make([]uint16, len(groups))
	for i, g := range groups {
		place, known := places[g]
		if !known {
			place = uint16(len(r.Groups))
			places[g] = place
			r.Groups = append(r.Groups, g)
		}
		of[i] = place
	}
	if len(r.Groups) > 1 {
		r.GroupOf = of
	}
}

// open stores a new ticket and takes it into the index, so that a receipt which
// is faster than the watcher finds it. It keeps trying for a part of ctx's time.
func (d *Desk) open(ctx context.Context, id string, r *record) (*ticket, error) {
	bound := createTimeout
	if end, ok := ctx.Deadline(); ok {
		bound = min(bound, time.Until(end)/3)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	err := d.create(ctx, id, r)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.unstorable = d.cfg.Now().Add(restFor)
		return nil, err
	}
	d.unstorable = time.Time{}
	t := d.index.tickets[id]
	if t == nil { // else the watcher was faster
		t = newTicket(id, r)
		d.index.add(t)
	}
	t.round, t.calling, t.since = d.view.round, true, d.cfg.Now()
	d.inCalls += len(r.Numbers)
	return t, nil
}

// record notes what Submit brought and tells the packer.
func (d *Desk) record(ctx context.Context, t *ticket, reply providers.Reply) providers.Reply {
	if reply.Failure == nil && len(reply.Outcomes) != len(t.numbers) {
		reply.Failure = &providers.Failure{Kind: providers.KindGarbled, Message: "outcomes and numbers do not fit"}
	}
	if fail := reply.Failure; fail != nil && !fail.Kind.Unsure() {
		d.discard(t.id)
		reply.Ticket = ""
		return reply
	}
	if reply.Failure != nil {
		d.settle(ctx, t, unsure, nil)
		d.count.unsure.Add(1)
		d.cfg.Log.Warn().Str("ticket", t.id).Str("key", t.key).Int("numbers", len(t.numbers)).Stringer("failure", reply.Failure.Kind).
			Msg("the reply to a batch was lost, the upstream is asked whether it has it")
		reply.Ticket, reply.Outcomes = t.id, pending(len(t.numbers))
		return reply
	}
	var finals []final
	for i, o := range reply.Outcomes {
		if o.Kind != providers.Pending {
			finals = append(finals, newFinal(i, o))
		}
	}
	if len(finals) == len(t.numbers) { // nothing will come
		d.discard(t.id)
		reply.Ticket = ""
		return reply
	}
	d.settle(ctx, t, submitted, finals)
	reply.Ticket = t.id
	return reply
}

func pending(n int) []providers.Outcome {
	return slices.Repeat([]providers.Outcome{{Kind: providers.Pending}}, n)
}

// settle notes how the submit ended. It does not wait until that is stored: until
// then, and after a crash, the ticket counts as unsure, which costs a question.
func (d *Desk) settle(ctx context.Context, t *ticket, s state, finals []final) {
	d.mu.Lock()
	t.calling = false
	if len(finals) > 0 {
		t.setFinal(finals)
		t.fresh = true
		for _, f := range finals {
			t.serve(f.Index) // with the reply
		}
	}
	if s == unsure && t.answered.count > 0 {
		s = submitted // a receipt was faster
	}
	t.turn(s)
	if s == unsure {
		t.nextSweep = d.cfg.Now().Add(min(unsureAfter, d.pace.PollEvery))
	} else {
		t.nextSweep = t.created.Add(d.pace.PollAfter)
	}
	d.index.recount(t)
	d.mu.Unlock()
	// The numbers may be handed in: whoever stops the call must not stop this.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	d.save(ctx, t)
}

// discard removes a ticket that the upstream has certainly not taken. Upkeep
// tries until it is gone; a crash before leaves a ticket like that of a lost reply.
func (d *Desk) discard(id string) {
	d.mu.Lock()
	d.discards[id] = false
	if t := d.index.tickets[id]; t != nil {
		d.forget(t)
	}
	d.mu.Unlock()
	rouse(d.roused)
}
