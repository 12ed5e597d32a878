package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/procs"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers/simulator"
)

const (
	// apiKey is any key that the simulated upstream takes.
	apiKey = "0123456789abcdef0123456789abcdef"
	// callSize and concurrency are the upstream's limits in every scenario.
	callSize    = 1000
	concurrency = 4
	loopback    = "127.0.0.1:"
)

// rig is the servers of one round with empty data, so that no round pays for what
// an earlier one left behind. NATS and the simulator are fresh processes.
type rig struct {
	dir   string
	nats  *procs.Proc
	redis *redisServer // the run's; nil for who needs none
	sim   *procs.Proc
	nc    *nats.Conn
	js    jetstream.JetStream

	natsURL, simURL string

	undo []func() error
}

// startRig starts the servers in dir and makes the streams.
func startRig(ctx context.Context, t *tools, dir string, latency time.Duration) (_ *rig, err error) {
	r := &rig{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return nil, err
	}
	if err := r.startSimulator(ctx, t, latency); err != nil {
		return nil, err
	}
	if err := r.startNATS(ctx, t); err != nil {
		return nil, err
	}
	return r, nil
}

// stop ends what the rig has started, in reverse, and removes its data.
func (r *rig) stop() error {
	var errs []error
	for _, f := range slices.Backward(r.undo) {
		errs = append(errs, f())
	}
	r.undo = nil
	errs = append(errs, os.RemoveAll(filepath.Join(r.dir, "nats")))
	return errors.Join(errs...)
}

// startNATS starts nats-server as it is without a configuration: files, synced
// every two minutes.
func (r *rig) startNATS(ctx context.Context, t *tools) error {
	port, err := procs.FreePort(ctx)
	if err != nil {
		return err
	}
	addr := loopback + strconv.Itoa(port)
	r.nats, err = procs.Start(r.dir, "nats-server", nil, t.natsServer, "-js", "-sd", filepath.Join(r.dir, "nats"), "-a", "127.0.0.1", "-p", strconv.Itoa(port))
	if err != nil {
		return err
	}
	r.undo = append(r.undo, r.nats.Stop)
	if err := r.nats.Answering(ctx, addr); err != nil {
		return err
	}
	r.natsURL = "nats://" + addr
	if r.nc, err = nats.Connect(r.natsURL, nats.Name("lookupq bench")); err != nil {
		return err
	}
	r.undo = append(r.undo, func() error { r.nc.Close(); return nil })
	if r.js, err = jetstream.New(r.nc, jetstream.WithPublishAsyncMaxPending(publishWindow)); err != nil {
		return err
	}
	return jobs.EnsureStreams(ctx, r.js, names.Default(), jobs.StreamOptions{})
}

// publishWindow is the knee: more outstanding publishes gain little.
const publishWindow = 4096

// startSimulator starts the upstream; what is above its limits it refuses.
func (r *rig) startSimulator(ctx context.Context, t *tools, latency time.Duration) error {
	port, err := procs.FreePort(ctx)
	if err != nil {
		return err
	}
	addr := loopback + strconv.Itoa(port)
	profile := filepath.Join(r.dir, "upstream.yaml")
	text := fmt.Sprintf("seed: 1\nqxt:\n  latency: {base: %s}\n  limits: {concurrency: %d}\n", latency, concurrency)
	const private = 0o600
	if err := os.WriteFile(profile, []byte(text), private); err != nil {
		return err
	}
	if r.sim, err = procs.Start(r.dir, "simulator", nil, t.worker, "simulate", "--profile", profile, "--listen", addr); err != nil {
		return err
	}
	r.undo = append(r.undo, r.sim.Stop)
	r.simURL = "http://" + addr
	return r.sim.Answering(ctx, addr)
}

// ledger asks the simulator what it saw.
func (r *rig) ledger(ctx context.Context) (simulator.Summary, error) {
	var s simulator.Summary
	text, err := get(ctx, r.simURL+"/sim/ledger?upstream=qxt")
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(text, &s)
	return s, err
}

// left is how many jobs are on the stream.
func (r *rig) left(ctx context.Context) (uint64, error) {
	return r.messages(ctx, names.Default().JobsStream())
}

func (r *rig) messages(ctx context.Context, stream string) (uint64, error) {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// pids are the processes of the rig by name.
func (r *rig) pids() map[string]int {
	out := map[string]int{"nats": r.nats.PID(), "simulator": r.sim.PID()}
	if r.redis != nil {
		out["redis"] = r.redis.proc.Pid()
	}
	return out
}

// get fetches a small page.
func get(ctx context.Context, addr string) (_ []byte, err error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	const most = 8 << 20
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", addr, resp.Status)
	}
	return text, err
}
