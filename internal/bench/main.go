// Command bench measures lookupq against the arithmetic of its limits and
// against a minimal worker, with real nats-server, redis-server, worker and
// simulator processes, and prints a table of ratios taken in one run. It needs
// redis-server or valkey-server on PATH and builds the rest. Started by `make bench`.
//
// What comes in are flags; what goes out are the table on stdout and a line a
// round on stderr. It stops what it starts, also on SIGINT and SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

type cli struct {
	Run      runCmd      `cmd:"" default:"withargs" help:"Run every scenario and print the table."`
	Minimal  minimalCmd  `cmd:"" hidden:"" help:"The minimal worker, a process of the run."`
	Profiled profiledCmd `cmd:"" hidden:"" help:"The worker that writes profiles of itself, a process of the run."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("bench"), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

type minimalCmd struct {
	NATS  string `required:"" name:"nats"`
	URL   string `required:"" name:"url"`
	Key   string `required:""`
	Total int    `required:""`
	Calls int    `default:"4"`
}

// Run is the minimal worker's process.
func (c *minimalCmd) Run(ctx context.Context) error {
	nc, err := nats.Connect(c.NATS)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(publishWindow))
	if err != nil {
		return err
	}
	m := minimal{js: js, lane: benchLane(), names: names.Default(), url: c.URL, key: c.Key, calls: c.Calls, client: &http.Client{}}
	if err := m.run(ctx, c.Total); err != nil {
		return errors.Join(fmt.Errorf("minimal worker of %d numbers", c.Total), err)
	}
	return nc.Flush()
}

// benchLane is where every job of the benchmark lies.
func benchLane() names.Lane {
	return names.Lane{Route: "cn", Priority: names.Bulk, Tenant: "bench", Campaign: "bench"}
}
