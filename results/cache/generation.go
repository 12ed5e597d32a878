package cache

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed rotate.lua
var rotateLua string

// clusterShards is how many hash slots the fields are spread over in a Redis
// Cluster: enough to use every node, few enough that a batch still fills them.
const clusterShards = 16

// class is what shares a hash: fields of one time to live, in one shard.
type class struct {
	ttl   time.Duration
	shard byte
}

// generations knows the names of the hashes and turns them when it is time. A
// turn may come late or twice: readers look at the answer's own time.
type generations struct {
	rdb    redis.UniversalClient
	prefix string
	script *redis.Script

	mu   sync.Mutex
	next map[class]time.Time // when to ask Redis for a turn; few entries: one a TTL and shard
}

// names are the keys of a class: current, previous, stamp.
func (g *generations) names(c class) [3]string {
	base := g.prefix + ":{c" + strconv.FormatInt(int64(c.ttl/time.Second), 10) + "-" + strconv.Itoa(int(c.shard)) + "}:"
	return [3]string{base + "0", base + "1", base + "t"}
}

// turn makes sure that c's hashes are those of now, as far as this process can
// tell without asking: nearly always it does nothing.
func (g *generations) turn(ctx context.Context, c class) error {
	now := time.Now()
	g.mu.Lock()
	due := !now.Before(g.next[c])
	if due {
		// Others go on while this one asks; if asking fails, so will they.
		g.next[c] = now.Add(time.Second)
	}
	g.mu.Unlock()
	if !due {
		return nil
	}
	keys := g.names(c)
	left, err := g.script.Run(ctx, g.rdb, keys[:], c.ttl.Milliseconds()).Int64()
	if err != nil {
		return fmt.Errorf("turn the answer cache of %s: %w", c.ttl, err)
	}
	wait := min(time.Duration(left)*time.Millisecond, c.ttl/8)
	g.mu.Lock()
	g.next[c] = now.Add(max(wait, time.Second))
	g.mu.Unlock()
	return nil
}
