package main

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

// proc is one process of a run: a server, a worker or the simulator.
type proc struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
}

// start runs a program with its output in dir/name.log.
func start(dir, name, path string, args ...string) (*proc, error) {
	log, err := os.Create(filepath.Join(dir, name+".log")) //nolint:gosec // our own temporary folder
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // programs built by this benchmark; ended by stop
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), log.Close())
	}
	return &proc{name, cmd, log}, nil
}

// stop ends the process by SIGTERM, by SIGKILL after ten seconds, and waits for it.
func (p *proc) stop() error {
	defer p.log.Close() //nolint:errcheck // only read by people
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return p.cmd.Wait()
	}
	const patience = 10 * time.Second
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // how it ended does not matter here
	}
	return err
}

// usage is what a process has cost so far.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes of resident memory, the highest so far
}

// clockTick is USER_HZ, which Linux fixes at 100 for user space.
const clockTick = 10 * time.Millisecond

func (p *proc) usage() (usage, error) {
	dir := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat") //nolint:gosec // the kernel's file of our own child
	if err != nil {
		return usage{}, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	const utime, stime = 11, 12 // counted from the field behind the name
	var ticks int64
	for _, f := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[f], 10, 64)
		if err != nil {
			return usage{}, err
		}
		ticks += n
	}
	u := usage{cpu: time.Duration(ticks) * clockTick}
	status, err := os.ReadFile(dir + "/status") //nolint:gosec // as above
	if err != nil {
		return usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			if err != nil {
				return usage{}, err
			}
			u.peak = kib << 10
		}
	}
	return u, nil
}

// freePort asks the kernel for a port that nobody listens on.
func freePort(ctx context.Context) (int, error) {
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

// answering waits until something listens on addr.
func answering(ctx context.Context, network, addr string) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := d.DialContext(ctx, network, addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("nothing answers on %s: %w", addr, err)
		}
	}
}

// build compiles a package of this module, or one it depends on, into dir.
func build(ctx context.Context, dir, pkg string) (string, error) {
	out := filepath.Join(dir, filepath.Base(strings.TrimSuffix(pkg, "/v2")))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg) //nolint:gosec // constant package paths
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}
