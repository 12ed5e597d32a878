package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results/journal"
)

const (
	// apiKey is any key that the simulated upstream takes.
	apiKey = "0123456789abcdef0123456789abcdef"
	// callSize and concurrency are the upstream's limits in every scenario.
	callSize    = 1000
	concurrency = 4
	loopback    = "127.0.0.1:"
)

// rig is the servers of one round, each a fresh process with empty data, so that
// no round pays for what an earlier one left behind.
type rig struct {
	dir   string
	nats  *proc
	redis *redisproc.Process // nil for who needs none
	sim   *proc
	nc    *nats.Conn
	js    jetstream.JetStream

	natsURL, redisURL, simURL string

	ready time.Time // when a worker is given its first permit
	undo  []func() error
}

// startRig starts the servers and makes the streams.
func startRig(ctx context.Context, t *tools, dir string, latency time.Duration, withRedis bool) (_ *rig, err error) {
	r := &rig{dir: dir, ready: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return nil, err
	}
	if withRedis {
		if err := r.startRedis(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := r.startSimulator(ctx, t, latency); err != nil {
		return nil, err
	}
	return r, r.startNATS(ctx, t)
}

// stop ends everything in reverse and removes the data.
func (r *rig) stop() error {
	var errs []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		errs = append(errs, r.undo[i]())
	}
	r.undo = nil
	for _, data := range []string{"nats", "redis"} {
		errs = append(errs, os.RemoveAll(filepath.Join(r.dir, data)))
	}
	return errors.Join(errs...)
}

// startNATS starts nats-server as it is without a configuration: files, synced
// every two minutes.
func (r *rig) startNATS(ctx context.Context, t *tools) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	addr := loopback + strconv.Itoa(port)
	r.nats, err = start(r.dir, "nats-server", nil, t.natsServer, "-js", "-sd", filepath.Join(r.dir, "nats"), "-a", "127.0.0.1", "-p", strconv.Itoa(port))
	if err != nil {
		return err
	}
	r.undo = append(r.undo, r.nats.stop)
	if err := r.nats.answering(ctx, addr); err != nil {
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

// startRedis starts redis-server exactly as --embedded does: unix socket,
// append-only file synced every second. Permits and journal mistrust a Redis whose
// data have just begun; they are asked once, so that this time begins now and
// not with the worker.
func (r *rig) startRedis(ctx context.Context, t *tools) error {
	dir := filepath.Join(r.dir, "redis")
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return err
	}
	socket, err := redisproc.SocketPath(dir)
	if err != nil {
		return err
	}
	if r.redis, err = redisproc.Start(ctx, redisproc.Options{Binary: t.redis.Path, Dir: dir, Socket: socket}); err != nil {
		return err
	}
	r.undo = append(r.undo, func() error {
		r.redis.Kill() // nothing of it is kept
		redisproc.RemoveSocket(socket, dir)
		return nil
	})
	r.redisURL = (&url.URL{Scheme: "redis-socket", Path: socket}).String()
	if err := greetRedis(ctx, r.redisURL); err != nil {
		return err
	}
	r.ready = time.Now().Add(keys.DefaultRenew)
	return nil
}

// greetRedis has permits and journal see the Redis for the first time.
func greetRedis(ctx context.Context, addr string) (err error) {
	rdb, err := redisdb.Open(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rdb.Close()) }()
	pool, err := keys.NewPool(rdb, keys.Config{Provider: "qxt", WorkerID: "bench", Keys: []keys.KeyConfig{
		{Key: providers.Key{Name: "main", Secret: providers.NewSecret(apiKey)}, Limits: keys.Limits{Concurrency: concurrency}},
	}})
	if err != nil {
		return err
	}
	defer pool.Close()
	var wait *keys.WaitError
	if g, err := pool.Acquire(ctx, 1); err == nil {
		g.Release()
	} else if !errors.As(err, &wait) {
		return err
	}
	_, err = journal.New(rdb, names.Default().Prefix, nil).Claim(ctx, journal.NewOwner(), []journal.ClaimRequest{
		{ID: names.Identity{Tenant: "bench", Campaign: "greeting", JobID: "1"}, Items: 1, Stored: time.Now()},
	})
	return err
}

// startSimulator starts the upstream; what is above its limits it refuses.
func (r *rig) startSimulator(ctx context.Context, t *tools, latency time.Duration) error {
	port, err := freePort(ctx)
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
	if r.sim, err = start(r.dir, "simulator", nil, t.worker, "simulate", "--profile", profile, "--listen", addr); err != nil {
		return err
	}
	r.undo = append(r.undo, r.sim.stop)
	r.simURL = "http://" + addr
	return r.sim.answering(ctx, addr)
}

// ledger asks the simulator what it saw.
func (r *rig) ledger(ctx context.Context) (simulator.Summary, error) {
	var s simulator.Summary
	text, err := get(ctx, r.simURL+"/sim/ledger")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
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
	out := map[string]int{"nats": r.nats.pid(), "simulator": r.sim.pid()}
	if r.redis != nil {
		out["redis"] = r.redis.Pid()
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
