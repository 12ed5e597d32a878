package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/redisdb"
)

// State is what a claim found.
type State uint8

// The states of a claim.
const (
	// StateNew: nobody has claimed the job before, as far as Redis knows.
	StateNew State = iota
	// StateKnown: somebody has; Log is what is settled. It is the caller's now.
	StateKnown
	// StatePoison is StateKnown for the MaxClaims-th time without progress: what is not
	// settled should fail, and the job is dead (crash_loop).
	StatePoison
	// StateDone: all its parts are stored; acknowledge it.
	StateDone
	// StateReused: the id belongs to a job with another body (id_reused).
	StateReused
	// StateForeign: another version of this program wrote the journal; hand the job
	// back and let it come again later.
	StateForeign
	// StateTwin: the same identity stands twice in this call, and this is not the first;
	// hand it back.
	StateTwin
	// StateBusy: the job is in the queue a second time, and the other message, number
	// ClaimReply.Other of the stream, is in charge of it. Leave this one until it
	// comes again; it will be StateDone then. Only if the other message is gone from
	// the stream, claim with ClaimRequest.Gone.
	StateBusy
)

// String is the state's word for logs and metrics.
func (s State) String() string {
	switch s {
	case StateNew:
		return "new"
	case StateKnown:
		return "known"
	case StatePoison:
		return "poison"
	case StateDone:
		return "done"
	case StateReused:
		return "reused"
	case StateForeign:
		return "foreign"
	case StateTwin:
		return "twin"
	case StateBusy:
		return "busy"
	}
	return "unknown"
}

// ClaimRequest is one job to be claimed.
type ClaimRequest struct {
	ID names.Identity
	// Digest is of the job's body: the same id with another digest is StateReused.
	Digest [16]byte
	// Items is how many items the job has, to keep pages of moderate size.
	Items int
	// Stored is when JetStream stored the job, Redelivered that it was delivered before.
	Stored      time.Time
	Redelivered bool
	// Seq is the sequence of the job's message in the stream: another message with
	// the same job does not take it over (StateBusy). 0 takes over always.
	Seq uint64
	// Gone is the sequence of a message that is known to be gone from the stream; its
	// job is taken over.
	Gone uint64
}

// ClaimReply is what became of one request.
type ClaimReply struct {
	State State
	// Slot is what later calls want; nil if the job is not the caller's (StateDone,
	// StateReused, StateForeign, StateTwin, StateBusy).
	Slot *Slot
	// Claims counts claims without progress, this one included.
	Claims int
	// Other is the stream sequence of the message in charge, with StateBusy.
	Other uint64
	Log   Log
	// Doubt: the results stream may hold more of this job than Log. Ask it (results.Stored),
	// before anything is looked up, and tell Settle with Entry.Checked what it said.
	Doubt bool
	// Epoch is the life of Redis' data that the reply is from.
	Epoch redisdb.Epoch
}

// Claim claims jobs for owner, a token made by NewOwner for this call; a call that
// failed is repeated with the same token, then nothing counts twice. The replies
// are in the order of reqs. One round trip if all jobs are new. Safe in parallel.
// The error is Redis' own, and nobody knows then what has been claimed.
func (j *Journal) Claim(ctx context.Context, owner Owner, reqs []ClaimRequest) ([]ClaimReply, error) {
	if owner == (Owner{}) {
		return nil, errors.New("claim in the journal: the zero owner")
	}
	c := newClaiming(j, owner, reqs)
	if err := retry(ctx, c.step); err != nil {
		return nil, fmt.Errorf("claim in the journal: %w", err)
	}
	return c.replies, nil
}

// claiming is one call of Claim.
type claiming struct {
	j       *Journal
	owner   Owner
	reqs    []ClaimRequest
	ids     []claimID
	replies []ClaimReply
	open    []int32 // positions still to be claimed, in order
	known   []known // and those that are claimed already, to be taken over
}

// claimID is a request's identity in Redis.
type claimID struct {
	field field
	shard int
	lost  bool // it had a slot, which is gone
}

// known is a job with an identity, and where that says it is.
type known struct {
	pos   int32
	at    place
	value string // of the identity
	busy  bool   // another message is in charge: only look
}

func newClaiming(j *Journal, owner Owner, reqs []ClaimRequest) *claiming {
	c := &claiming{
		j: j, owner: owner, reqs: reqs, ids: make([]claimID, len(reqs)),
		replies: make([]ClaimReply, len(reqs)), open: make([]int32, 0, len(reqs)),
	}
	seen := make(map[field]struct{}, len(reqs))
	for i := range reqs {
		c.ids[i].field, c.ids[i].shard = sumID(reqs[i].ID, len(j.shards))
		if _, twin := seen[c.ids[i].field]; twin {
			c.replies[i].State = StateTwin
			continue
		}
		seen[c.ids[i].field] = struct{}{}
		c.open = append(c.open, int32(i))
	}
	return c
}

// step claims what is open as new, or takes over what is known.
func (c *claiming) step(ctx context.Context) (again bool, err error) {
	if len(c.open) > 0 {
		err = c.claimNew(ctx)
	} else {
		err = c.takeOver(ctx)
	}
	return len(c.open)+len(c.known) > 0, err
}

// claimNew tries to claim everything open as new.
func (c *claiming) claimNew(ctx context.Context) error {
	groups := c.pages()
	calls := make([]*call, len(groups))
	for i, g := range groups {
		calls[i] = c.claimCall(g)
	}
	if err := c.j.run(ctx, c.j.rdb.Pipeline(), calls); err != nil {
		return err
	}
	c.open = c.open[:0]
	for i, g := range groups {
		reply, stale, err := calls[i].list(g.page.shard)
		if err != nil {
			return err
		}
		if stale {
			c.open = append(c.open, g.pos...)
		} else if err := c.claimed(g, reply); err != nil {
			return err
		}
	}
	return nil
}

// newPage is a page to be made and the requests it is for.
type newPage struct {
	page  *page
	pos   []int32
	slots []newSlot
	items int
}

// pages groups what is open into pages.
func (c *claiming) pages() []*newPage {
	var all []*newPage
	open := make([]*newPage, len(c.j.shards)) // by shard
	for _, i := range c.open {
		n := c.ids[i].shard
		g := open[n]
		items := max(c.reqs[i].Items, 1)
		if g == nil || len(g.pos) == maxSlots || g.items+items > maxPageItems {
			s := &c.j.shards[n]
			g = &newPage{page: s.newPage()}
			g.page.owner, g.page.epoch = c.owner, s.now.Load()
			open[n], all = g, append(all, g)
		}
		g.items += items
		g.pos = append(g.pos, i)
		g.slots = append(g.slots, newSlot{
			claims: 1, doubt: c.ids[i].lost || doubtful(&c.reqs[i], g.page.epoch),
		})
	}
	return all
}

// doubtful tells whether a job that Redis does not know may yet have been worked on.
func doubtful(r *ClaimRequest, e *epoch) bool {
	return r.Redelivered || r.Stored.Before(e.Created.Add(epochSkew))
}

// claimCall builds the script call for one page.
func (c *claiming) claimCall(g *newPage) *call {
	s, p := g.page.shard, g.page
	n := len(g.pos)
	page := string(appendPage(nil, p.epoch.tag, c.owner, g.slots))
	p.head = page[:headSize+len(c.owner)]
	// The identities and places of all jobs lie in one string.
	buf := make([]byte, 0, n*(fieldSize+placeSize))
	for slot, i := range g.pos {
		buf = append(buf, c.ids[i].field[:]...)
		buf = place{page: p.id, slot: byte(slot), digest: bodyDigest(&c.reqs[i]), seq: c.reqs[i].Seq}.append(buf)
	}
	all := string(buf)
	texts := make([]string, 2*n)
	args := make([]any, 0, 5+2*n)
	args = append(args, redisdb.NewEpochID(), p.epoch.ID, period.Milliseconds(), pageLife.Milliseconds(), page)
	for k := range n {
		texts[2*k], all = all[:fieldSize], all[fieldSize:]
		texts[2*k+1], all = all[:placeSize], all[placeSize:]
		// Pointers, for a string in an interface would be one more allocation.
		args = append(args, &texts[2*k], &texts[2*k+1])
	}
	return &call{script: &c.j.script.claim, keys: []string{s.epoch, s.stamp, s.current, s.previous, p.key}, args: args}
}

func bodyDigest(r *ClaimRequest) [digestSize]byte { return [digestSize]byte(r.Digest[:digestSize]) }

// claimed reads the reply for one page: which of its jobs were known.
func (c *claiming) claimed(g *newPage, reply []any) error {
	if len(reply)%2 != 1 {
		return errReply
	}
	g.page.began = text(reply[0])
	isKnown := make([]bool, len(g.pos))
	for r := 1; r < len(reply); r += 2 {
		slot := number(reply[r]) - 1
		if slot < 0 || slot >= len(g.pos) {
			return errReply
		}
		isKnown[slot] = true
		c.found(g.pos[slot], text(reply[r+1]))
	}
	slots := make([]Slot, len(g.pos))
	for slot, i := range g.pos {
		if isKnown[slot] {
			continue
		}
		slots[slot] = Slot{
			page: g.page, n: byte(slot), claims: 1, doubt: g.slots[slot].doubt,
			field: c.ids[i].field, digest: bodyDigest(&c.reqs[i]), seq: c.reqs[i].Seq,
		}
		c.replies[i] = ClaimReply{
			State: StateNew, Slot: &slots[slot], Claims: 1, Doubt: g.slots[slot].doubt, Epoch: g.page.epoch.Epoch,
		}
	}
	return nil
}

// found looks at the identity of a known job.
func (c *claiming) found(i int32, value string) {
	at, err := parsePlace(value)
	switch {
	case err != nil:
		c.replies[i].State = StateForeign
	case at.digest != bodyDigest(&c.reqs[i]):
		c.replies[i].State = StateReused
	default:
		seq := c.reqs[i].Seq
		busy := seq != 0 && at.seq != 0 && at.seq != seq && at.seq != c.reqs[i].Gone
		c.known = append(c.known, known{pos: i, at: at, value: value, busy: busy})
	}
}
