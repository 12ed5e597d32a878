package budget

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// One script an operation; lua/lib.lua tells what lies under which key.
var (
	//go:embed lua/lib.lua
	libLua string
	//go:embed lua/reserve.lua
	reserveLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/seed.lua
	seedLua string
)

// scripts are those of a ledger.
type scripts struct{ reserve, settle, seed *redis.Script }

// newScripts puts the shared parts in front of each script.
func newScripts() scripts {
	build := func(body string) *redis.Script { return redis.NewScript(redisdb.EpochLua + libLua + body) }
	return scripts{reserve: build(reserveLua), settle: build(settleLua), seed: build(seedLua)}
}

// answer is what a script returned, read in order; the first field that is not what
// it should be spoils all.
type answer struct {
	fields []any
	err    error
}

// run makes one trip, with the wire held. An error means that it is not known whether
// the script ran.
func (l *Ledger) run(ctx context.Context, s *redis.Script, ids []string, args ...any) *answer {
	ctx, cancel := context.WithTimeout(ctx, longestTrip)
	defer cancel()
	args = append([]any{redisdb.NewEpochID(), l.epoch}, args...)
	fields, err := s.Run(ctx, l.rdb, l.names(ids), args...).Slice()
	if err != nil {
		return &answer{err: fmt.Errorf("budgets in Redis: %w", err)}
	}
	return &answer{fields: fields}
}

// next takes one field.
func (a *answer) next() any {
	if len(a.fields) == 0 {
		if a.err == nil {
			a.err = errors.New("budgets in Redis: answer is too short")
		}
		return nil
	}
	v := a.fields[0]
	a.fields = a.fields[1:]
	return v
}

// text takes a string.
func (a *answer) text() string {
	v := a.next()
	s, ok := v.(string)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("budgets in Redis: %T in the answer, want a string", v)
	}
	return s
}

// number takes an integer, which scripts return as text: Lua's own are cut off.
func (a *answer) number() int64 {
	v := a.next()
	if n, ok := v.(int64); ok {
		return n
	}
	s, _ := v.(string)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("budgets in Redis: %T in the answer, want a number", v)
	}
	return n
}
