package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/procs"
)

// errWrong says that the run has shown something wrong; the table says what.
var errWrong = errors.New("results are missing, wrong or there twice, or a limit was exceeded")

// night is one run and what is known of it in the end.
type night struct {
	cmd   *fleetCmd
	load  *load
	plan  *nightPlan
	stage *stage

	started time.Time // the upstreams' clocks, before the workers
	drained time.Time // the jobs stream is empty
	// away and cut are when Redis was away, and one worker cut off from it; zero if never.
	away, cut stretch
	memory    int64
	dead      uint64
	answers   *answers
}

// stretch is from when until when something lasted.
type stretch struct{ from, to time.Time }

// Run is the whole run.
func (c *fleetCmd) Run(ctx context.Context) (err error) {
	if c.Numbers < len(tenants())*again || c.Job < 1 || c.Batch < 1 || c.Workers < 1 || c.Latency <= 0 || c.RedisAway > 0 && c.CutOff > 0 {
		return errors.New("nothing to run: a count is too small, or --redis-away and --cut-off are given together")
	}
	dir, err := os.MkdirTemp("", "lookupq-fleet")
	if err != nil {
		return err
	}
	defer func() {
		if c.Keep || err != nil {
			fmt.Fprintln(os.Stderr, "configurations, logs and the calls are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	n := &night{cmd: c, load: newLoad(c.Numbers, c.Job)}
	n.plan = c.newPlan(n.load)
	say("building, then starting nats-server, redis-server and the upstreams")
	if n.stage, err = setUp(ctx, dir, n.load, n.plan); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stage.takeDown()) }()
	if err := n.pass(ctx); err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "calls.csv"), byStart(n.stage.recorder.calls)); err != nil {
		return err
	}
	say("judging %d results", n.load.numbers())
	if n.answers, err = n.judge(ctx); err != nil {
		return err
	}
	return n.report(os.Stdout)
}

// say writes a line about the progress.
func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// pass stores the backlog, starts the fleet and waits until all is answered.
func (n *night) pass(ctx context.Context) error {
	if err := n.load.publish(ctx, n.stage.js); err != nil {
		return fmt.Errorf("publish the jobs: %w", err)
	}
	say("%d numbers are waiting; starting %d workers", n.load.numbers(), n.cmd.Workers)
	for _, u := range n.stage.upstreams {
		u.Reset()
	}
	n.started = time.Now()
	if err := n.stage.startWorkers(ctx, n.cmd.Workers, n.plan, n.cmd.CutOff > 0); err != nil {
		return err
	}
	if err := n.drain(ctx); err != nil {
		return err
	}
	var err error
	if n.memory, err = n.stage.memory(); err != nil {
		return err
	}
	n.dead, err = n.stage.messages(ctx, names.Default().DeadStream())
	return err
}

// drain waits until no job is left, and has Redis go away or the link be cut on
// the way there.
func (n *night) drain(ctx context.Context) error {
	// Ten times what a fleet with one key would need.
	patience := 3*time.Minute + n.cmd.RedisAway + n.cmd.CutOff + n.cmd.Outage + time.Duration(n.load.calls(n.cmd.Batch))*n.plan.mean()*2
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("jobs are left after %s", patience))
	defer cancel()
	const look, report = 20 * time.Millisecond, 10 * time.Second
	tick, tell := time.NewTicker(look), time.NewTicker(report)
	defer tick.Stop()
	defer tell.Stop()
	for {
		if err := n.disturb(ctx); err != nil {
			return err
		}
		left, err := n.stage.messages(ctx, names.Default().JobsStream())
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if left == 0 {
			n.drained = time.Now()
			return nil
		}
		if err := died(n.stage.workers); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-tell.C:
			say("%s: %d of %d numbers paid, %d jobs left", time.Since(n.started).Round(time.Second), n.stage.recorder.progress(), n.load.paid, left)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// died says which worker has ended by itself.
func died(workers []*procs.Proc) error {
	for i, p := range workers {
		select {
		case <-p.Done():
			return fmt.Errorf("worker %d has ended: %s", i, p.LastWords())
		default:
		}
	}
	return nil
}

// disturb begins or ends what is to go wrong past the middle.
func (n *night) disturb(ctx context.Context) error {
	const past, of = 13, 20 // 65 %: the first provider's outage, and who waits for it, are over
	due := n.stage.recorder.progress() >= n.load.paid/of*past
	if n.cmd.RedisAway > 0 && begins(&n.away, due) {
		say("redis-server is killed")
		n.stage.redis.Kill()
	}
	if ends(&n.away, n.cmd.RedisAway) {
		say("redis-server starts again")
		return n.stage.redisBack(ctx)
	}
	if n.cmd.CutOff > 0 && begins(&n.cut, due) {
		say("worker 0 is cut off from Redis")
		n.stage.link.set(true)
	}
	if ends(&n.cut, n.cmd.CutOff) {
		say("worker 0 reaches Redis again")
		n.stage.link.set(false)
	}
	return nil
}

// begins notes the begin of s if it is due; once.
func begins(s *stretch, due bool) bool {
	if !due || !s.from.IsZero() {
		return false
	}
	s.from = time.Now()
	return true
}

// ends notes the end of s if it has lasted; once.
func ends(s *stretch, length time.Duration) bool {
	if s.from.IsZero() || !s.to.IsZero() || time.Since(s.from) < length {
		return false
	}
	s.to = time.Now()
	return true
}
