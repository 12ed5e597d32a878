package jobs

import (
	"context"
	"errors"
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
		if stream == nil {
			stream = c.openStream(ctx)
		}
		if stream != nil {
			timer.Reset(c.poll(ctx, stream))
		} else {
			timer.Reset(c.cfg.Poll)
		}
	}
}

// openStream returns nil when there is no stream yet, and reports that.
func (c *Claimer) openStream(ctx context.Context) jetstream.Stream {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, c.cfg.Names.JobsStream())
	if err != nil {
		c.pollFailed(ctx, err)
		return nil
	}
	return stream
}

// pollFailed reports an error, but not that of a stop.
func (c *Claimer) pollFailed(ctx context.Context, err error) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		c.in.polled(pollResult{err: fmt.Errorf("stream %s: %w", c.cfg.Names.JobsStream(), err)})
	}
}

const pollTimeout = 10 * time.Second

// poll reports what the stream says, and returns when to ask again.
func (c *Claimer) poll(ctx context.Context, stream jetstream.Stream) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	created := c.created.Load()
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(c.cfg.Names.JobsWildcard()))
	if err != nil {
		c.pollFailed(ctx, err)
		return c.cfg.Poll
	}
	c.in.polled(pollResult{subjects: info.State.Subjects, consumers: info.State.Consumers, created: created, at: time.Now()})
	if len(info.State.Subjects) > manySubjects {
		return 5 * c.cfg.Poll
	}
	return c.cfg.Poll
}
