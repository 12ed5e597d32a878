package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/procs"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	permits "github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results/journal"
)

const (
	module   = "github.com/lookupq/lookupq"
	loopback = "127.0.0.1:"
	private  = 0o700
	secret   = 0o600
)

// stage is the servers of a run and its workers.
type stage struct {
	dir       string
	workerBin string
	natsURL   string
	js        jetstream.JetStream
	upstreams upstreams
	profiles  map[string]simulator.Profile
	recorder  *recorder
	workers   []*procs.Proc
	link      *link // of the first worker; nil unless it is to be cut off

	redisBin redisproc.Binary
	redis    *redisproc.Process
	redisDir string
	socket   string

	undo []func() error
}

// setUp builds the programs and starts the servers; the workers come later.
func setUp(ctx context.Context, dir string, l *load, plan *nightPlan) (s *stage, err error) {
	s = &stage{dir: dir, redisDir: filepath.Join(dir, "redis"), upstreams: upstreams{}, profiles: map[string]simulator.Profile{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.takeDown())
		}
	}()
	if s.workerBin, err = procs.Build(ctx, dir, module+"/cmd/worker"); err != nil {
		return s, err
	}
	if err := s.startRedis(ctx); err != nil {
		return s, err
	}
	if err := s.startNATS(ctx); err != nil {
		return s, err
	}
	to := map[string]string{}
	for _, provider := range []string{primary, backup} {
		if err := s.startUpstream(ctx, provider, plan); err != nil {
			return s, err
		}
		to[provider] = s.upstreams[provider].BaseURL(simulator.UpstreamQXT)
	}
	if s.recorder, err = startRecorder(ctx, l, to); err != nil {
		return s, err
	}
	s.undo = append(s.undo, s.recorder.close)
	err = s.greet(ctx)
	return s, err
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

// startRedis starts redis-server as --embedded does: unix socket, append-only file
// synced every second.
func (s *stage) startRedis(ctx context.Context) (err error) {
	if s.redisBin, err = redisproc.Find(ctx); err != nil {
		return fmt.Errorf("%w; install one (apt-get install redis-server)", err)
	}
	if err := os.MkdirAll(s.redisDir, private); err != nil {
		return err
	}
	if s.socket, err = redisproc.SocketPath(s.redisDir); err != nil {
		return err
	}
	if err := s.redisBack(ctx); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error {
		s.redis.Kill()
		redisproc.RemoveSocket(s.socket, s.redisDir)
		return nil
	})
	return nil
}

// redisBack starts redis-server with the data that are there.
func (s *stage) redisBack(ctx context.Context) (err error) {
	s.redis, err = redisproc.Start(ctx, redisproc.Options{Binary: s.redisBin.Path, Dir: s.redisDir, Socket: s.socket})
	return err
}

func (s *stage) redisURL() string { return (&url.URL{Scheme: "redis-socket", Path: s.socket}).String() }

// startNATS starts nats-server as it is without a configuration, and makes the streams.
func (s *stage) startNATS(ctx context.Context) error {
	bin, err := procs.Build(ctx, s.dir, "github.com/nats-io/nats-server/v2")
	if err != nil {
		return err
	}
	port, err := procs.FreePort(ctx)
	if err != nil {
		return err
	}
	addr := loopback + strconv.Itoa(port)
	p, err := procs.Start(s.dir, "nats", nil, bin, "-js", "-sd", filepath.Join(s.dir, "jetstream"), "-a", "127.0.0.1", "-p", strconv.Itoa(port))
	if err != nil {
		return err
	}
	s.undo = append(s.undo, p.Stop)
	if err := p.Answering(ctx, addr); err != nil {
		return err
	}
	s.natsURL = "nats://" + addr
	nc, err := nats.Connect(s.natsURL, nats.Name("lookupq fleet"))
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { nc.Close(); return nil })
	const window = 4096
	if s.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(window)); err != nil {
		return err
	}
	return jobs.EnsureStreams(ctx, s.js, names.Default(), jobs.StreamOptions{})
}

// startUpstream starts the simulator of a provider in this process.
func (s *stage) startUpstream(ctx context.Context, provider string, plan *nightPlan) (err error) {
	if s.profiles[provider], err = plan.profile(provider); err != nil {
		return err
	}
	server, err := simulator.Start(ctx, loopback+"0", s.profiles[provider])
	if err != nil {
		return err
	}
	s.upstreams[provider] = server
	s.undo = append(s.undo, func() error {
		const grace = 5 * time.Second
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		return server.Close(ctx)
	})
	return nil
}

// greet has permits and journal see the Redis and waits until a permit would be
// given: data that have just begun are mistrusted for some seconds, which is no
// part of the run.
func (s *stage) greet(ctx context.Context) (err error) {
	rdb, err := redisdb.Open(ctx, s.redisURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rdb.Close()) }()
	_, err = journal.New(rdb, names.Default().Prefix, nil).Claim(ctx, journal.NewOwner(), []journal.ClaimRequest{{
		ID: names.Identity{Tenant: "nobody", Campaign: "greeting", JobID: "greeting"}, Items: 1, Stored: time.Now(),
	}})
	if err != nil {
		return err
	}
	return permitted(ctx, rdb)
}

// permitted waits until a permit of the upstreams' type is given, and gives it back.
func permitted(ctx context.Context, rdb redis.UniversalClient) error {
	pool, err := permits.NewPool(rdb, permits.Config{Provider: primary, WorkerID: "fleet", Keys: []permits.KeyConfig{
		{Key: providers.Key{Name: "greeting", Secret: providers.NewSecret("greeting")}, Limits: permits.Limits{Concurrency: 1}},
	}})
	if err != nil {
		return err
	}
	var tells sync.WaitGroup
	tells.Go(func() { pool.Run(ctx) }) // it tells Redis of the release
	defer tells.Wait()
	defer pool.Close()
	const patience = 90 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no permit after %s", patience))
	defer cancel()
	for {
		g, err := pool.Acquire(ctx, 1)
		if err == nil {
			g.Refund(1)
			g.Release()
			return nil
		}
		wait, ok := errors.AsType[*permits.WaitError](err)
		if !ok {
			return err
		}
		select {
		case <-time.After(wait.After):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// startWorkers starts the fleet; the first reaches Redis through a link if linked.
func (s *stage) startWorkers(ctx context.Context, n int, plan *nightPlan, linked bool) (err error) {
	addrs := make([]string, n)
	for i := range n {
		redisURL := s.redisURL()
		if linked && i == 0 {
			if s.link, err = startLink(ctx, s.socket); err != nil {
				return err
			}
			s.undo = append(s.undo, s.link.close)
			redisURL = s.link.url()
		}
		port, err := procs.FreePort(ctx)
		if err != nil {
			return err
		}
		addrs[i] = loopback + strconv.Itoa(port)
		name := "worker-" + strconv.Itoa(i)
		config := filepath.Join(s.dir, name+".yaml")
		if err := os.WriteFile(config, []byte(plan.workerConfig(s.natsURL, redisURL, addrs[i], s.recorder.of(i))), secret); err != nil {
			return err
		}
		p, err := procs.Start(s.dir, name, plan.environment(), s.workerBin, "run", "--config", config)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, p)
		s.undo = append(s.undo, p.Stop)
	}
	for i, p := range s.workers {
		if err := p.Answering(ctx, addrs[i]); err != nil {
			return err
		}
	}
	return nil
}

// memory is the most that a worker has taken.
func (s *stage) memory() (int64, error) {
	var most int64
	for _, p := range s.workers {
		u, err := procs.UsageOf(p.PID())
		if err != nil {
			return 0, err
		}
		most = max(most, u.Peak)
	}
	return most, nil
}

// messages is how many a stream holds.
func (s *stage) messages(ctx context.Context, stream string) (uint64, error) {
	st, err := s.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return st.CachedInfo().State.Msgs, nil
}
