package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/procs"
	"github.com/lookupq/lookupq/providers/simulator"
)

// outcome is what one round measured.
type outcome struct {
	load load
	sum  simulator.Summary
	// toLastCall and toLastAck count from the first call: to the end of the last
	// one, and until the jobs stream is empty.
	toLastCall, toLastAck time.Duration
	cpu                   map[string]time.Duration // by process, "worker" is the contender
	peak                  int64                    // resident memory of the contender
	mallocs, bytes        float64                  // of the worker; 0 where nobody counts them
	gc                    time.Duration            // processor time of the contender's collector
	// foreign and idle are the shares of the machine that went to others meanwhile,
	// and to nobody.
	foreign, idle float64
	load1         string
}

// rate is numbers a second, to the last ack.
func (o *outcome) rate() float64 { return float64(o.load.numbers) / o.toLastAck.Seconds() }

// perNumber is microseconds.
func (o *outcome) perNumber(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(o.load.numbers)
}

// cost is the CPU time a number of all processes in microseconds.
func (o *outcome) cost() float64 {
	total := 0.0
	for _, p := range processes() {
		total += o.perNumber(o.cpu[p])
	}
	return total
}

// fill is calls by the least that could have done.
func (o *outcome) fill() float64 { return float64(o.sum.Calls) / float64(leastCalls(o.load)) }

// permitUse is the share of the permit time in which a call was on the wire.
func (o *outcome) permitUse() float64 {
	return o.sum.Busy / (concurrency * o.toLastCall.Seconds())
}

func leastCalls(l load) int { return (l.distinct() + callSize - 1) / callSize }

// ideal is how long the upstream's limits make the load last.
func ideal(l load, latency time.Duration) time.Duration {
	return time.Duration(leastCalls(l)) * latency / concurrency
}

// contender answers the jobs of a round.
type contender struct {
	name  string
	redis bool // needs one
	// start starts it. metrics is where it tells of itself, "" if nowhere.
	start func(ctx context.Context, t *tools, r *rig, l load) (p *procs.Proc, metrics string, err error)
}

// meter reads everything twice: when the contender is up, and when it is done.
type meter struct {
	r       *rig
	p       *procs.Proc
	metrics string
	at      time.Time
	machine time.Duration
	used    map[string]procs.Usage
	counted metrics
	logSize int64
}

// read takes the state of now.
func (m *meter) read(ctx context.Context) error {
	var err error
	m.at = time.Now()
	if m.machine, err = machineTime(); err != nil {
		return err
	}
	m.used = map[string]procs.Usage{}
	pids := m.r.pids()
	pids["worker"], pids["bench"] = m.p.PID(), os.Getpid()
	for name, pid := range pids {
		u, err := procs.UsageOf(pid)
		if err != nil && name == "worker" {
			continue // the minimal worker may be gone: its last state was read before
		}
		if err != nil {
			return err
		}
		m.used[name] = u
	}
	if info, err := os.Stat(m.p.Log); err == nil {
		m.logSize = info.Size()
	}
	if m.metrics == "" {
		return nil
	}
	m.counted, err = scrape(ctx, m.metrics)
	return err
}

// round fills the stream, lets c answer it and tells what that took.
func (b *bench) round(ctx context.Context, sc *scenario, c contender, n int) (_ outcome, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%s-%d", sc.name, c.name, n))
	r, err := startRig(ctx, b.tools, dir, sc.latency)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if c.redis {
		r.redis = b.redis
		if err := r.redis.prepare(ctx, sc.load); err != nil {
			return outcome{}, err
		}
	}
	if err := fill(ctx, r.js, names.Default(), benchLane(), sc.load); err != nil {
		return outcome{}, fmt.Errorf("fill the stream: %w", err)
	}
	p, page, err := c.start(ctx, b.tools, r, sc.load)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	o, err := measure(ctx, r, &meter{r: r, p: p, metrics: page}, sc)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w; %s said: %s", err, c.name, p.LastWords())
	}
	return o, err
}

// measure watches a contender that has just started until the stream is empty.
func measure(ctx context.Context, r *rig, before *meter, sc *scenario) (outcome, error) {
	if err := before.read(ctx); err != nil {
		return outcome{}, err
	}
	last, err := drained(ctx, r, before.p, sc)
	if err != nil {
		return outcome{}, err
	}
	after := &meter{r: r, p: before.p, metrics: before.metrics}
	if err := after.read(ctx); err != nil {
		return outcome{}, err
	}
	sum, err := r.ledger(ctx)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{
		load: sc.load, sum: sum, toLastCall: sum.Last.Sub(sum.First), toLastAck: last.at.Sub(sum.First),
		cpu: map[string]time.Duration{}, load1: loadAverage(),
	}
	if _, ok := after.used["worker"]; !ok {
		after.used["worker"] = last.worker
	}
	var ours time.Duration
	for name, u := range after.used {
		o.cpu[name] = u.CPU - before.used[name].CPU
		ours += o.cpu[name]
	}
	o.peak = after.used["worker"].Peak
	wall := after.at.Sub(before.at) * time.Duration(runtime.NumCPU())
	o.foreign = max(0, float64(after.machine-before.machine-ours)/float64(wall))
	o.idle = max(0, 1-float64(after.machine-before.machine)/float64(wall))
	if o.gc, err = gcTime(before.p.Log, before.logSize, after.logSize); err != nil {
		return outcome{}, err
	}
	if before.metrics != "" {
		grown := func(name string) float64 { return after.counted.sum(name) - before.counted.sum(name) }
		o.mallocs, o.bytes = grown("lookupq_go_memstats_mallocs_total"), grown("lookupq_go_memstats_alloc_bytes_total")
	}
	err = verify(ctx, r, &o, after)
	return o, err
}

// verify makes sure that the round did what it was timed for.
func verify(ctx context.Context, r *rig, o *outcome, after *meter) error {
	parts, err := r.messages(ctx, names.Default().ResultsStream())
	if err != nil {
		return err
	}
	if parts < uint64(o.load.jobs()) {
		return fmt.Errorf("%d jobs gave only %d parts of results", o.load.jobs(), parts)
	}
	if o.sum.Distinct != int64(o.load.distinct()) {
		return fmt.Errorf("the upstream was asked for %d distinct numbers of %d", o.sum.Distinct, o.load.distinct())
	}
	if ok := after.counted.sum("lookupq_items_total", `status="ok"`); after.metrics != "" && int(ok) != o.load.numbers {
		return fmt.Errorf("%d of %d numbers were answered", int(ok), o.load.numbers)
	}
	return nil
}

// ending is when the stream was found empty, and what the contender had cost
// shortly before.
type ending struct {
	at     time.Time
	worker procs.Usage
}

// drained waits until no job is left.
func drained(ctx context.Context, r *rig, p *procs.Proc, sc *scenario) (ending, error) {
	patience := 2*time.Minute + 4*ideal(sc.load, sc.latency)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("jobs are left after %s", patience))
	defer cancel()
	const look = 10 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	var e ending
	gone := p.Done()
	var grace <-chan time.Time
	for {
		if u, err := procs.UsageOf(p.PID()); err == nil {
			e.worker = u
		}
		left, err := r.left(ctx)
		if e.at = time.Now(); err != nil || left == 0 {
			return e, err
		}
		select {
		case <-tick.C:
		case <-gone: // its last acks may still be on their way
			gone = nil
			grace = time.After(time.Second)
		case <-grace:
			return e, fmt.Errorf("it ended with %d jobs left", left)
		case <-ctx.Done():
			return e, context.Cause(ctx)
		}
	}
}
