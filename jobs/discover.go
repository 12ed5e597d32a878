package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// pollResult is what the stream says of itself.
type pollResult struct {
	subjects  map[string]uint64
	consumers int   // durables on the stream
	created   int64 // Claimer.created when it was asked
	at        time.Time
	err       error
}

// manySubjects is from where a poll costs the server so much (100 ms of CPU at
// 100,000) that it is done less often.
const manySubjects = 20_000

// pollLoop asks the stream for its subjects until ctx ends. Looking at subjects,
// not at a remembered set of lanes, is what makes sure that no job is overlooked.
func (c *Claimer) pollLoop(ctx context.Context) {
	var stream jetstream.Stream
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r := c.poll(ctx, &stream)
		if ctx.Err() != nil {
			return
		}
		c.in.polled(r)
		if len(r.subjects) > manySubjects {
			timer.Reset(5 * c.cfg.Poll)
		} else {
			timer.Reset(c.cfg.Poll)
		}
	}
}

func (c *Claimer) poll(ctx context.Context, stream *jetstream.Stream) pollResult {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := c.cfg.Names.JobsStream()
	if *stream == nil {
		s, err := c.js.Stream(ctx, name)
		if err != nil {
			return pollResult{err: fmt.Errorf("stream %s: %w", name, err)}
		}
		*stream = s
	}
	created := c.created.Load()
	info, err := (*stream).Info(ctx, jetstream.WithSubjectFilter(c.cfg.Names.JobsWildcard()))
	if err != nil {
		return pollResult{err: fmt.Errorf("stream %s: %w", name, err)}
	}
	return pollResult{subjects: info.State.Subjects, consumers: info.State.Consumers, created: created, at: time.Now()}
}
