// Package procs runs programs of this module as processes of their own, for what
// measures and shows them whole (internal/bench, internal/tour). Whoever starts a
// process stops it. Linux only.
package procs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Proc is one process: a server, a worker or the simulator. Whoever
// starts it stops it.
type Proc struct {
	name string
	cmd  *exec.Cmd
	Log  string        // path of its output
	done chan struct{} // closed when the process is gone and reaped
	err  error         // why it ended; read after done
}

// Start runs a program with its output in dir/name.log and env added to ours.
func Start(dir, name string, env []string, path string, args ...string) (*Proc, error) {
	p := &Proc{name: name, Log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.Log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(path, args...) //nolint:gosec,noctx // programs built by this benchmark; ended by Stop
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), env...)
	// A group of its own: Ctrl-C reaches the benchmark alone, which ends its children in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = p.cmd.Start()
	err = errors.Join(err, log.Close()) // the child has its own
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process is gone.
func (p *Proc) Done() <-chan struct{} { return p.done }

// PID is the process id.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Stop ends the process by SIGTERM, by SIGKILL after ten seconds, and waits for it.
func (p *Proc) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	const patience = 10 * time.Second
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil // how it ended does not matter any more
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill() // an error says that it is gone already
	<-p.done
	return fmt.Errorf("%s: killed, it did not stop within %s", p.name, patience)
}

// LastWords are the last lines of the process' output, for an error message.
func (p *Proc) LastWords() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	const most = 1500
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}

// Usage is what a process has cost so far.
type Usage struct {
	CPU  time.Duration
	Peak int64 // bytes of resident memory, the highest so far
}

// ClockTick is USER_HZ, which Linux fixes at 100 for user space.
const ClockTick = 10 * time.Millisecond

// UsageOf reads what the process has cost, with the children it has waited for:
// Redis rewrites its file in one.
func UsageOf(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat") //nolint:gosec // the kernel's file of our own child
	if err != nil {
		return Usage{}, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold spaces
	const utime, cstime = 11, 14                  // counted from the field behind the name
	fields := strings.Fields(rest)
	if len(fields) <= cstime {
		return Usage{}, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	var ticks int64
	for _, f := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return Usage{}, err
		}
		ticks += n
	}
	peak, err := peakOf(dir)
	return Usage{CPU: time.Duration(ticks) * ClockTick, Peak: peak}, err
}

// peakOf reads VmHWM.
func peakOf(dir string) (int64, error) {
	status, err := os.ReadFile(dir + "/status") //nolint:gosec // the kernel's file of our own child
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s/status has no VmHWM", dir)
}

// FreePort asks the kernel for a port that nobody listens on.
func FreePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("not a TCP address"), l.Close())
	}
	return addr.Port, l.Close()
}

// Answering waits until p listens on addr.
func (p *Proc) Answering(ctx context.Context, addr string) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	const look = 5 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended at start (%w): %s", p.name, p.err, p.LastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer on %s: %w", p.name, addr, err)
		}
	}
}

// Build compiles a package of this module, or one it depends on, into dir.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	out := filepath.Join(dir, filepath.Base(strings.TrimSuffix(pkg, "/v2")))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg) //nolint:gosec // constant package paths
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}
