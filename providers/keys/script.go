package keys

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// One script an operation; lua/lib.lua tells what lies under which key.
var (
	//go:embed lua/lib.lua
	libLua string
	//go:embed lua/acquire.lua
	acquireLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/status.lua
	statusLua string
	//go:embed lua/review.lua
	reviewLua string
	//go:embed lua/balance.lua
	balanceLua string
)

// script is one Lua script with its digest.
type script struct {
	text string
	sha  string
	// known is whether this Redis has been given the text.
	known atomic.Bool
}

// scripts are those of a pool.
type scripts struct{ acquire, settle, renew, status, review, balance *script }

// newScripts puts the shared parts in front of each script.
func newScripts() scripts {
	build := func(body string) *script {
		text := redisdb.EpochLua + libLua + body
		return &script{text: text, sha: redis.NewScript(text).Hash()}
	}
	return scripts{
		acquire: build(acquireLua), settle: build(settleLua),
		renew: build(renewLua), status: build(statusLua),
		review: build(reviewLua), balance: build(balanceLua),
	}
}

// call is one script with its arguments.
type call struct {
	script *script
	args   []any
}

// roundTrip sends calls in one pipeline, to be done in order, and returns the
// reply of the last. An error means that it is not known which of them were done.
func (p *Pool) roundTrip(ctx context.Context, calls ...call) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opTimeout)
	defer cancel()
	pipe := p.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		// The text goes along until Redis knows it: were only the digest of the
		// first call unknown, the second would be done before it.
		if c.script.known.Load() {
			cmds[i] = pipe.EvalSha(ctx, c.script.sha, p.names, c.args...)
		} else {
			cmds[i] = pipe.Eval(ctx, c.script.text, p.names, c.args...)
		}
	}
	_, _ = pipe.Exec(ctx) // each command holds its own error
	var last any
	for i, c := range calls {
		v, err := p.result(ctx, c, cmds[i])
		if err != nil {
			return nil, fmt.Errorf("permits in Redis: %w", err)
		}
		last = v
	}
	return last, nil
}

// result is the reply to c. A server that was restarted knows no digest of all
// the calls in the pipeline; they are repeated with their texts, in order.
func (p *Pool) result(ctx context.Context, c call, cmd *redis.Cmd) (any, error) {
	v, err := cmd.Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		v, err = p.rdb.Eval(ctx, c.script.text, p.names, c.args...).Result()
	}
	c.script.known.Store(err == nil)
	return v, err
}

// reply reads the fields of a script's answer in order; the first that is not
// what it should be spoils all.
type reply struct {
	fields []any
	err    error
}

// newReply takes the array that a script returned.
func newReply(v any) *reply {
	fields, ok := v.([]any)
	if !ok {
		return &reply{err: fmt.Errorf("permits in Redis: unexpected answer %T", v)}
	}
	return &reply{fields: fields}
}

// next takes one field.
func (r *reply) next() any {
	if len(r.fields) == 0 {
		if r.err == nil {
			r.err = errors.New("permits in Redis: answer is too short")
		}
		return nil
	}
	v := r.fields[0]
	r.fields = r.fields[1:]
	return v
}

// text takes a string.
func (r *reply) text() string {
	v := r.next()
	s, ok := v.(string)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("permits in Redis: %T in the answer, want a string", v)
	}
	return s
}

// number takes an integer.
func (r *reply) number() int64 {
	v := r.next()
	n, ok := v.(int64)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("permits in Redis: %T in the answer, want a number", v)
	}
	return n
}
