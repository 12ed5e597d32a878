package confirm

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// kind separates acks from publishes: they are answered at different speeds.
type kind uint8

const (
	kindAck kind = iota
	kindPublish
	kinds = 2
)

// entry is one message that is sent and not yet answered. Fields above the line
// are set before it is in the table and only read then; those below it are
// guarded by Confirmer.mu.
type entry struct {
	kind      kind
	slot, gen uint32
	subject   string
	reply     string
	msg       nats.Msg // publishes only
	acked     func(error)
	published func(*jetstream.PubAck, error)
	sent      int64 // when it was sent first; all times are Confirmer.now
	deadline  int64 // when to give up; 0: never

	due     int64         // when to send again
	wait    time.Duration // the wait that ends at due
	strayed bool          // refused, or sent over a connection that was lost: its time to the reply says nothing
	refusal string        // what the newest "not now" said
}

// table finds the entry of a reply by its token, slot and generation, without
// hashing. The generation makes a late second reply miss. Guarded by Confirmer.mu.
type table struct {
	slots []*entry
	gens  []uint32
	free  []uint32
	count [kinds]int
}

const tokenBase = 36

// add stores e and returns the reply subject: inbox and the token of e.
func (t *table) add(e *entry, inbox string) string {
	if n := len(t.free); n > 0 {
		e.slot = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		e.slot = uint32(len(t.slots))
		t.slots = append(t.slots, nil)
		t.gens = append(t.gens, 0)
	}
	t.gens[e.slot]++
	e.gen = t.gens[e.slot]
	t.slots[e.slot] = e
	t.count[e.kind]++
	var buf [96]byte
	return string(strconv.AppendUint(append(buf[:0], inbox...), uint64(e.gen)<<32|uint64(e.slot), tokenBase))
}

// find returns the entry whose replies bear token, or nil.
func (t *table) find(token string) *entry {
	id, err := strconv.ParseUint(token, tokenBase, 64)
	if err != nil {
		return nil
	}
	slot, gen := id&(1<<32-1), uint32(id>>32)
	if slot >= uint64(len(t.slots)) {
		return nil
	}
	if e := t.slots[slot]; e != nil && e.gen == gen {
		return e
	}
	return nil
}

// remove takes e out; false if it is not there any more.
func (t *table) remove(e *entry) bool {
	if t.slots[e.slot] != e {
		return false
	}
	t.slots[e.slot] = nil
	t.free = append(t.free, e.slot)
	t.count[e.kind]--
	return true
}

// drain empties the table.
func (t *table) drain() []*entry {
	var rest []*entry
	for _, e := range t.slots {
		if e != nil && t.remove(e) {
			rest = append(rest, e)
		}
	}
	return rest
}

// pace is how fast replies of one kind come, so that a server which is slow but
// answering (it syncs each message, or has thousands queued) is not sent
// everything twice. Guarded by Confirmer.mu.
type pace struct {
	// Longest times to a reply in this period and the one before. Not an average:
	// acks of many consumers are answered consumer by consumer, in bursts.
	slowest, before time.Duration
	period          int64 // when this one began
	newest          int64 // when the latest of those answered was sent
	replied         int64 // when the last reply came
}

const pacePeriod = 2 * time.Second

// sample adds the time from the first send to the reply. Of a message sent more
// than once it is not known which copy was answered; leaving those out, as TCP
// does, would never learn that a server is slow once everything is sent twice.
func (p *pace) sample(sent, now int64) {
	p.newest, p.replied = max(p.newest, sent), now
	if now-p.period >= int64(pacePeriod) {
		p.before, p.slowest, p.period = p.slowest, 0, now
	}
	p.slowest = max(p.slowest, time.Duration(now-sent))
}

// lost tells whether the reply to e must be given up. It is due and has waited
// for twice as long as others had to; and either the server is silent altogether,
// or messages sent well after e have been answered.
func (p *pace) lost(e *entry, now int64, o Options) bool {
	switch {
	case now < e.due:
		return false
	case e.refusal != "": // this one was answered: come again later
		return true
	}
	patience := int64(min(max(2*max(p.slowest, p.before), o.Resend), o.MaxResend))
	return now-e.sent >= patience && (now-p.replied >= patience || p.newest-e.sent >= int64(o.Resend))
}
