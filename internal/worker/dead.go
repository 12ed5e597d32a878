package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

// deadCause is why a job as a whole cannot be processed.
type deadCause struct {
	reason results.Reason
	code   results.Code // of its items' failed results
	err    error        // names nothing of the body but fields and positions
}

var (
	errTenant   = errors.New("the worker's configuration lists its tenants, and this is none of them")
	errSubject  = errors.New("the subject names no lane")
	errIDReused = errors.New("the job id was used before with another body: an id names one job")
)

// causeOfDeath says why a decoded job is dead before anything is done for it;
// nil if it is not.
func (p *pipeline) causeOfDeath(j *job, decoding error) *deadCause {
	if j.held.Problem == jobs.BadSubject {
		return &deadCause{results.Reason(jobs.BadSubject), results.CodeMalformedJob, errSubject}
	}
	if _, served := p.cfg.Tenant(j.id.Tenant); !served {
		return &deadCause{results.ReasonUnknownTenant, results.CodeMalformedJob, errTenant}
	}
	if j.route == nil && j.held.Problem == jobs.UnknownRoute {
		err := fmt.Errorf("no live worker has served route %q for long", j.held.Lane.Route)
		return &deadCause{results.ReasonUnknownRoute, results.CodeMalformedJob, err}
	}
	if decoding == nil {
		return nil
	}
	reason := results.ReasonMalformed
	if malformed, ok := errors.AsType[*jobs.MalformedError](decoding); ok {
		reason = results.Reason(malformed.Reason)
	}
	return &deadCause{reason, results.CodeMalformedJob, decoding}
}

// bury stores a dead job as it was received, with an event, and waits until both
// are stored. False if the worker stops meanwhile.
func (p *pipeline) bury(ctx context.Context, j *job) bool {
	p.log.Warn().Str("tenant", j.id.Tenant).Str("campaign", j.id.Campaign).Str("job", j.id.JobID).
		Uint64("seq", j.held.Seq).Str("reason", string(j.fatal.reason)).Err(j.fatal.err).Msg("job is dead")
	letter := results.Letter{
		Reason: j.fatal.reason, Lane: j.held.Lane, Subject: j.held.Subject, JobID: j.id.JobID,
		Header: j.held.Header, Body: j.held.Body, Seq: j.held.Seq, Err: j.fatal.err,
	}
	if letter.Lane.Tenant == "" {
		letter.Lane.Tenant, letter.Lane.Campaign = names.SystemTenant, names.NoCampaign
	}
	err := p.patiently(ctx, "dead letters", func() error {
		stored := make(chan error, 1)
		if err := p.burier.Bury(ctx, letter, func(err error) { stored <- err }); err != nil {
			return err
		}
		select {
		case err := <-stored:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if err == nil {
		p.metrics.JobDead(string(j.fatal.reason))
	}
	return err == nil
}

// tellTimeout is how long an event for the operators may take.
const tellTimeout = 5 * time.Second

// announceOrphan publishes that jobs wait for a route that nobody serves. The
// claimer's loop calls it, which must not wait.
func (p *pipeline) announceOrphan(l names.Lane, age time.Duration) {
	p.flushers.Go(func() { p.tellOrphan(l, age) })
}

func (p *pipeline) tellOrphan(l names.Lane, age time.Duration) {
	ctx, cancel := context.WithTimeout(p.work, tellTimeout)
	defer cancel()
	data, err := json.Marshal(map[string]string{
		"route": l.Route, "priority": l.Priority.String(), "waiting": age.Truncate(time.Second).String(),
	})
	if err == nil {
		err = p.burier.Tell(ctx, results.Event{
			Tenant: l.Tenant, Campaign: l.Campaign, Name: results.EventRouteUnserved, ID: l.Durable(), Data: data,
		}, tellTimeout)
	}
	if err != nil {
		p.log.Warn().Err(err).Str("route", l.Route).Msg("event for an unserved route not published")
	}
}
