package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
	"github.com/lookupq/lookupq/results/journal"
)

// decode reads a job's body. What cannot be read stays a job with a cause of
// death, so that it ends where all jobs end.
func (p *pipeline) decode(h *jobs.Held) *job {
	decoded, err := jobs.Decode(h.Body)
	j := &job{
		held: h, decoded: decoded, open: len(decoded.Items), digest: sha256.Sum256(h.Body),
		id:    names.Identity{Tenant: h.Lane.Tenant, Campaign: h.Lane.Campaign, JobID: decoded.ID},
		route: p.routes[h.Lane.Route],
	}
	j.tenant, _ = p.cfg.Tenant(h.Lane.Tenant)
	j.wallet = p.budgets.wallet(h.Lane.Tenant, h.Lane.Campaign)
	j.priority = min(h.Lane.Priority, j.tenant.MaxPriority)
	j.info = results.JobInfo{ID: j.id, Route: h.Lane.Route, Items: len(decoded.Items), Trace: h.Header}
	j.fatal = p.causeOfDeath(j, err)
	if j.route == nil {
		j.route = p.nowhere
	}
	j.numbers = make([]providers.Number, len(decoded.Items))
	j.options = j.route.optionsOf(decoded.Options)
	j.expires = j.expiry()
	j.scope = j.sharing()
	return j
}

// expiry is when the job's items expire: what the job says, else the route's
// limit counted from when the job was stored; zero is never.
func (j *job) expiry() time.Time {
	if !j.decoded.ExpiresAt.IsZero() {
		return j.decoded.ExpiresAt
	}
	if j.route.cfg.Expires > 0 {
		return j.held.Stored.Add(j.route.cfg.Expires)
	}
	return time.Time{}
}

// sharing is who shares the job's answers; nil if the route keeps none, or the
// job wants none that is known.
func (j *job) sharing() *cache.Scope {
	if j.route.cfg.CacheTTL <= 0 || len(j.route.steps) == 0 || j.route.steps[0].sample().offline {
		return nil
	}
	return &cache.Scope{
		ShareGroup: j.tenant.ShareGroup, Route: j.route.name, Partition: canonical(j.options), TTL: j.route.cfg.CacheTTL,
	}
}

// own claims the batch in the journal, which tells what is known of each job. It
// returns the jobs that go on here.
func (p *pipeline) own(ctx context.Context, batch []*job) []*job {
	named := p.buryNameless(ctx, batch)
	if len(named) == 0 {
		return nil
	}
	reqs := make([]journal.ClaimRequest, len(named))
	for i, j := range named {
		reqs[i] = journal.ClaimRequest{
			ID: j.id, Digest: [16]byte(j.digest[:16]), Items: j.items(), Stored: j.held.Stored, Redelivered: j.held.Delivered > 1,
			Seq: j.held.Seq,
		}
	}
	replies, err := p.claimAll(ctx, reqs)
	if err != nil { // only when the worker stops
		p.release(named)
		return nil
	}
	s := p.nextScribe()
	owned := make([]*job, 0, len(named))
	for i, j := range named {
		j.claimed(s, &replies[i])
		if p.accept(ctx, j) {
			owned = append(owned, j)
		}
	}
	return owned
}

// claimAll claims in the journal. A job that another message of the queue is in
// charge of stays with that, unless that message is gone.
func (p *pipeline) claimAll(ctx context.Context, reqs []journal.ClaimRequest) ([]journal.ClaimReply, error) {
	replies, err := p.claim(ctx, reqs)
	if err != nil {
		return nil, err
	}
	var at []int
	var again []journal.ClaimRequest
	for i := range replies {
		if replies[i].State != journal.StateBusy || !p.gone(ctx, replies[i].Other) {
			continue
		}
		req := reqs[i]
		req.Gone = replies[i].Other
		at, again = append(at, i), append(again, req)
	}
	if len(again) == 0 {
		return replies, nil
	}
	second, err := p.claim(ctx, again)
	for k := range second {
		replies[at[k]] = second[k]
	}
	return replies, err
}

// claim is one call to the journal, repeated while Redis is away.
func (p *pipeline) claim(ctx context.Context, reqs []journal.ClaimRequest) (replies []journal.ClaimReply, err error) {
	owner := journal.NewOwner()
	err = p.patiently(ctx, "journal", func() (err error) {
		replies, err = p.journal.Claim(ctx, owner, reqs)
		return err
	})
	return replies, err
}

// gone reports whether a message has surely left the jobs stream.
func (p *pipeline) gone(ctx context.Context, seq uint64) bool {
	s, err := p.js.Stream(ctx, p.names.JobsStream())
	if err == nil {
		_, err = s.GetMsg(ctx, seq)
	}
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// buryNameless ends the jobs of which not even the id can be read: nobody knows
// whose results to write. It returns those that this worker can go on with.
func (p *pipeline) buryNameless(ctx context.Context, batch []*job) []*job {
	named := make([]*job, 0, len(batch))
	for _, j := range batch {
		switch {
		case j.route == p.nowhere && j.held.Problem == jobs.NoProblem:
			p.release([]*job{j}) // another worker serves its route again
		case j.id.JobID == "" || j.held.Problem == jobs.BadSubject:
			p.buryAndAck(ctx, j)
		default:
			named = append(named, j)
		}
	}
	return named
}

// buryAndAck ends a dead job that gets no results.
func (p *pipeline) buryAndAck(ctx context.Context, j *job) {
	if p.bury(ctx, j) {
		p.ack(j)
	} else {
		p.release([]*job{j})
	}
}

// accept decides by the journal's reply whether the job goes on here.
func (p *pipeline) accept(ctx context.Context, j *job) bool {
	switch j.claim.State {
	case journal.StateNew, journal.StateKnown:
	case journal.StatePoison:
		j.fatal = &deadCause{results.ReasonCrashLoop, results.CodeInternal, fmt.Errorf("claimed %d times without progress: it may crash its worker", j.claim.Claims)}
	case journal.StateDone: // published again, or an ack that was lost
		p.ack(j)
		return false
	case journal.StateReused:
		j.fatal = &deadCause{reason: results.ReasonIDReused, err: errIDReused}
		p.buryAndAck(ctx, j)
		return false
	case journal.StateForeign:
		// Only the server's redelivery after AckWait may bring it to a worker that understands.
		p.drop(j, "its journal is of another version")
		return false
	case journal.StateBusy, journal.StateTwin:
		// The same job stands twice in the queue. This copy rests for AckWait; by
		// then the other may be done, and this one is acknowledged.
		p.drop(j, "the same job is in work from another message")
		return false
	}
	return j.fatal == nil || p.buryOrHandBack(ctx, j)
}

func (p *pipeline) buryOrHandBack(ctx context.Context, j *job) bool {
	if p.bury(ctx, j) {
		return true
	}
	p.handBack(ctx, []*job{j})
	return false
}

// ack ends a job that gets nothing (more) from this claim.
func (p *pipeline) ack(j *job) {
	if j.abandon() {
		j.held.Ack(nil)
		p.forget(j)
	}
}

// release hands jobs back at once that the journal knows nothing of.
func (p *pipeline) release(batch []*job) {
	for _, j := range batch {
		if j.abandon() {
			j.held.Release()
			p.forget(j)
		}
	}
}

// handBack gives claimed jobs up undone: the journal does not count the claim,
// and the server delivers them again at once. Nobody else may be writing their
// journal any more.
func (p *pipeline) handBack(ctx context.Context, batch []*job) {
	var slots []*journal.Slot
	var left []*job
	for _, j := range batch {
		if j.abandon() {
			left, slots = append(left, j), append(slots, j.slot)
		}
	}
	if len(left) == 0 {
		return
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBackTimeout)
	defer cancel()
	if err := p.journal.HandBack(stop, slots); err != nil {
		p.log.Warn().Err(err).Int("jobs", len(left)).Msg("the journal counts jobs handed back as claimed without progress")
	}
	for _, j := range left {
		j.held.Release()
		p.forget(j)
	}
}

const handBackTimeout = 3 * time.Second

// patiently repeats f while its server is away, until ctx ends: jobs are held
// and heartbeaten meanwhile, and no call is made for them.
func (p *pipeline) patiently(ctx context.Context, what string, f func() error) error {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(0))
	warned := false
	err := backoff.RetryNotify(f, backoff.WithContext(policy, ctx), func(err error, _ time.Duration) {
		if !warned {
			p.log.Warn().Err(err).Str("waiting_for", what).Msg("jobs are held until it answers")
		}
		warned = true
	})
	if warned && err == nil {
		p.log.Info().Str("waiting_for", what).Msg("answers again")
	}
	return err
}
