package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/internal/procs"
	"github.com/lookupq/lookupq/providers/simulator"
)

// stage is the simulator, a worker, and where they are.
type stage struct {
	dir     string
	sim     string // address of the simulator
	nats    string
	enqueue string // the program
	undo    []func() error
}

const module = "github.com/lookupq/lookupq"

// setUp builds the programs and starts simulator and worker.
func setUp(ctx context.Context, c *tourCmd, dir string) (s *stage, err error) {
	s = &stage{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.takeDown())
		}
	}()
	worker, err := procs.Build(ctx, dir, module+"/cmd/worker")
	if err != nil {
		return s, err
	}
	if s.enqueue, err = procs.Build(ctx, dir, module+"/cmd/enqueue"); err != nil {
		return s, err
	}
	addrs := make([]string, 4)
	for i := range addrs {
		port, err := procs.FreePort(ctx)
		if err != nil {
			return s, err
		}
		addrs[i] = "127.0.0.1:" + strconv.Itoa(port)
	}
	s.sim, s.nats = "http://"+addrs[0], "nats://"+addrs[1]
	sim, err := procs.Start(dir, "simulator", nil, worker, "simulate", "--profile", c.Profile, "--listen", addrs[0])
	if err := s.keep(ctx, sim, addrs[0], err); err != nil {
		return s, err
	}
	run, err := procs.Start(dir, "worker", s.environment(addrs[2], addrs[3]), worker,
		"run", "--embedded", "--data-dir", filepath.Join(dir, "data"), "--config", c.Config)
	if err := s.keep(ctx, run, addrs[2], err); err != nil {
		return s, err
	}
	err = s.ready(ctx, "http://"+addrs[2]+"/readyz")
	return s, err
}

// keep has a process that was started stopped in the end, and waits until it
// listens at addr.
func (s *stage) keep(ctx context.Context, p *procs.Proc, addr string, started error) error {
	if started != nil {
		return started
	}
	s.undo = append(s.undo, p.Stop)
	return p.Answering(ctx, addr)
}

// environment points the shipped configuration at this stage.
func (s *stage) environment(listen, public string) []string {
	env := []string{
		"LOOKUPQ_NATS_URL=" + s.nats, "LOOKUPQ_HTTP_LISTEN=" + listen,
		"LOOKUPQ_HTTP_PUBLIC_LISTEN=" + public, "LOOKUPQ_HTTP_PUBLIC_URL=http://" + public,
		"QXT_KEY=0123456789abcdef0123456789abcdef", "PORTCHECK_KEY=portcheck-key", "TELNYX_KEY=telnyx-key", "NXCLOUD_SECRET=nxcloud-secret",
	}
	for name, path := range map[string]string{
		"QXT": simulator.QXTPath, "PORTCHECK": simulator.PortcheckPath, "TELNYX": simulator.TelnyxPath, "NXCLOUD": simulator.NXCloudPath,
	} {
		env = append(env, "LOOKUPQ_PROVIDERS_"+name+"_BASE_URL="+s.sim+path)
	}
	return env
}

// ready waits until the worker says that it is.
func (s *stage) ready(ctx context.Context, url string) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the worker is not ready after %s; its log is %s", patience, filepath.Join(s.dir, "worker.log"))
		}
	}
}

// takeDown stops everything, the last started first.
func (s *stage) takeDown() error {
	var errs []error
	for _, f := range slices.Backward(s.undo) {
		errs = append(errs, f())
	}
	s.undo = nil
	return errors.Join(errs...)
}

// send looks the numbers of a file up and returns where the results are.
func (s *stage) send(ctx context.Context, route, input string) (string, error) {
	out := filepath.Join(s.dir, route+".ndjson")
	//nolint:gosec // a program built by setUp
	cmd := exec.CommandContext(ctx, s.enqueue, "send", "--nats", s.nats, "--route", route, "--campaign", route, "--wait", "--out", out, input)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("enqueue send --route %s: %w\n%s", route, err, text)
	}
	return out, nil
}

// write makes an input of one number a line.
func (s *stage) write(route string, numbers []string) (string, error) {
	path := filepath.Join(s.dir, route+".txt")
	return path, os.WriteFile(path, []byte(strings.Join(numbers, "\n")+"\n"), 0o600)
}
