// Command worker is the lookupq daemon and its operator tools. main parses the
// command line and turns signals into a context; each verb has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/lookupq/lookupq/internal/version"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

type cli struct {
	Run      runCmd           `cmd:"" help:"Claim jobs, look numbers up, publish the answers, until SIGTERM."`
	Check    checkCmd         `cmd:"" help:"Validate the configuration, reach NATS, Redis and every provider key, print what was found."`
	Simulate simulateCmd      `cmd:"" help:"Serve the upstreams' wire protocols on loopback, to try a worker without paying."`
	Version  kong.VersionFlag `help:"Print the version and exit."`
}

// env is what a verb may touch besides its flags.
type env struct {
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
}

func main() { os.Exit(run(os.Args[1:], env{os.Stdout, os.Stderr, os.LookupEnv})) }

func run(args []string, e env) int {
	code := -1 // kong asks to exit after --help and --version
	parser, err := kong.New(&cli{},
		kong.Name("worker"),
		kong.Description("lookupq: a queue-driven phone-number lookup worker."),
		kong.Vars{"version": version.String()},
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(c int) { code = c }),
		kong.UsageOnError(),
	)
	if err != nil {
		return fail(e, exitError, err)
	}
	kctx, err := parser.Parse(args)
	if code >= 0 {
		return code
	}
	if err != nil {
		return fail(e, exitUsage, fmt.Errorf("%w (worker --help shows the usage)", err))
	}
	ctx, stop := signals(context.Background())
	defer stop()
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(e); err != nil {
		return fail(e, exitError, err)
	}
	return exitOK
}

func fail(e env, code int, err error) int {
	say(e.stderr, "worker: %v\n", err)
	return code
}

// say prints for people; a closed terminal is nobody to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// errSecondSignal ends the process at once: the operator asked twice.
var errSecondSignal = errors.New("second signal: left at once")

// signals returns a context that ends at the first SIGINT or SIGTERM. A second
// one exits without waiting for anything.
func signals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-ch:
			cancel()
		case <-ctx.Done():
			return
		}
		if _, again := <-ch; again {
			say(os.Stderr, "worker: %v\n", errSecondSignal)
			os.Exit(exitError)
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		cancel()
		close(ch)
	}
}
