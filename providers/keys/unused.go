package keys

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
)

//go:embed lua/unused.lua
var unusedLua string

// DeclareUnused tells an empty Redis that no permit of a key of these types (of
// Config.Type) was ever granted, there or elsewhere: the first pools need not wait
// for a Lease, nor for the windows of their rates. What is lost later is guarded as
// ever. A Redis that knows the type already is left as it is.
//
// Only who has just created what the fleet keeps may say so, before there is a pool:
// an empty Redis looks the same after it lost everything.
func DeclareUnused(ctx context.Context, rdb redis.UniversalClient, types ...string) error {
	script := redis.NewScript(redisdb.EpochLua + unusedLua)
	for _, typ := range types {
		if err := script.Run(ctx, rdb, []string{epochKey(typ)}, redisdb.NewEpochID()).Err(); err != nil {
			return fmt.Errorf("declare keys of type %s unused: %w", typ, err)
		}
	}
	return nil
}
