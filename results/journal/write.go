package journal

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
)

// SettleState is what became of a write for one job.
type SettleState uint8

// The states of a write.
const (
	// OK: it is recorded, or was before.
	OK SettleState = iota
	// Refused: the job belongs to somebody else now. Drop it: no publish, no ack, no nak.
	Refused
	// Lost: Redis has lost the job, or may have. Nothing is written; Restore it
	// with everything that is known of it.
	Lost
)

// Entry is what is new of one job.
type Entry struct {
	Slot    *Slot
	Settled []results.Settled // since the last write
	Parts   []Part            // put together since the last write
	// Checked: the results stream has been asked for the job, and holds Stored. It
	// ends ClaimReply.Doubt, for whoever claims the job next, too.
	Checked bool
	Stored  results.Bitmap
}

const (
	// A script writes at most so many pages, and about so many bytes, so that Redis
	// is not held up for more than a millisecond or two.
	maxWritePages = 64
	maxWriteBytes = 1 << 20
)

// Settle records entries, at most one a job, and writes answers to the cache
// (which may be none) in the same round trip. The states are in the order of
// entries. After an error nobody knows what is recorded: call it again with the
// same entries, or Restore; a second copy does no harm. If states are returned
// along with an error, only the cache has failed. Safe in parallel with different slots.
func (j *Journal) Settle(ctx context.Context, entries []Entry, answers []cache.Entry) ([]SettleState, error) {
	w := newWriting(j, len(entries), slotProgress)
	for i := range entries {
		w.add(i, entries[i].Slot)
	}
	w.data = func(e *encoder, i int) {
		encodeEntry(e, &entries[i], entries[i].Slot.n, entries[i].Slot.page.epoch.tag)
	}
	pipe := j.rdb.Pipeline()
	var cacheErr error
	staged := 0
	if len(answers) > 0 && j.cache != nil {
		cacheErr = j.cache.Stage(ctx, pipe, answers)
		staged = pipe.Len()
	}
	cmds, err := w.run(ctx, pipe, staged)
	if err != nil {
		return nil, fmt.Errorf("settle in the journal: %w", err)
	}
	for _, cmd := range cmds {
		if cacheErr == nil && cmd.Err() != nil {
			cacheErr = fmt.Errorf("write the answer cache: %w", cmd.Err())
		}
	}
	for i := range entries {
		if w.states[i] == OK && entries[i].Checked {
			entries[i].Slot.doubt = false
		}
	}
	return w.states, cacheErr
}

// encodeEntry adds the records of one entry as slot n.
func encodeEntry(e *encoder, entry *Entry, n byte, epoch tag) {
	e.settled(n, entry.Settled)
	for _, p := range entry.Parts {
		e.part(n, p)
	}
	if entry.Checked {
		if len(entry.Stored) > 0 {
			e.stored(n, entry.Stored)
		}
		e.complete(n, epoch)
	}
}

// Done marks jobs as done, all of whose parts are stored: their logs go, and who
// claims them in the next 24 hours is told. Call it when the job's acknowledgement
// is confirmed. What belongs to somebody else is left alone. Safe in parallel with
// different slots; the slots are not to be used afterwards. After an error call it
// again, or leave it: the worst that follows is a second look at a repeated job.
func (j *Journal) Done(ctx context.Context, slots []*Slot) error {
	w := newWriting(j, len(slots), slotDone)
	for i, s := range slots {
		w.add(i, s)
	}
	if _, err := w.run(ctx, j.rdb.Pipeline(), 0); err != nil {
		return fmt.Errorf("mark jobs done in the journal: %w", err)
	}
	var lost []Entry
	var old []*Slot
	for i, s := range slots {
		if w.states[i] == Lost {
			lost = append(lost, Entry{Slot: s})
		} else if w.states[i] == OK && s.page.began != w.began[s.page.shard] {
			old = append(old, s)
		}
	}
	if err := j.renew(ctx, old); err != nil {
		return fmt.Errorf("mark jobs done in the journal: %w", err)
	}
	if _, err := j.restore(ctx, lost, true); err != nil {
		return fmt.Errorf("mark lost jobs done in the journal: %w", err)
	}
	for _, s := range slots {
		s.gone = true
	}
	return nil
}

// renew writes identities again that may be in the previous hash, so that they
// are found for a whole period from now.
func (j *Journal) renew(ctx context.Context, slots []*Slot) error {
	if len(slots) == 0 {
		return nil
	}
	_, err := j.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, s := range slots {
			p.HSetNX(ctx, s.page.shard.current, string(s.field[:]), s.where().append(nil))
		}
		return nil
	})
	return err
}

// writing is one call of Settle or Done.
type writing struct {
	j      *Journal
	state  byte // that the slots get
	data   func(e *encoder, i int)
	pages  []*pageWrite
	byPage map[*page]*pageWrite
	states []SettleState
	began  map[*shard]string // the current identities' hash
}

// pageWrite is what is written to one page.
type pageWrite struct {
	page  *page
	at    []int // positions of the entries
	slots []*Slot
	call  *call
	n     int // of the page among those of its call
}

func newWriting(j *Journal, n int, state byte) *writing {
	return &writing{
		j: j, state: state, states: make([]SettleState, n), byPage: map[*page]*pageWrite{}, began: map[*shard]string{},
	}
}

// add groups entry i into its page.
func (w *writing) add(i int, s *Slot) {
	if state := s.known(); state != OK {
		w.states[i] = state
		return
	}
	p := w.byPage[s.page]
	if p == nil {
		p = &pageWrite{page: s.page}
		w.byPage[s.page], w.pages = p, append(w.pages, p)
	}
	p.at, p.slots = append(p.at, i), append(p.slots, s)
}

// run writes all pages, with what is queued on pipe: its first staged commands
// are returned with their results. Entries refused are left out and the rest of
// their page is written in another round trip.
func (w *writing) run(ctx context.Context, pipe redis.Pipeliner, staged int) (cmds []redis.Cmder, err error) {
	if staged > 0 {
		cmds = pipe.Cmds()[:staged:staged]
	}
	for first := true; len(w.pages) > 0 || first && staged > 0; first = false {
		calls, shards := w.calls()
		if err := w.j.run(ctx, pipe, calls); err != nil {
			return nil, err
		}
		pipe = w.j.rdb.Pipeline()
		replies := make(map[*call][]any, len(calls))
		for i, c := range calls {
			reply, stale, err := c.list(shards[i])
			if err != nil {
				return nil, err
			}
			if !stale {
				if len(reply) != len(c.keys)-1 {
					return nil, errReply
				}
				w.began[shards[i]] = text(reply[0])
				replies[c] = reply
			}
		}
		w.read(replies)
	}
	return cmds, nil
}

// read sorts out the replies: what is left to write stays in w.pages.
func (w *writing) read(replies map[*call][]any) {
	var again []*pageWrite
	for _, p := range w.pages {
		reply := "L" // of another epoch
		if r, ok := replies[p.call]; ok {
			reply = text(r[1+p.n])
		}
		switch {
		case reply == "":
		case reply[0] == 'R':
			if p.drop(reply[1:], w.states) {
				again = append(again, p)
			}
		default:
			for _, i := range p.at {
				w.states[i] = Lost
			}
		}
	}
	w.pages = again
}

// drop takes the refused slots out; it reports whether there are others.
func (p *pageWrite) drop(refused string, states []SettleState) bool {
	at, slots := p.at[:0], p.slots[:0]
	for k, s := range p.slots {
		if containsByte(refused, s.n) {
			states[p.at[k]] = Refused
			continue
		}
		at, slots = append(at, p.at[k]), append(slots, s)
	}
	// A reply that names none of ours would come again for ever.
	some := len(slots) > 0 && len(slots) < len(p.slots)
	if len(slots) == len(p.slots) {
		for _, i := range p.at {
			states[i] = Refused
		}
	}
	p.at, p.slots = at, slots
	return some
}

func containsByte(s string, b byte) bool {
	for i := range len(s) {
		if s[i] == b {
			return true
		}
	}
	return false
}

// calls builds the script calls, and tells the shard of each.
func (w *writing) calls() (calls []*call, shards []*shard) {
	open := map[*shard]*call{}
	size := map[*shard]int{}
	enc, _ := w.j.pool.Get().(*encoder)
	defer w.j.pool.Put(enc)
	for _, p := range w.pages {
		s := p.page.shard
		c := open[s]
		if c == nil || len(c.keys) >= maxWritePages+2 || size[s] > maxWriteBytes {
			c = &call{
				script: &w.j.script.write, keys: []string{s.epoch, s.stamp},
				args: []any{redisdb.NewEpochID(), p.page.epoch.ID, pageLife.Milliseconds()},
			}
			open[s], size[s] = c, 0
			calls, shards = append(calls, c), append(shards, s)
		}
		var data []byte
		if w.data != nil {
			enc.reset()
			for _, i := range p.at {
				w.data(enc, i)
			}
			data = append(data, enc.bytes()...)
		}
		size[s] += len(data)
		p.call, p.n = c, len(c.keys)-2
		c.keys = append(c.keys, p.page.key)
		c.args = append(c.args, p.page.head, strconv.Itoa(int(p.page.place)), w.runs(p.slots), data)
	}
	return calls, shards
}

// runs lists slots as the new state and runs: first, length-1.
func (w *writing) runs(slots []*Slot) []byte {
	out := make([]byte, 1, 3)
	out[0] = w.state
	for _, s := range slots {
		if k := len(out) - 2; k > 0 && int(s.n) == int(out[k])+int(out[k+1])+1 {
			out[k+1]++
		} else {
			out = append(out, s.n, 0)
		}
	}
	return out
}
