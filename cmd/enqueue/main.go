// Command enqueue is the producer's side of lookupq: it sends files of phone
// numbers as the jobs of a campaign, shows how far a campaign is, and exports its
// results. main parses the command line and turns signals into a context; each
// verb has a file of its own, and the machinery is in the folders under internal.
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

// Exit codes (contract section 6).
const (
	exitOK     = 0
	exitError  = 1
	exitUsage  = 2
	exitStrict = 3
)

type cli struct {
	globals
	Send    sendCmd          `cmd:"" help:"Send files of phone numbers as the jobs of a campaign. Running the same command again continues after a crash or Ctrl-C: no number is enqueued twice."`
	Status  statusCmd        `cmd:"" help:"Show how far a campaign is."`
	Results resultsCmd       `cmd:"" help:"Export the results of a campaign as CSV or NDJSON, one result a line."`
	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`
}

// env is what a verb may touch besides its flags.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one
	getenv         func(string) (string, bool)
}

func main() {
	ctx, stop := signals(context.Background())
	code := run(ctx, os.Args[1:], env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr), getenv: os.LookupEnv,
	})
	stop()
	os.Exit(code)
}

// usageError is a command line that cannot be carried out as it stands.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errStrict is the end of a run that was complete but, under --strict, not clean.
var errStrict = errors.New("finished, but not every line got an answer (--strict)")

// run carries out one command line and returns the exit code. It is main without
// the process, for tests.
func run(ctx context.Context, args []string, e env) int {
	code := -1 // kong asks to exit after --help and --version
	var c cli
	parser, err := kong.New(&c,
		kong.Name("enqueue"),
		kong.Description("lookupq: send phone numbers, follow them, fetch the answers."),
		kong.Vars{"version": version.String()},
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(c int) { code = c }),
		kong.DefaultEnvars("LOOKUPQ"),
	)
	if err != nil {
		return fail(e, exitError, err)
	}
	kctx, err := parser.Parse(args)
	if code >= 0 {
		return code
	}
	if err != nil {
		return fail(e, exitUsage, fmt.Errorf("%w (enqueue --help shows the usage)", err))
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	return exitCode(e, kctx.Run(e, &c.globals))
}

// exitCode reports err and translates it.
func exitCode(e env, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return fail(e, exitError, errors.New("interrupted"))
	case errors.Is(err, errStrict):
		return fail(e, exitStrict, err)
	case errors.As(err, &usage):
		return fail(e, exitUsage, err)
	}
	return fail(e, exitError, err)
}

func fail(e env, code int, err error) int {
	_, _ = fmt.Fprintf(e.stderr, "enqueue: %v\n", err)
	return code
}

// signals returns a context that ends at the first SIGINT or SIGTERM. A second
// one exits at once, as does one that finds the process waiting for its input.
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
			_, _ = fmt.Fprintln(os.Stderr, "enqueue: second signal: left at once")
			os.Exit(exitError)
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		cancel()
		close(ch)
	}
}
