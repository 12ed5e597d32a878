package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// Restore puts jobs back that a write has reported as Lost, with everything that
// their holder knows of them: all settled results not yet known to be stored, all
// parts, and what was stored before. Only if nobody else has claimed them since
// (else Refused). It moves the slots to new pages. Not to be called twice in
// parallel for one slot; after an error call it again.
func (j *Journal) Restore(ctx context.Context, entries []Entry) ([]SettleState, error) {
	states, err := j.restore(ctx, entries, false)
	if err != nil {
		return nil, fmt.Errorf("restore the journal: %w", err)
	}
	return states, nil
}

// restoring is one call of restore.
type restoring struct {
	j       *Journal
	entries []Entry
	closed  bool // as done: the new pages have no log
	states  []SettleState
	from    []place // where the jobs were
	tried   []bool  // a second place, too
	open    []int   // positions not yet written
}

// restore puts entries back; done: as jobs that are done.
func (j *Journal) restore(ctx context.Context, entries []Entry, done bool) ([]SettleState, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	r := &restoring{
		j: j, entries: entries, closed: done, states: make([]SettleState, len(entries)), tried: make([]bool, len(entries)),
	}
	for i := range entries {
		s := entries[i].Slot
		r.from = append(r.from, s.where())
		if s.gone && !done {
			r.states[i] = Refused
			continue
		}
		s.moving = true
		r.open = append(r.open, i)
	}
	if err := retry(ctx, r.step); err != nil {
		return nil, err
	}
	return r.states, nil
}

// restorePage is a new page with the entries that go there.
type restorePage struct {
	page  *page
	at    []int
	slots []newSlot
	size  int
	old   []string // keys of the pages they come from
	olds  map[string]int
}

func (r *restoring) step(ctx context.Context) (again bool, err error) {
	pages := r.pages()
	calls := make([]*call, len(pages))
	for i, p := range pages {
		calls[i] = r.call(p)
	}
	if err := r.j.run(ctx, r.j.rdb.Pipeline(), calls); err != nil {
		return false, err
	}
	r.open = r.open[:0]
	for i, p := range pages {
		reply, stale, err := calls[i].list(p.page.shard)
		if err != nil {
			return false, err
		}
		if stale {
			r.open = append(r.open, p.at...)
		} else if err := r.read(p, reply); err != nil {
			return false, err
		}
	}
	return len(r.open) > 0, nil
}

// pages groups what is open into new pages: of one shard and one old owner, for
// the script compares one token.
func (r *restoring) pages() []*restorePage {
	type group struct {
		shard *shard
		owner Owner
	}
	var all []*restorePage
	open := map[group]*restorePage{}
	for _, i := range r.open {
		s := r.entries[i].Slot
		g := group{shard: s.page.shard, owner: s.page.owner}
		p := open[g]
		items := max(len(r.entries[i].Settled), 1)
		if p == nil || len(p.at) == maxSlots || p.size+items > maxPageItems {
			p = &restorePage{page: g.shard.newPage(), olds: map[string]int{}}
			p.page.owner, p.page.epoch = g.owner, g.shard.now.Load()
			open[g], all = p, append(all, p)
		}
		p.size += items
		p.at = append(p.at, i)
		p.slots = append(p.slots, newSlot{claims: s.claims, doubt: s.doubt && !r.entries[i].Checked})
		if key := g.shard.pageKey(r.from[i].page); p.olds[key] == 0 {
			p.old = append(p.old, key)
			p.olds[key] = len(p.old)
		}
	}
	return all
}

func (r *restoring) call(p *restorePage) *call {
	s, e := p.page.shard, p.page.epoch
	page := appendPage(nil, e.tag, p.page.owner, p.slots)
	p.page.head = string(page[:headSize+len(p.page.owner)])
	if r.closed {
		page = appendClosed(nil, e.tag)
	}
	keys := append([]string{s.epoch, s.stamp, s.current, s.previous, p.page.key}, p.old...)
	args := []any{redisdb.NewEpochID(), e.ID, period.Milliseconds(), pageLife.Milliseconds(), p.page.owner[:], page}
	enc, _ := r.j.pool.Get().(*encoder)
	defer r.j.pool.Put(enc)
	for slot, i := range p.at {
		old := r.entries[i].Slot
		var log []byte
		if !r.closed {
			enc.reset()
			encodeEntry(enc, &r.entries[i], byte(slot), e.tag)
			log = append(log, enc.bytes()...)
		}
		goes := place{page: p.page.id, slot: byte(slot), digest: old.digest, seq: old.seq}
		from := r.from[i]
		args = append(args, old.field[:], goes.append(nil), from.append(nil), p.olds[s.pageKey(from.page)], log)
	}
	return &call{script: &r.j.script.restore, keys: keys, args: args}
}

// read notes who was refused, and moves the other slots.
func (r *restoring) read(p *restorePage, reply []any) error {
	if len(reply)%2 != 1 {
		return errReply
	}
	p.page.began = text(reply[0])
	refused := make([]bool, len(p.at))
	for k := 1; k < len(reply); k += 2 {
		slot := number(reply[k]) - 1
		if slot < 0 || slot >= len(p.at) {
			return errReply
		}
		refused[slot] = true
		r.refused(p.at[slot], text(reply[k+1]))
	}
	for slot, i := range p.at {
		if !refused[slot] {
			s := r.entries[i].Slot
			s.page, s.n, s.doubt, s.moving = p.page, byte(slot), p.slots[slot].doubt, false
		}
	}
	return nil
}

// refused decides about an entry whose job is somewhere else than it was: it may
// be where an earlier call, whose reply was lost, has put it.
func (r *restoring) refused(i int, where string) {
	at, err := parsePlace(where)
	if err != nil || r.tried[i] || at == r.from[i] {
		r.states[i] = Refused
		return
	}
	r.tried[i], r.from[i] = true, at
	r.open = append(r.open, i)
}

// HandBack gives claimed jobs up undone: their claim does not count as one
// without progress, and whoever claims them next finds what is settled. For a
// clean stop, before the job is handed back to JetStream. The slots are not to be
// used afterwards. Safe in parallel with different slots. After an error call it
// again or leave it; then the claim counts.
func (j *Journal) HandBack(ctx context.Context, slots []*Slot) error {
	for _, s := range slots {
		s.gone = true
	}
	byPage := map[*page]*[]byte{}
	byShard := map[*shard]*call{}
	var calls []*call
	for _, s := range slots {
		list := byPage[s.page]
		if list == nil {
			list = new([]byte)
			byPage[s.page] = list
			c := byShard[s.page.shard]
			if c == nil || len(c.keys) == maxWritePages {
				c = &call{script: &j.script.handBack}
				byShard[s.page.shard], calls = c, append(calls, c)
			}
			c.keys = append(c.keys, s.page.key)
			c.args = append(c.args, s.page.owner[:], list)
		}
		*list = append(*list, s.n)
	}
	for _, c := range calls {
		for i := 1; i < len(c.args); i += 2 {
			list, ok := c.args[i].(*[]byte)
			if !ok {
				return errors.New("hand back in the journal: slots are missing")
			}
			c.args[i] = *list
		}
	}
	if err := j.run(ctx, j.rdb.Pipeline(), calls); err != nil {
		return fmt.Errorf("hand back in the journal: %w", err)
	}
	return nil
}
