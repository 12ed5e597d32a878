package embedded

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
)

const (
	// A child that dies again and again is started at most every 5 s.
	firstRestart = 100 * time.Millisecond
	lastRestart  = 5 * time.Second
	// startWait is how long one start may take: reading a large append-only file.
	startWait = 2 * time.Minute
)

// supervise keeps one child running until life ends, then stops it. It is the
// only goroutine that starts or stops children after the first start.
func (r *Redis) supervise(life context.Context, child *redisproc.Process) {
	defer close(r.done)
	for child != nil {
		select {
		case <-life.Done():
			r.stop(life, child)
			return
		case <-child.Done():
		}
		r.log.Error().Str("reason", child.Reason()).Msg("embedded redis ended, starting it again")
		child = r.startAgain(life)
	}
}

// startAgain tries until a child answers; nil when life ended before.
func (r *Redis) startAgain(life context.Context) *redisproc.Process {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstRestart),
		backoff.WithMaxInterval(lastRestart),
		backoff.WithMaxElapsedTime(0),
	)
	for {
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-life.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(life, startWait)
		child, err := redisproc.Start(ctx, r.opt)
		cancel()
		if err == nil {
			r.restarts.Add(1)
			r.log.Info().Int("pid", child.Pid()).Msg("embedded redis is back")
			return child
		}
		if life.Err() == nil {
			r.log.Error().Err(err).Msg("embedded redis does not start")
		}
	}
}

// stop ends the child cleanly, after stopGrace by force.
func (r *Redis) stop(life context.Context, child *redisproc.Process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), stopGrace)
	defer cancel()
	if err := child.Stop(ctx); err != nil {
		r.log.Warn().Err(err).Msg("embedded redis stopped by force")
	}
}
