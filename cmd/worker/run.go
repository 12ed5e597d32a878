package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/lookupq/lookupq/internal/version"
	"github.com/lookupq/lookupq/internal/worker"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/catalog"
)

type runCmd struct {
	Config   string        `help:"Configuration file; without it the route \"offline\" is served." placeholder:"worker.yaml" env:"LOOKUPQ_CONFIG"`
	Embedded bool          `help:"Run NATS JetStream inside, listening where nats.url says, and what Redis it needs."`
	DataDir  string        `help:"Where the embedded servers keep their data." default:"lookupq-data" env:"LOOKUPQ_DATA_DIR"`
	Sync     string        `help:"How the embedded JetStream syncs: \"always\" before each acknowledgement, or an interval such as 1s, which is faster and may lose that much when the machine fails." default:"always"`
	Grace    time.Duration `help:"How long a clean stop may take." default:"30s"`
	LogLevel string        `help:"debug, info, warn or error." default:"info" env:"LOOKUPQ_LOG_LEVEL"`
}

// gcPercent trades memory, of which a worker needs little, for processor time:
// with Go's default of 100 the collector took a quarter of the engine's time at a
// peak of 120 MiB, with 250 a seventh (CPU profiles of make bench). GOGC overrides it.
const gcPercent = 250

// Run is the daemon: it returns when ctx has ended and everything is settled or
// handed back.
func (c *runCmd) Run(ctx context.Context, e env) error {
	cfg, err := worker.LoadConfig(c.Config, e.getenv, providerTypes())
	if err != nil {
		return err
	}
	opt := worker.Options{Config: cfg, Version: version.String(), ID: workerID(), Grace: c.Grace}
	if c.Embedded {
		opt.Embedded = &worker.EmbeddedOptions{DataDir: c.DataDir}
		if c.Sync != "always" {
			d, err := time.ParseDuration(c.Sync)
			if err != nil || d <= 0 {
				return fmt.Errorf("--sync %q: use always, or an interval such as 1s", c.Sync)
			}
			opt.Embedded.SyncInterval = d
		}
	}
	if opt.Log, err = worker.NewLogger(worker.LogOptions{Out: os.Stderr, Level: c.LogLevel, Secrets: cfg.Secrets()}); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	for _, warning := range cfg.Warnings {
		opt.Log.Warn().Msg(warning)
	}
	if _, set := e.getenv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	w, err := worker.New(ctx, opt)
	if err != nil {
		return err
	}
	return errors.Join(w.Run(ctx), w.Close(ctx))
}

// workerID tells this process from all others, and a host's workers apart at sight.
func workerID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	return host + "-" + ulid.Make().String()
}

// providerTypes are the types that a configuration may name.
func providerTypes() worker.ProviderTypes {
	types := worker.ProviderTypes{}
	for _, entry := range catalog.All() {
		types[entry.Type] = func(cfg catalog.Config) (providers.Provider, error) { return entry.New(cfg) }
	}
	return types
}
