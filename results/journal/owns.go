package journal

import (
	"context"
	"fmt"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// Owns tells for each slot whether its job still belongs to the caller: OK,
// Refused (drop it) or Lost (Restore it, which tells). It is the re-claim of a
// worker that was away for too long, before it publishes anything. It also renews
// the job's identity, which is found for one to two days: whoever holds a job for
// hours without a word asks now and then. Safe in parallel. The error is Redis'
// own, and nobody knows then.
func (j *Journal) Owns(ctx context.Context, slots []*Slot) ([]SettleState, error) {
	states := make([]SettleState, len(slots))
	asks := j.asks(slots, states)
	calls := make([]*call, len(asks))
	for i, a := range asks {
		calls[i] = a.call
	}
	if err := j.run(ctx, j.rdb.Pipeline(), calls); err != nil {
		return nil, fmt.Errorf("ask the journal who owns jobs: %w", err)
	}
	for _, a := range asks {
		reply, stale, err := a.call.list(a.shard)
		if err == nil && !stale && len(reply) != len(a.at) {
			err = errReply
		}
		if err != nil {
			return nil, fmt.Errorf("ask the journal who owns jobs: %w", err)
		}
		for k, i := range a.at {
			states[i] = Lost
			if !stale {
				states[i] = ownership(number(reply[k]))
			}
		}
	}
	return states, nil
}

// ownership reads one number of the reply.
func ownership(n int) SettleState {
	switch n {
	case 0:
		return OK
	case 1:
		return Refused
	}
	return Lost
}

// ask is one script call of Owns: slots of one shard and owner.
type ask struct {
	shard *shard
	call  *call
	at    []int
	pages map[string]int
}

// asks groups the slots into calls; those of another epoch are Lost at once.
func (j *Journal) asks(slots []*Slot, states []SettleState) []*ask {
	type group struct {
		shard *shard
		owner Owner
	}
	var all []*ask
	open := map[group]*ask{}
	for i, s := range slots {
		p := s.page
		if states[i] = s.known(); states[i] != OK {
			continue
		}
		g := group{shard: p.shard, owner: p.owner}
		a := open[g]
		if a == nil || len(a.at) == maxSlots {
			a = &ask{shard: p.shard, pages: map[string]int{}, call: &call{
				script: &j.script.owns, keys: []string{p.shard.epoch, p.shard.current, p.shard.previous},
				args: []any{redisdb.NewEpochID(), p.epoch.ID, p.owner[:], pageLife.Milliseconds()},
			}}
			open[g], all = a, append(all, a)
		}
		if a.pages[p.key] == 0 {
			a.call.keys = append(a.call.keys, p.key)
			a.pages[p.key] = len(a.call.keys) - 3
		}
		a.at = append(a.at, i)
		a.call.args = append(a.call.args, s.field[:], s.where().append(nil), a.pages[p.key])
	}
	return all
}
