package worker

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
)

// settled is the outcome of one item, encoded.
type settled struct {
	job *job
	results.Settled
}

// settle records outcomes and answers and returns when the journal has them, so
// that its caller feels how fast that goes. Runs in parallel, also for one job.
func (p *pipeline) settle(outs []settled, answers []cache.Entry) {
	if len(outs) == 0 && len(answers) == 0 {
		return
	}
	touched := make(map[*scribe][]*job, len(p.scribes))
	now := p.now()
	for start := 0; start < len(outs); {
		j := outs[start].job
		end := start + 1
		for end < len(outs) && outs[end].job == j {
			end++
		}
		part := make([]results.Settled, end-start)
		for i := range part {
			part[i] = outs[start+i].Settled
		}
		if j.take(now, part) {
			touched[j.scribe] = append(touched[j.scribe], j)
		}
		start = end
	}
	var waits []<-chan struct{}
	for i, s := range p.scribes {
		var mine []cache.Entry
		if i == 0 {
			mine = answers
		}
		if len(touched[s]) > 0 || len(mine) > 0 {
			waits = append(waits, s.note(touched[s], mine))
		}
	}
	for _, recorded := range waits {
		<-recorded
	}
}

// send publishes one part; stored follows.
func (p *pipeline) send(j *job, part []results.Settled) {
	msg := results.BuildPart(p.names, j.info, part)
	p.flying.Add(1)
	err := p.publisher.Publish(p.work, msg, func(err error) { p.stored(j, part, err) })
	if err != nil {
		p.stored(j, part, err)
	}
}

// stored is called once for each part, with nil when JetStream has it.
func (p *pipeline) stored(j *job, part []results.Settled, err error) {
	defer p.flying.Add(-1)
	if err != nil {
		// Nothing is lost: the journal has the part, and the job comes back.
		p.drop(j, "a part could not be stored: "+err.Error())
		return
	}
	p.count(j.route, part)
	if less := j.free(len(part)); less > 0 {
		p.held.Add(-less)
		p.wake()
	}
	if j.stored() {
		j.scribe.end(j)
	}
}

// forget frees the room that a job took.
func (p *pipeline) forget(j *job) {
	p.jobs.remove(j)
	p.linger.remove(j)
	p.held.Add(-j.rest())
	p.wake()
}

// drop leaves a job that is not ours any more, or whose parts could not be
// confirmed: no ack, no nak, no publish. It comes back to whoever is to have it.
func (p *pipeline) drop(j *job, why string) {
	if !j.abandon() {
		return
	}
	p.log.Warn().Str("tenant", j.id.Tenant).Str("campaign", j.id.Campaign).Str("job", j.id.JobID).Str("reason", why).Msg("job dropped")
	p.metrics.JournalRefused(1)
	j.held.Drop()
	p.forget(j)
}

// flush pushes the parts out whose oldest outcome has waited results.max_wait,
// until ctx ends.
func (p *pipeline) flush(ctx context.Context) {
	tick := time.NewTicker(min(flushTick, max(p.cfg.Results.MaxWait/4, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.push(p.now().Add(-p.cfg.Results.MaxWait))
		case <-ctx.Done():
			return
		}
	}
}

// push has parts cut of what has waited since before t.
func (p *pipeline) push(t time.Time) {
	for _, j := range p.linger.list() {
		switch {
		case !j.live():
			p.linger.remove(j)
		case j.push(t):
			j.scribe.note([]*job{j}, nil)
		}
	}
}

// flushTick is how exactly results.max_wait is kept.
const flushTick = 100 * time.Millisecond

// count counts a stored part.
func (p *pipeline) count(rt *route, part []results.Settled) {
	rt.settled.Add(int64(len(part)))
	p.metrics.PartsStored(1)
	type class struct {
		status results.Status
		source results.Source
	}
	seen := make(map[class]int, 4)
	for i := range part {
		seen[class{part[i].Status, part[i].Source}]++
	}
	for c, n := range seen {
		p.metrics.ItemsSettled(rt.name, string(c.status), string(c.source), n)
	}
}
