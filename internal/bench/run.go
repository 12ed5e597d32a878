package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
	"github.com/lookupq/lookupq/internal/procs"
)

type runCmd struct {
	Scale   float64 `help:"Multiply every scenario's numbers; 1 takes about four minutes." default:"1"`
	Rounds  int     `help:"Rounds of the engine scenarios; the medians count. 0 with --profile: only the profiles." default:"3"`
	Only    string  `help:"Run only scenarios whose name holds this (drain-300ms, drain-50ms, engine-500, engine-1)."`
	Keep    bool    `help:"Keep the temporary folder with the logs."`
	Profile string  `help:"Also write CPU and allocation profiles of the worker to this folder, from one more round of each engine scenario." type:"path"`
}

// scenario is one thing to measure.
type scenario struct {
	name    string
	what    string
	load    load
	latency time.Duration
	rounds  int
	goal    float64
	useGoal float64 // of the permit time; 0 for none
	rival   bool    // the minimal worker runs it too
}

// engine scenarios have an upstream that answers at once: the worker is the limit.
func (s *scenario) engine() bool { return s.latency == 0 }

func (c *runCmd) scenarios() []scenario {
	scaled := func(n int) int { return max(int(float64(n)*c.Scale)/callSize, 1) * callSize }
	// One in twenty of the drained numbers is asked for twice.
	const twentieth = 20
	all := []scenario{
		{
			name: "drain-300ms", what: "drain efficiency, 300 ms × 4 × 1,000", goal: 0.97, useGoal: 0.95, rounds: 1,
			load: load{numbers: scaled(1_000_000), size: 500, repeat: twentieth}, latency: 300 * time.Millisecond,
		},
		{
			name: "drain-50ms", what: "drain efficiency, 50 ms × 4 × 1,000", goal: 0.80, rounds: 1, rival: true,
			load: load{numbers: scaled(1_000_000), size: 500, repeat: twentieth}, latency: 50 * time.Millisecond,
		},
		{name: "engine-500", what: "engine / minimal worker, 0 ms, 500 a job", goal: 0.7, rounds: c.Rounds, rival: true, load: load{numbers: scaled(1_000_000), size: 500}},
		{name: "engine-1", what: "engine / minimal worker, 0 ms, 1 a job", goal: 0.7, rounds: c.Rounds, rival: true, load: load{numbers: scaled(300_000), size: 1}},
	}
	var out []scenario
	for _, s := range all {
		if c.Rounds == 0 {
			s.rounds = 0
		}
		if strings.Contains(s.name, c.Only) {
			out = append(out, s)
		}
	}
	return out
}

// tools are the programs of a run.
type tools struct {
	natsServer, worker string
	self               string
}

// bench is a run under way.
type bench struct {
	tools     *tools
	redis     *redisServer
	redisName string
	dir       string
	progress  io.Writer
	results   []result
}

// result is a scenario with what its rounds measured.
type result struct {
	scenario
	worker, minimal []outcome
}

// Run measures everything and prints the table.
func (c *runCmd) Run(ctx context.Context) (err error) {
	scenarios := c.scenarios()
	if len(scenarios) == 0 || c.Scale <= 0 || c.Rounds < 0 || c.Rounds == 0 && c.Profile == "" {
		return errors.New("nothing to run: --only names no scenario, or --rounds or --scale is not positive")
	}
	b := &bench{progress: os.Stderr}
	if b.dir, err = os.MkdirTemp("", "lookupq-bench-"); err != nil {
		return err
	}
	defer func() {
		if c.Keep {
			fmt.Fprintln(os.Stderr, "logs are in", b.dir)
		} else {
			err = errors.Join(err, os.RemoveAll(b.dir))
		}
	}()
	begin := time.Now()
	before := machine()
	if err := b.startRedis(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.redis.stop()) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	for i := range scenarios {
		if err := b.scenario(ctx, &scenarios[i]); err != nil {
			return fmt.Errorf("%s: %w", scenarios[i].name, err)
		}
	}
	if err := b.profiles(ctx, scenarios, c.Profile); err != nil {
		return err
	}
	if c.Rounds == 0 {
		return nil
	}
	r := report{b.results}
	_, err = fmt.Fprintf(os.Stdout, "%s%s%s\n%s in all; load average at the end %s\n", r.head(before, b.redisName, c.Scale), r.goals(), r.costs(),
		time.Since(begin).Round(time.Second), loadAverage())
	return err
}

// startRedis starts the run's Redis.
func (b *bench) startRedis(ctx context.Context) error {
	bin, err := redisproc.Find(ctx)
	if err != nil {
		return fmt.Errorf("%w; install one (apt-get install redis-server)", err)
	}
	b.redisName = bin.String()
	b.redis, err = startRedis(ctx, bin, filepath.Join(b.dir, "redis"))
	return err
}

// build compiles what the run needs.
func (b *bench) build(ctx context.Context) (err error) {
	b.tools = &tools{}
	b.say("building nats-server and worker")
	if b.tools.natsServer, err = procs.Build(ctx, b.dir, "github.com/nats-io/nats-server/v2"); err != nil {
		return err
	}
	if b.tools.worker, err = procs.Build(ctx, b.dir, "github.com/lookupq/lookupq/cmd/worker"); err != nil {
		return err
	}
	b.tools.self, err = os.Executable()
	return err
}

// scenario runs the rounds of one, the contenders in turns, so that a machine
// that changes meanwhile does so for both.
func (b *bench) scenario(ctx context.Context, s *scenario) error {
	res := result{scenario: *s}
	for n := range s.rounds {
		field := []contender{product()}
		if s.rival {
			field = append(field, yardstick())
		}
		if n%2 == 1 {
			field[0], field[len(field)-1] = field[len(field)-1], field[0]
		}
		for _, c := range field {
			o, err := b.round(ctx, s, c, n)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", c.name, n+1, err)
			}
			if c.redis {
				res.worker = append(res.worker, o)
			} else {
				res.minimal = append(res.minimal, o)
			}
			b.tell(s, c, n, &o)
		}
	}
	b.results = append(b.results, res)
	return nil
}

// say writes a line about the progress; that nobody may be reading stops nothing.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}

// tell says how a round went.
func (b *bench) tell(s *scenario, c contender, n int, o *outcome) {
	const thousand = 1e3
	b.say("%-11s %-8s %d/%d: %6.1fk numbers/s, %d calls; others used %.0f %% of the machine, load average %s",
		s.name, c.name, n+1, s.rounds, o.rate()/thousand, o.sum.Calls, o.foreign*percent, o.load1)
}

// profiles runs the engine scenarios once more under the profiler. Their figures
// count for nothing.
func (b *bench) profiles(ctx context.Context, scenarios []scenario, dir string) error {
	if dir == "" {
		return nil
	}
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return err
	}
	for i := range scenarios {
		s := &scenarios[i]
		if !s.engine() {
			continue
		}
		c := profiled(dir, s.name)
		o, err := b.round(ctx, s, c, 0)
		if err != nil {
			return fmt.Errorf("%s, profiled: %w", s.name, err)
		}
		b.tell(s, c, 0, &o)
	}
	b.say("profiles: go tool pprof -top %s/engine-….cpu", dir)
	return nil
}
