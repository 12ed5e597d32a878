package cache

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// sumSize is how much of the hash names a number: with 10^8 answers the odds
	// that any two of them share a name are 1 in 10^13.
	sumSize = 12
	// chunk is the most fields of one command, so that Redis is never held up
	// for more than a millisecond or two.
	chunk = 1000
	// maxTTL is the longest time to live; twice that is the longest an answer stays.
	maxTTL = 90 * 24 * time.Hour
)

// Config of a Cache.
type Config struct {
	// Prefix starts every Redis key ("lookup").
	Prefix string
	// HashKey keys the hash of numbers. It must be the same for all workers and
	// as long as the cache is to be used; who lacks it cannot test numbers.
	HashKey [32]byte
}

// Cache reads and writes answers. Safe in parallel.
type Cache struct {
	rdb     redis.UniversalClient
	hashKey [32]byte
	shards  byte
	codec   codec
	gens    *generations
}

// New makes a Cache on rdb, which the caller closes.
func New(rdb redis.UniversalClient, cfg Config) *Cache {
	c := &Cache{
		rdb: rdb, hashKey: cfg.HashKey, shards: 1, codec: newCodec(),
		gens: &generations{
			rdb: rdb, prefix: cfg.Prefix, script: redis.NewScript(rotateLua), next: map[class]time.Time{},
		},
	}
	if _, ok := rdb.(*redis.ClusterClient); ok {
		c.shards = clusterShards
	}
	return c
}

// Scope is who may share an answer, and for how long.
type Scope struct {
	ShareGroup, Route, Partition string
	// TTL is the route's cache_ttl, at least a second, cut to whole seconds.
	TTL time.Duration
}

// Key names the answer for one number in one scope. It is comparable.
type Key struct {
	sum   [sumSize]byte
	class class
}

// Key makes the key of a number; question says what was asked of it, where the
// same options may ask different things. It allocates nothing; safe in parallel.
func (c *Cache) Key(s *Scope, question, e164 string) Key {
	var stack [256]byte
	b := append(stack[:0], c.hashKey[:]...)
	for _, part := range [4]string{s.ShareGroup, s.Route, s.Partition, question} {
		b = append(b, part...)
		b = append(b, 0)
	}
	// The number is last and the hash is cut: its length cannot be extended.
	b = append(b, e164...)
	sum := sha256.Sum256(b)
	k := Key{class: class{ttl: min(max(s.TTL.Truncate(time.Second), time.Second), maxTTL), shard: sum[sumSize] % c.shards}}
	copy(k.sum[:], sum[:])
	return k
}

// Get looks up all keys in one round trip: the answers in the order of keys, nil
// for each that is not known, too old, or of a version that is not understood.
// Safe in parallel. The error is Redis' own.
func (c *Cache) Get(ctx context.Context, keys []Key) ([]*Answer, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	type read struct {
		at   []int32 // positions in keys
		cmds [2]*redis.SliceCmd
	}
	var reads []read
	pipe := c.rdb.Pipeline()
	for _, g := range group(len(keys), func(i int) class { return keys[i].class }) {
		if err := c.gens.turn(ctx, g.class); err != nil {
			return nil, err
		}
		fields := c.fields(g.at, func(i int32) *Key { return &keys[i] })
		r := read{at: g.at}
		for n := range r.cmds { // the current hash and the previous one
			args := make([]any, 0, 2+len(fields))
			args = append(args, "hmget", c.gens.names(g.class)[n])
			for i := range fields {
				// Pointers, for a string in an interface would be one more allocation.
				args = append(args, &fields[i])
			}
			r.cmds[n] = redis.NewSliceCmd(ctx, args...)
			_ = pipe.Process(ctx, r.cmds[n]) // only queues
		}
		reads = append(reads, r)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read the answer cache: %w", err)
	}
	out := make([]*Answer, len(keys))
	now := time.Now()
	for _, r := range reads {
		for _, cmd := range r.cmds {
			for j, v := range cmd.Val() {
				if i := r.at[j]; out[i] == nil && v != nil {
					out[i] = c.fresh(v, keys[i].class.ttl, now)
				}
			}
		}
	}
	return out, nil
}

// fresh decodes one value, nil unless it may still be used.
func (c *Cache) fresh(v any, ttl time.Duration, now time.Time) *Answer {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	a, err := c.codec.decode(s)
	if err != nil || now.Sub(a.AnsweredAt) >= ttl {
		return nil
	}
	return a
}

// fields returns the hash fields of the keys at the given positions, in one allocation.
func (c *Cache) fields(at []int32, key func(int32) *Key) []string {
	buf := make([]byte, 0, len(at)*sumSize)
	for _, i := range at {
		buf = append(buf, key(i).sum[:]...)
	}
	all := string(buf)
	out := make([]string, len(at))
	for j := range out {
		out[j] = all[j*sumSize : (j+1)*sumSize]
	}
	return out
}

// Entry is an answer to be kept.
type Entry struct {
	Key    Key
	Answer Answer
}

// Stage queues the writing of entries on pipe, to go with what else the caller
// has for Redis; the newest answer of a number wins. The error is Redis' own,
// of a turn of generations that had to be asked for first. Safe in parallel.
func (c *Cache) Stage(ctx context.Context, pipe redis.Pipeliner, entries []Entry) error {
	for _, g := range group(len(entries), func(i int) class { return entries[i].Key.class }) {
		if err := c.gens.turn(ctx, g.class); err != nil {
			return err
		}
		fields := c.fields(g.at, func(i int32) *Key { return &entries[i].Key })
		values := make([]string, len(g.at))
		var buf []byte
		args := make([]any, 0, 2+2*len(g.at))
		args = append(args, "hset", c.gens.names(g.class)[0])
		for j, i := range g.at {
			buf = c.codec.append(buf[:0], &entries[i].Answer)
			values[j] = string(buf)
			args = append(args, &fields[j], &values[j]) // pointers: see Get
		}
		_ = pipe.Process(ctx, redis.NewIntCmd(ctx, args...)) // only queues
	}
	return nil
}

// Put writes entries in one round trip; see Stage.
func (c *Cache) Put(ctx context.Context, entries []Entry) error {
	pipe := c.rdb.Pipeline()
	if err := c.Stage(ctx, pipe, entries); err != nil {
		return err
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write the answer cache: %w", err)
	}
	return nil
}

// grouped are positions of one class, at most chunk of them.
type grouped struct {
	class class
	at    []int32
}

// group sorts positions 0 to n-1 by class. There are few classes.
func group(n int, of func(int) class) []grouped {
	var out []grouped
	last := -1
	for i := range n {
		c := of(i)
		if last < 0 || out[last].class != c || len(out[last].at) >= chunk {
			last = -1
			for j := range out {
				if out[j].class == c && len(out[j].at) < chunk {
					last = j
				}
			}
			if last < 0 {
				out = append(out, grouped{class: c, at: make([]int32, 0, min(n-i, chunk))})
				last = len(out) - 1
			}
		}
		out[last].at = append(out[last].at, int32(i))
	}
	return out
}
