// Command fleet runs four workers on one backlog of several tenants, with
// nats-server, redis-server and two simulated upstreams of their own, while keys
// are revoked and throttled and an upstream fails, and holds everything that was
// asked, paid and answered against what should have been. Started by `make fleet`.
// It needs redis-server or valkey-server on PATH and builds the rest.
//
// What comes in are flags; what goes out is a table on stdout and exit code 1 if a
// result is missing, wrong or there twice, or if a limit was exceeded. All other
// figures are information. It uses free ports and a temporary directory and stops
// what it starts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type fleetCmd struct {
	Numbers   int           `default:"500000" help:"How many numbers to look up, over all tenants; one in ten came before."`
	Job       int           `default:"500" help:"Numbers a job."`
	Batch     int           `default:"1000" help:"Numbers a call."`
	Latency   time.Duration `default:"1s" help:"How long a call of the first provider takes, with up to a tenth more."`
	Workers   int           `default:"4" help:"Worker processes."`
	Outage    time.Duration `default:"15s" help:"How long the first provider answers 503, soon before the middle; 0 for not at all."`
	RedisAway time.Duration `help:"Kill redis-server past the middle and start it again with its data after so long."`
	CutOff    time.Duration `help:"Cut one worker off from Redis, and from nothing else, past the middle and for so long."`
	Keep      bool          `help:"Keep the temporary directory with configurations, logs and every call, and say where it is."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c fleetCmd
	k := kong.Parse(&c, kong.Name("fleet"), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
