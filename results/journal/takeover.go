package journal

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// oldPage is a page that known jobs of a claim are in.
type oldPage struct {
	shard int
	id    [pageIDSize]byte
	jobs  []known
}

// takeOver takes the known jobs over from whoever had them, page by page.
func (c *claiming) takeOver(ctx context.Context) error {
	shards := c.knownPages()
	calls := make([]*call, len(shards))
	for n, pages := range shards {
		if len(pages) > 0 {
			calls[n] = c.takeOverCall(&c.j.shards[n], pages)
		}
	}
	if err := c.j.run(ctx, c.j.rdb.Pipeline(), slices.DeleteFunc(slices.Clone(calls), isNil)); err != nil {
		return err
	}
	again := c.known
	c.known = nil
	var lost []known
	for n, pages := range shards {
		if len(pages) == 0 {
			continue
		}
		reply, stale, err := calls[n].list(&c.j.shards[n])
		if err != nil {
			return err
		}
		if stale { // what they point to may be gone or come back stale: look anew
			for _, k := range again {
				if c.ids[k.pos].shard == n {
					c.open = append(c.open, k.pos)
				}
			}
			continue
		}
		if len(reply) != len(pages) {
			return errReply
		}
		for i, p := range pages {
			lost = append(lost, c.tookOver(p, text(reply[i]))...)
		}
	}
	return c.forget(ctx, lost)
}

func isNil(c *call) bool { return c == nil }

// knownPages groups the known jobs by shard and page.
func (c *claiming) knownPages() [][]*oldPage {
	out := make([][]*oldPage, len(c.j.shards))
	pages := map[[pageIDSize]byte]*oldPage{}
	for _, k := range c.known {
		p := pages[k.at.page]
		if p == nil {
			p = &oldPage{shard: c.ids[k.pos].shard, id: k.at.page}
			pages[k.at.page] = p
			out[p.shard] = append(out[p.shard], p)
		}
		p.jobs = append(p.jobs, k)
	}
	return out
}

func (c *claiming) takeOverCall(s *shard, pages []*oldPage) *call {
	keys := []string{s.epoch}
	args := []any{redisdb.NewEpochID(), s.now.Load().ID, c.owner[:], pageLife.Milliseconds()}
	for _, p := range pages {
		keys = append(keys, s.pageKey(p.id))
		slots := make([]byte, 0, len(p.jobs))
		for _, k := range p.jobs {
			if !k.busy {
				slots = append(slots, k.at.slot)
			}
		}
		args = append(args, slots)
	}
	return &call{script: &c.j.script.reclaim, keys: keys, args: args}
}

// tookOver fills in the replies for the jobs of one page, whose value is given;
// it returns those whose slot is lost.
func (c *claiming) tookOver(p *oldPage, value string) (lost []known) {
	s := &c.j.shards[p.shard]
	if value == "" {
		return p.jobs
	}
	view, err := parsePage(value)
	var logs map[byte]*slotLog
	e := s.now.Load()
	if err == nil && !view.closed {
		logs, err = readLog([]byte(view.log), e.tag)
	}
	if errors.Is(err, errVersion) { // in no case to be taken for absent
		for _, k := range p.jobs {
			c.replies[k.pos] = ClaimReply{State: StateForeign, Epoch: e.Epoch}
		}
		return nil
	}
	if err != nil {
		// Broken, and will not mend: better to pay again than to come again for ever.
		// Whoever had the jobs has just lost them.
		return p.jobs
	}
	mine := &page{shard: s, id: p.id, key: s.pageKey(p.id), head: view.head, owner: c.owner, epoch: e}
	for _, k := range p.jobs {
		if !c.tookSlot(k, &view, mine, logs[k.at.slot]) {
			lost = append(lost, k)
		}
	}
	return lost
}

// tookSlot fills in the reply for one job; false if its slot is not there.
func (c *claiming) tookSlot(k known, view *pageView, mine *page, log *slotLog) bool {
	reply := &c.replies[k.pos]
	*reply = ClaimReply{Epoch: mine.epoch.Epoch}
	state := view.state(k.at.slot)
	switch {
	case state == slotDone:
		reply.State = StateDone
		return true
	case state == slotUnused:
		return false
	case k.busy:
		reply.State, reply.Other = StateBusy, k.at.seq
		return true
	}
	n := int(k.at.slot)
	place, ok := view.placeOf(c.owner)
	if !ok || view.owners[n] != place {
		return false
	}
	mine.place = place
	if log == nil {
		log = &slotLog{}
	}
	claims := view.claims[n] &^ doubtBit
	reply.Log, reply.Claims = log.Log, int(claims)
	reply.Doubt = !log.complete && (view.claims[n]&doubtBit != 0 || view.epoch != mine.epoch.tag)
	reply.Slot = &Slot{
		page: mine, n: k.at.slot, claims: claims, doubt: reply.Doubt,
		field: c.ids[k.pos].field, digest: k.at.digest, seq: k.at.seq,
	}
	reply.State = StateKnown
	switch {
	case claims >= MaxClaims:
		reply.State = StatePoison
	case claims == 1 && state == slotClaimed && len(log.Settled)+len(log.Parts)+len(log.Stored) == 0:
		// Claimed by an earlier copy of this call, or handed back untouched.
		reply.State = StateNew
	}
	return true
}

// forget removes the identities of jobs whose slot is lost; they are open again.
func (c *claiming) forget(ctx context.Context, lost []known) error {
	if len(lost) == 0 {
		return nil
	}
	var calls []*call
	byShard := map[int]*call{}
	for _, k := range lost {
		n := c.ids[k.pos].shard
		cl := byShard[n]
		if cl == nil {
			s := &c.j.shards[n]
			cl = &call{script: &c.j.script.forget, keys: []string{s.current, s.previous}}
			byShard[n], calls = cl, append(calls, cl)
		}
		cl.args = append(cl.args, c.ids[k.pos].field[:], k.value)
		c.replies[k.pos] = ClaimReply{}
		c.ids[k.pos].lost = true
		c.open = append(c.open, k.pos)
	}
	slices.SortFunc(c.open, cmp.Compare[int32])
	return c.j.run(ctx, c.j.rdb.Pipeline(), calls)
}
