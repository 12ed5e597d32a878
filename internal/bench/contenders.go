package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/internal/procs"
	"github.com/lookupq/lookupq/internal/worker"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/catalog"
	"github.com/lookupq/lookupq/providers/simulator"
)

// product is the worker as it is shipped, with default settings but for the key:
// its rate is so high that only the concurrency counts.
func product() contender {
	return contender{name: "worker", redis: true, start: func(ctx context.Context, t *tools, r *rig, _ load) (*procs.Proc, string, error) {
		config, addr, err := configure(ctx, r)
		if err != nil {
			return nil, "", err
		}
		p, err := procs.Start(r.dir, "worker", []string{gcTrace}, t.worker, "run", "--config", config)
		return up(ctx, p, addr, err)
	}}
}

// gcPercent is that of `worker run`, which sets it in its own main.
const gcPercent = 250

// profiled is the same worker inside this program, which writes profiles of it to dir.
func profiled(dir, name string) contender {
	return contender{name: "profiled", redis: true, start: func(ctx context.Context, t *tools, r *rig, _ load) (*procs.Proc, string, error) {
		config, addr, err := configure(ctx, r)
		if err != nil {
			return nil, "", err
		}
		p, err := procs.Start(r.dir, "worker", []string{gcTrace}, t.self, "profiled", "--config", config, "--to", filepath.Join(dir, name))
		return up(ctx, p, addr, err)
	}}
}

// yardstick is the minimal worker.
func yardstick() contender {
	return contender{name: "minimal", start: func(_ context.Context, t *tools, r *rig, l load) (*procs.Proc, string, error) {
		p, err := procs.Start(r.dir, "minimal", []string{gcTrace}, t.self, "minimal",
			"--nats", r.natsURL, "--url", r.simURL+simulator.QXTPath, "--key", apiKey, "--total", strconv.Itoa(l.numbers))
		return p, "", err
	}}
}

// up waits until a worker shows its metrics: from then on it claims.
func up(ctx context.Context, p *procs.Proc, addr string, err error) (*procs.Proc, string, error) {
	if err != nil {
		return nil, "", err
	}
	if err := p.Answering(ctx, addr); err != nil {
		return nil, "", errors.Join(err, p.Stop())
	}
	return p, "http://" + addr + "/metrics", nil
}

// configure writes the worker's configuration; addr is where it will serve HTTP.
func configure(ctx context.Context, r *rig) (path, addr string, err error) {
	port, err := procs.FreePort(ctx)
	if err != nil {
		return "", "", err
	}
	addr = loopback + strconv.Itoa(port)
	path = filepath.Join(r.dir, "worker.yaml")
	text := strings.NewReplacer("NATS", r.natsURL, "REDIS", r.redis.url, "SIM", r.simURL+simulator.QXTPath, "KEY", apiKey,
		"HTTP", addr, "CALLSIZE", strconv.Itoa(callSize), "CALLS", strconv.Itoa(concurrency)).Replace(`
nats: {url: "NATS"}
redis: {url: "REDIS"}
http: {listen: "HTTP"}
routes:
  cn: {providers: [qxt], region: CN}
providers:
  qxt:
    type: qxt
    base_url: "SIM"
    batch: CALLSIZE
    keys: [{name: main, secret: "KEY", concurrency: CALLS, rate: "1000000/s", price: "0.002CNY"}]
`)
	const private = 0o600
	return path, addr, os.WriteFile(path, []byte(text), private)
}

type profiledCmd struct {
	Config string `required:""`
	To     string `required:"" help:"Profiles are written to this path, with .cpu and .allocs added."`
}

// Run is the worker's process of a profile run: `worker run` with a profile of
// all of its life, which the product has no need of.
func (c *profiledCmd) Run(ctx context.Context) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	types := worker.ProviderTypes{}
	for _, entry := range catalog.All() {
		types[entry.Type] = func(cfg catalog.Config) (providers.Provider, error) { return entry.New(cfg) }
	}
	cfg, err := worker.LoadConfig(c.Config, os.LookupEnv, types)
	if err != nil {
		return err
	}
	w, err := worker.New(ctx, worker.Options{Config: cfg, ID: "profiled", Version: "bench", Log: zerolog.New(os.Stderr).Level(zerolog.InfoLevel)})
	if err != nil {
		return err
	}
	cpu, err := os.Create(c.To + ".cpu")
	if err != nil {
		return errors.Join(err, w.Close(ctx))
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return errors.Join(err, w.Close(ctx))
	}
	err = w.Run(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, w.Close(ctx), c.allocations())
}

// allocations writes what was allocated since the start.
func (c *profiledCmd) allocations() error {
	f, err := os.Create(c.To + ".allocs")
	if err != nil {
		return err
	}
	runtime.GC() // the profile is complete up to the last collection
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
