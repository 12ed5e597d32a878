package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/embedded/redisproc"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/results/journal"
)

// redisServer is the one Redis of a run, started exactly as --embedded does: unix
// socket, append-only file synced every second. It is emptied between rounds and
// not started anew, because permits and journal mistrust a Redis whose data have
// just begun, for up to a minute: the worker would be measured in a rare state.
type redisServer struct {
	proc    *redisproc.Process
	url     string
	dir     string
	socket  string
	rdb     redis.UniversalClient
	journal *journal.Journal
	asked   int
}

func startRedis(ctx context.Context, bin redisproc.Binary, dir string) (_ *redisServer, err error) {
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return nil, err
	}
	s := &redisServer{dir: dir}
	if s.socket, err = redisproc.SocketPath(dir); err != nil {
		return nil, err
	}
	s.url = (&url.URL{Scheme: "redis-socket", Path: s.socket}).String()
	if s.proc, err = redisproc.Start(ctx, redisproc.Options{Binary: bin.Path, Dir: dir, Socket: s.socket}); err != nil {
		return nil, err
	}
	if err := s.greet(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// greet has permits and journal see the Redis: its data begin now.
func (s *redisServer) greet(ctx context.Context) (err error) {
	if s.rdb, err = redisdb.Open(ctx, s.url); err != nil {
		return err
	}
	s.journal = journal.New(s.rdb, names.Default().Prefix, nil)
	_, err = s.trusted(ctx, true)
	return err
}

// stop ends the server; nothing of it is kept.
func (s *redisServer) stop() error {
	var err error
	if s.rdb != nil {
		err = s.rdb.Close()
	}
	s.proc.Kill()
	redisproc.RemoveSocket(s.socket, s.dir)
	return err
}

// trusted tells whether a worker would be given a permit now, and, if the journal
// is asked too, whether it would take a new job for new without looking around.
func (s *redisServer) trusted(ctx context.Context, journalToo bool) (bool, error) {
	yes, err := s.permitted(ctx)
	if err != nil || !journalToo {
		return yes, err
	}
	s.asked++
	replies, err := s.journal.Claim(ctx, journal.NewOwner(), []journal.ClaimRequest{{
		ID:    names.Identity{Tenant: "bench", Campaign: "greeting", JobID: strconv.Itoa(s.asked)},
		Items: 1, Stored: time.Now(),
	}})
	if err != nil {
		return false, err
	}
	return yes && !replies[0].Doubt, nil
}

// permitted asks for a permit and gives it back.
func (s *redisServer) permitted(ctx context.Context) (bool, error) {
	pool, err := keys.NewPool(s.rdb, keys.Config{Provider: "qxt", WorkerID: "bench", Keys: []keys.KeyConfig{
		{Key: providers.Key{Name: "main", Secret: providers.NewSecret(apiKey)}, Limits: keys.Limits{Concurrency: concurrency}},
	}})
	if err != nil {
		return false, err
	}
	var tells sync.WaitGroup
	tells.Go(func() { pool.Run(ctx) }) // it tells Redis of the release
	defer tells.Wait()
	defer pool.Close()
	g, err := pool.Acquire(ctx, 1)
	if _, wait := errors.AsType[*keys.WaitError](err); wait {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	g.Refund(1)
	g.Release()
	return true, nil
}

// prepare empties the server for a round and waits until it is trusted. Jobs of
// many numbers need not wait for the journal: what it costs in its first minute
// is for each job.
func (s *redisServer) prepare(ctx context.Context, l load) error {
	if err := s.empty(ctx); err != nil {
		return fmt.Errorf("empty Redis: %w", err)
	}
	const patience, look = 90 * time.Second, 200 * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("permits or journal still mistrust Redis after %s", patience))
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if ok, err := s.trusted(ctx, l.size == 1); err != nil || ok {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// empty removes everything but the epochs, from the append-only file too, so that
// each round meets the same rewrites of it.
func (s *redisServer) empty(ctx context.Context) error {
	const page = 1000
	it := s.rdb.Scan(ctx, 0, "*", page).Iterator()
	for it.Next(ctx) {
		if !strings.HasSuffix(it.Val(), "epoch") {
			if err := s.rdb.Unlink(ctx, it.Val()).Err(); err != nil {
				return err
			}
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	if err := s.rdb.BgRewriteAOF(ctx).Err(); err != nil && !strings.Contains(err.Error(), "already in progress") {
		return err
	}
	const look = 20 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		info, err := s.rdb.Info(ctx, "persistence").Result()
		if err != nil || strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
