// Package redisdb connects to Redis and says which data the connection sees.
//
// In goes a redis.url of any form the contract names; out come a go-redis
// client with bounded timeouts and bounded connection attempts, a report on the
// server, and the epoch of its data (epoch.go). The package starts no goroutine;
// whoever called Open closes the client.
package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// dialTimeout is short: Redis stands next to the worker, and everything
	// that needs it waits while a connection is tried.
	dialTimeout = time.Second
	// ioTimeout is for callers whose context has no deadline of its own.
	ioTimeout = 3 * time.Second
	// loadingPoll is how often a server is asked that is still reading its file.
	loadingPoll = 250 * time.Millisecond
)

// Open connects to the Redis that url names (redis.url of the configuration;
// the forms are those of Forms) and checks that it answers and is new enough.
// A server that is still loading its data is waited for until ctx ends.
//
// The client sends a command once and reports the failure: who may repeat a
// command does so himself. Contexts bound each command. While the server is
// away a new connection is tried a few times a second, however many callers want one.
//
// The error is one line that says what to change and shows no password.
func Open(ctx context.Context, url string) (redis.UniversalClient, error) {
	t, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w; use one of %s", err, Forms)
	}
	// go-redis prints each failed dial to stderr; the same error reaches the caller.
	redis.SetLogger(quiet{})
	rdb := redis.NewUniversalClient(t.options())
	if err := reach(ctx, rdb); err != nil {
		return nil, errors.Join(fmt.Errorf("redis.url %s: %w", t, err), rdb.Close())
	}
	return rdb, nil
}

// options turns the target into go-redis options.
func (t target) options() *redis.UniversalOptions {
	o := &redis.UniversalOptions{
		Addrs:            t.addrs,
		MasterName:       t.master,
		IsClusterMode:    t.cluster,
		DB:               t.db,
		Username:         t.user,
		Password:         t.password,
		SentinelUsername: t.sentinelUser,
		SentinelPassword: t.sentinelPassword,
		// RESP2: no HELLO, no push messages; nothing here needs more.
		Protocol:        2,
		DisableIdentity: true,
		ClientName:      "lookupq",
		// A script that was sent twice would count twice.
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           dialTimeout,
		ReadTimeout:           ioTimeout,
		WriteTimeout:          ioTimeout,
		ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if t.tls {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.Dialer = newGate(netDialer(o.TLSConfig)).dial
	return o
}

// reach waits until the server answers commands and checks its version.
func reach(ctx context.Context, rdb redis.UniversalClient) error {
	for {
		err := rdb.Ping(ctx).Err()
		if err == nil {
			break
		}
		if !strings.HasPrefix(err.Error(), "LOADING") {
			return remedy(err)
		}
		if !wait(ctx, loadingPoll) {
			return fmt.Errorf("still loading its data: %w; wait for it and start again", ctx.Err())
		}
	}
	s, err := Inspect(ctx, rdb)
	if err != nil {
		return remedy(err)
	}
	if s.tooOld() {
		return fmt.Errorf("version %s is too old; use Redis 6.2 or newer, or Valkey", s.Version)
	}
	return nil
}

// remedy says what to do about a first command that failed.
func remedy(err error) error {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"),
		strings.HasPrefix(text, "ERR invalid password"), strings.HasPrefix(text, "ERR AUTH"):
		return fmt.Errorf("refused: %w; put the user and password into the URL", err)
	case strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("refused: %w; grant the user all commands on keys lookupq:*", err)
	case strings.Contains(text, "DB index is out of range"):
		return fmt.Errorf("%w; choose a database that the server has", err)
	}
	return fmt.Errorf("cannot be reached: %w; start Redis there, correct redis.url (LOOKUPQ_REDIS_URL), or use --embedded", err)
}

// wait sleeps for d and reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet drops what go-redis logs by itself.
type quiet struct{}

// Printf implements go-redis' logger.
func (quiet) Printf(context.Context, string, ...any) {}
