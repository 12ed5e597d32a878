package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxCreating bounds the durables made at a time: in a cluster each is an election.
const maxCreating = 8

// durableConfig is binding for all workers: a create with another config would
// change it under them.
func (lp *loop) durableConfig(l *lane) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: l.durable, FilterSubject: l.subject, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: lp.c.cfg.AckWait, MaxDeliver: -1, MaxAckPending: 10_000, MaxWaiting: 512, InactiveThreshold: lp.c.cfg.inactive,
		Metadata: map[string]string{
			"route": l.Route, "priority": l.Priority.String(), "tenant": l.Tenant, "campaign": l.Campaign,
		},
	}
}

// create makes the durable of l.
func (lp *loop) create(l *lane) {
	if lp.creating >= maxCreating {
		l.retryAt = lp.c.now() + int64(5*time.Millisecond)
		return
	}
	lp.turns.durables++
	lp.c.creates.Add(1)
	stream, cfg := lp.c.cfg.Names.JobsStream(), lp.durableConfig(l)
	lp.ask(l, func(ctx context.Context) (jetstream.Consumer, error) {
		defer lp.c.created.Add(1)
		return lp.c.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	})
}

// repair looks after the durable of a lane whose acks get no answer: a new one
// answers only after it has delivered the messages again.
func (lp *loop) repair(l *lane) {
	if lp.stopping || l.creating || l.pulling || !lp.c.nc.IsConnected() {
		return
	}
	stream, durable := lp.c.cfg.Names.JobsStream(), l.durable
	l.repair = true
	lp.ask(l, func(ctx context.Context) (jetstream.Consumer, error) {
		return lp.c.js.Consumer(ctx, stream, durable)
	})
}

// errStranded says that a durable has jobs on its subject which it will never
// deliver: after a restart of the server it can believe them acknowledged while
// the stream has them still. It was deleted; the next one delivers them.
var errStranded = errors.New("durable does not know of jobs on its subject")

// inspect looks whether the jobs of a quiet lane are stranded. The one case in
// which a durable is deleted: it has nothing pending and nobody holds anything.
func (lp *loop) inspect(l *lane) {
	if lp.stopping || l.creating || l.pulling || !lp.c.nc.IsConnected() {
		return
	}
	stream, durable := lp.c.cfg.Names.JobsStream(), l.durable
	lp.ask(l, func(ctx context.Context) (jetstream.Consumer, error) {
		cons, err := lp.c.js.Consumer(ctx, stream, durable)
		if err != nil {
			return nil, err
		}
		if info := cons.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return cons, nil
		}
		return nil, errors.Join(errStranded, lp.c.js.DeleteConsumer(ctx, stream, durable))
	})
}

// ask runs f in a goroutine of its own; its result comes to answered.
func (lp *loop) ask(l *lane, f func(context.Context) (jetstream.Consumer, error)) {
	l.creating = true
	lp.creating++
	lp.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		cons, err := f(ctx)
		cr := creation{lane: l, err: err}
		if err == nil {
			cr.info = cons.CachedInfo()
		}
		lp.c.in.made(cr)
	})
}

// answered books the end of create, repair or inspect.
func (lp *loop) answered(cr creation, now int64) {
	l, repair := cr.lane, cr.lane.repair
	l.creating, l.repair = false, false
	lp.creating--
	switch {
	case cr.err == nil:
		lp.createFails = false
		l.durableAt, l.failures = now, 0
		if repair {
			lp.redeliver(l, cr.info, now)
		}
	case errors.Is(cr.err, errStranded):
		lp.c.cfg.Log.Warn().Str("lane", l.key).Uint64("jobs", l.count).Msg("jobs were stranded; durable is made anew")
		l.avail = max(l.avail, 1)
		lp.noDurable(l, now)
	case repair && errors.Is(cr.err, jetstream.ErrConsumerNotFound):
		l.durableAt = 0
		if !lp.stopping {
			lp.create(l)
		}
	default:
		lp.createFailed(l, cr.err, now)
	}
	lp.line(l)
}

func (lp *loop) createFailed(l *lane, err error, now int64) {
	if !lp.createFails && !errors.Is(err, context.Canceled) {
		lp.createFails = true
		lp.c.cfg.Log.Warn().Err(err).Str("lane", l.key).Msg("durable of a lane cannot be made")
	}
	l.fail(now)
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		// One that lost its files (see noDurable) refuses changes and works
		// otherwise: pull from it. If there is none the answer tells.
		l.durableAt = now
		return
	}
	lp.restIfActive(l)
}

// redeliver asks for what this worker holds and the durable does not know of.
// The oldest come first, so what comes are redeliveries, no new jobs.
func (lp *loop) redeliver(l *lane, info *jetstream.ConsumerInfo, now int64) {
	missing := int(l.held.Load()) - info.NumAckPending
	if missing > 0 && !l.pulling && !lp.stopping {
		lp.request(l, min(missing, maxPull), now)
	}
}

// noDurable books that the durable is gone, or was never made: it is made next.
func (lp *loop) noDurable(l *lane, now int64) {
	if now-l.durableAt < int64(2*lp.c.cfg.inactive) && l.durableAt != 0 {
		// The server removes its files after it has stopped answering. A new one
		// made meanwhile would lose its own, and refuse every later change.
		l.retryAt = now + int64(50*time.Millisecond)
	}
	l.durableAt = 0
	if !lp.turns.mayCreate(l.class.priority) {
		l.retryAt = now + int64(probeEvery)
		lp.restIfActive(l)
	}
}

func (lp *loop) restIfActive(l *lane) {
	if l.place == placeActive {
		lp.turns.rest(l, lp.c.now())
	}
}
