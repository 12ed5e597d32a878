package redisdb

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// EpochLua defines the Lua function lookupq_epoch(key, now_ms, fresh_id), which
// is SyncEpoch inside a script: id, created_ms, is_new, hides_run_id. It is put in
// front of scripts whose answer depends on nothing having been lost; fresh_id is NewEpochID().
//
//go:embed epoch.lua
var EpochLua string

// syncTail makes a script of EpochLua.
const syncTail = `
local t = redis.call('TIME')
local id, created = lookupq_epoch(KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
return {id, string.format('%.0f', created)}
`

// Epoch is an unbroken life of a Redis' data. Whatever was written before
// Created may be lost: the key was gone (a fresh server, FLUSHALL), or another
// server process answers (a restart, a failover), which may lack the last writes.
type Epoch struct {
	ID string
	// Created is on Redis's clock, to the millisecond.
	Created time.Time
}

// SyncEpoch returns the epoch under key; it starts a new one if the key is
// missing or the server's run_id differs from the one recorded. One round trip,
// atomic; safe in parallel and from many processes: all see the same epoch. A
// server that hides its run_id (miniredis) is told apart only by the missing key.
func SyncEpoch(ctx context.Context, rdb redis.UniversalClient, key string) (Epoch, error) {
	script := redis.NewScript(EpochLua + syncTail)
	reply, err := script.Run(ctx, rdb, []string{key}, NewEpochID()).StringSlice()
	if err != nil {
		return Epoch{}, fmt.Errorf("read the epoch of Redis: %w", err)
	}
	if len(reply) != 2 {
		return Epoch{}, fmt.Errorf("read the epoch of Redis: %d values, want 2", len(reply))
	}
	return newEpoch(reply[0], reply[1])
}

// ParseEpoch reads the value of an epoch key, "<id> <created_ms> <run_id>", for
// scripts that return it as it is.
func ParseEpoch(value string) (Epoch, error) {
	f := strings.Fields(value)
	if len(f) != 3 {
		return Epoch{}, errors.New("not an epoch")
	}
	return newEpoch(f[0], f[1])
}

// newEpoch builds an Epoch from its two texts.
func newEpoch(id, createdMS string) (Epoch, error) {
	ms, err := strconv.ParseInt(createdMS, 10, 64)
	if err != nil {
		return Epoch{}, fmt.Errorf("not an epoch: %w", err)
	}
	return Epoch{ID: id, Created: time.UnixMilli(ms)}, nil
}

// NewEpochID makes the id for an epoch that may have to be started: 16 hex digits.
func NewEpochID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}
