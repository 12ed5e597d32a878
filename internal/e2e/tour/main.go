// Command tour shows every upstream at work: it starts the simulator with all of
// them and one worker with everything inside, looks numbers up on each route by
// `enqueue send`, and holds every single result against what the simulator says
// it knows of the number. Started by `make tour`.
//
// What comes in are flags; what goes out is a table on stdout and exit code 1 if
// one result is wrong or missing. It uses free ports and a temporary directory and
// stops what it starts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type tourCmd struct {
	Numbers int    `default:"10000" help:"How many numbers to look up on each route."`
	Profile string `default:"deploy/simulate.yaml" help:"How the simulated upstreams behave."`
	Config  string `default:"deploy/simulated.yaml" help:"The worker's configuration."`
	// Unanswered is for profiles in which a number may be asked three times in vain.
	Unanswered int  `help:"How many numbers of a route may end as no_answer."`
	Keep       bool `help:"Keep the temporary directory with inputs, results and logs, and say where it is."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c tourCmd
	k := kong.Parse(&c, kong.Name("tour"), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
