// Package redisproc runs one valkey-server or redis-server child on a unix
// socket. What comes in is a binary, a directory and a socket path; what goes out
// is a process that answers PING. It dies with this process (Linux: also on
// SIGKILL); whoever starts it stops it. It restarts nothing: that is the
// supervisor's work in internal/embedded.
package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// pollStep is how often a starting server is asked; it takes about 0.1 s.
	pollStep = 10 * time.Millisecond
	// pollTimeout bounds one question.
	pollTimeout = time.Second
)

// Options says what to start. All fields are required.
type Options struct {
	// Binary is the path of the server, see Find.
	Binary string
	// Dir is an absolute directory that exists; the append-only file lies there.
	Dir string
	// Socket is the unix socket to listen on, see SocketPath.
	Socket string
}

// Process is one running server.
type Process struct {
	cmd    *exec.Cmd
	socket string
	out    *tail
	done   chan struct{} // closed when the child is gone and reaped
	err    error         // why it ended; read after done
}

// Start starts the server and returns when it answers. A child left over from a
// parent that died is told to go first: the directory is ours, the caller holds
// its lock. ctx bounds the wait, not the life of the process. An error ends the
// child and quotes its last words.
func Start(ctx context.Context, opt Options) (*Process, error) {
	conf, err := config(opt)
	if err != nil {
		return nil, err
	}
	if err := evict(ctx, opt.Socket); err != nil {
		return nil, err
	}
	p := &Process{socket: opt.Socket, out: newTail(), done: make(chan struct{})}
	// Not CommandContext: the process outlives ctx, and Stop ends it.
	p.cmd = exec.Command(opt.Binary, "-") //nolint:gosec,noctx // the binary comes from PATH or the operator
	p.cmd.Stdin = strings.NewReader(conf)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = processAttributes()
	if err := p.launch(); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", opt.Binary, err)
	}
	if err := p.awaitPong(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s in %s: %w", opt.Binary, opt.Dir, err)
	}
	return p, nil
}

// launch forks the child from a thread that lives as long as the child does: the
// kernel sends the parent-death signal when the forking thread ends, not the process.
func (p *Process) launch() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return <-started
}

// awaitPong polls until the server answers PING, ends or ctx does. A server that
// is still loading its file does not answer yet.
func (p *Process) awaitPong(ctx context.Context) error {
	tick := time.NewTicker(pollStep)
	defer tick.Stop()
	for {
		if ping(ctx, p.socket) == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended at start (%w): %s", exitReason(p.err), p.out)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Reason says why the child ended, with its last words. Call it after Done.
func (p *Process) Reason() string { return exitReason(p.err).Error() + ": " + p.out.String() }

// Stop asks the server to sync and end, and waits. When ctx ends it is killed:
// nothing that was written is lost by that, it lies in the page cache.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.Kill()
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("redis child killed, it did not stop in time: %w", context.Cause(ctx))
	}
}

// Kill ends the child at once (SIGKILL) and waits until it is reaped.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error says that it is gone already
	<-p.done
}

// exitReason is err, or words for a child that ended without one.
func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// evict ends a server that still answers on the socket: an orphan of a parent
// that died where no parent-death signal exists. Nobody answering is the rule.
func evict(ctx context.Context, socket string) error {
	if ping(ctx, socket) != nil {
		return nil
	}
	// The reply is the connection's end; a refusal shows in the loop below.
	_, _ = do(ctx, socket, "SHUTDOWN", "NOSAVE")
	tick := time.NewTicker(pollStep)
	defer tick.Stop()
	for ping(ctx, socket) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("another Redis answers on %s and does not stop: end it", socket)
		case <-tick.C:
		}
	}
	return nil
}
