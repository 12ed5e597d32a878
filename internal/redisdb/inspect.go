package redisdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// oldest is the oldest Redis whose commands the scripts use.
const oldestMajor, oldestMinor = 6, 2

// Server is what a Redis says of itself. Fields are empty where it does not
// tell: miniredis and some managed services keep INFO and CONFIG to themselves.
type Server struct {
	// Version is the Redis version that the server claims ("7.0.15"; Valkey says "7.2.4").
	Version string
	// Policy is maxmemory-policy.
	Policy string
	// Persistent is whether an append-only file is kept.
	Persistent bool
	// Warnings are what an operator should change, one line each.
	Warnings []string
}

// Inspect asks the server about itself, for the start-up log and `worker check`.
// In a cluster any one node answers. What the server refuses to tell is left
// empty; the error is a connection that failed.
func Inspect(ctx context.Context, rdb redis.UniversalClient) (Server, error) {
	info, err := tolerate(rdb.Info(ctx).Result())
	if err != nil {
		return Server{}, fmt.Errorf("ask Redis for its version: %w", err)
	}
	f := fields(info)
	s := Server{
		Version:    f["redis_version"],
		Policy:     f["maxmemory_policy"],
		Persistent: f["aof_enabled"] == "1",
	}
	if s.Policy != "" && s.Policy != "noeviction" {
		s.Warnings = append(s.Warnings, "Redis has maxmemory-policy "+s.Policy+
			": it may evict journals and permits; set maxmemory-policy noeviction")
	}
	if info != "" && f["aof_enabled"] == "0" {
		s.Warnings = append(s.Warnings, "Redis keeps no append-only file: a restart forgets cached answers "+
			"and makes redelivered jobs read the result stream; set appendonly yes")
	}
	return s, nil
}

// tolerate takes a server's refusal ("ERR unknown command") for an empty answer.
func tolerate(v string, err error) (string, error) {
	if _, refused := err.(redis.Error); refused { //nolint:errorlint // an interface of go-redis that is never wrapped
		return "", nil
	}
	return v, err
}

// fields splits the "name:value" lines of INFO.
func fields(info string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out
}

// tooOld reports a known version below the oldest usable one.
func (s Server) tooOld() bool {
	parts := strings.SplitN(s.Version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major < oldestMajor || (major == oldestMajor && minor < oldestMinor)
}
