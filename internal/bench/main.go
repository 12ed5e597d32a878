// Command bench measures lookupq against the arithmetic of its limits and
// against a minimal worker, with real nats-server, redis-server, worker and
// simulator processes, and prints a table of ratios taken in one run. It needs
// redis-server or valkey-server on PATH and builds the rest. Started by `make bench`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"net/http"

	"github.com/lookupq/lookupq/internal/names"
)

type cli struct {
	Run     runCmd     `cmd:"" default:"withargs" help:"Run every scenario and print the table."`
	Minimal minimalCmd `cmd:"" hidden:"" help:"The minimal worker, a process of the run."`
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

type runCmd struct {
	Scale   float64 `help:"Multiply every scenario's numbers." default:"1"`
	Rounds  int     `help:"Rounds of the engine scenarios; the medians count." default:"3"`
	Only    string  `help:"Run only scenarios whose name holds this."`
	Keep    bool    `help:"Keep the temporary folder with the logs."`
	Profile string  `help:"Write a CPU profile of the worker in the last engine scenario to this folder." type:"path"`
}

type minimalCmd struct {
	NATS  string `required:""`
	URL   string `required:""`
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
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return err
	}
	m := minimal{js: js, lane: benchLane(), names: names.Default(), url: c.URL, key: c.Key, calls: c.Calls, client: &http.Client{}}
	if err := m.run(ctx, c.Total); err != nil {
		return errors.Join(fmt.Errorf("minimal worker of %s numbers", strconv.Itoa(c.Total)), err)
	}
	return nc.Flush()
}

func benchLane() names.Lane {
	return names.Lane{Route: "cn", Priority: names.Bulk, Tenant: "bench", Campaign: "bench"}
}
