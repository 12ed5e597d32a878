package journal

import (
	"context"
	_ "embed"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// The scripts; each says what goes in and what comes out.
var (
	//go:embed lua/common.lua
	commonLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/reclaim.lua
	reclaimLua string
	//go:embed lua/write.lua
	writeLua string
	//go:embed lua/restore.lua
	restoreLua string
	//go:embed lua/handback.lua
	handBackLua string
	//go:embed lua/owns.lua
	ownsLua string
	//go:embed lua/forget.lua
	forgetLua string
)

// script is a script and what Redis knows it by.
type script struct{ source, hash string }

func newScript(source string) script {
	return script{source: source, hash: redis.NewScript(source).Hash()}
}

// scripts are the journal's.
type scripts struct {
	claim, reclaim, write, restore, handBack, owns, forget script
}

func newScripts() scripts {
	shared := redisdb.EpochLua + "\n" + commonLua + "\n"
	return scripts{
		claim: newScript(shared + claimLua), reclaim: newScript(shared + reclaimLua),
		write: newScript(shared + writeLua), restore: newScript(shared + restoreLua),
		handBack: newScript(shared + handBackLua), owns: newScript(shared + ownsLua),
		forget: newScript(forgetLua),
	}
}

// errReply says that Redis answered what no script of ours answers.
var errReply = errors.New("unexpected reply of a script (is another version's script loaded under its hash?)")

// call is one run of a script.
type call struct {
	script *script
	keys   []string
	args   []any
	cmd    *redis.Cmd
}

// run runs all calls, and what else is queued on pipe, in one round trip; one
// more if Redis does not know a script yet. The error is that of a call; those of
// the other commands are left to the caller.
func (j *Journal) run(ctx context.Context, pipe redis.Pipeliner, calls []*call) error {
	for _, c := range calls {
		c.queue(ctx, pipe, "evalsha", c.script.hash)
	}
	_, _ = pipe.Exec(ctx) // its error is that of one of the commands
	var again []*call
	for _, c := range calls {
		if err := c.cmd.Err(); redis.HasErrorPrefix(err, "NOSCRIPT") {
			again = append(again, c)
		} else if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	if len(again) == 0 {
		return nil
	}
	// With its text instead of its hash, which Redis then remembers.
	pipe = j.rdb.Pipeline()
	for _, c := range again {
		c.queue(ctx, pipe, "eval", c.script.source)
	}
	_, err := pipe.Exec(ctx)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return err
}

// queue puts the command on the pipe.
func (c *call) queue(ctx context.Context, pipe redis.Pipeliner, verb, script string) {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	args = append(args, verb, script, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	args = append(args, c.args...)
	c.cmd = redis.NewCmd(ctx, args...)
	_ = pipe.Process(ctx, c.cmd) // only queues
}

// list returns the reply as a list, and tells whether it says that the epoch is
// another one; then it has been noted and the call has done nothing.
func (c *call) list(s *shard) (reply []any, stale bool, err error) {
	reply, err = c.cmd.Slice()
	if err != nil {
		return nil, false, err
	}
	if len(reply) > 0 && text(reply[0]) == "E" {
		return nil, true, s.sawEpoch(reply)
	}
	return reply, false, nil
}

// text is a reply's text, "" if it is none.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// number is a reply's number, -1 if it is none.
func number(v any) int {
	n, ok := v.(int64)
	if !ok {
		return -1
	}
	return int(n)
}
