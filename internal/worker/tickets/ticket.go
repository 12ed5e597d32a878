package tickets

import (
	"slices"
	"time"
	"unique"

	"github.com/lookupq/lookupq/providers"
)

// ticket is what is kept in memory of one. Guarded by Desk.mu, except for the
// first block, which never changes.
type ticket struct {
	id      string
	key     string
	created time.Time
	token   [32]byte // hash of the callback token
	raw     bool
	numbers []uint64
	groupOf []uint16 // nil: all of scopes[0]
	scopes  []scope

	// As stored, as far as known:
	owner    string
	state    state
	final    []final
	revision uint64 // of the status; 0: there is none
	round    uint64 // of the reading in which it was last seen

	// want is the state to be stored; noState if there is nothing to store.
	want    state
	fresh   bool // final is not stored yet
	writing bool // a write is on its way
	calling bool // Submit is running here

	answered bitset
	open     int // numbers counted in index.outstanding

	// Of tickets of this worker:
	since     time.Time // when it became this worker's, or was closed
	moved     bool      // it was another worker's at some time
	served    bitset    // numbers whose outcome the packer here took; empty if moved
	nextSweep time.Time // zero: not scheduled
	sweeping  bool
	clearing  bool
	adoptAt   time.Time // of others' tickets: when their owner has been dead for long enough
}

// scope is share group and partition: only within one are answers shared.
type scope = unique.Handle[string]

func scopeOf(group, partition string) scope { return unique.Make(group + "\x00" + partition) }

// newTicket makes the ticket of a checked record.
func newTicket(id string, r *record) *ticket {
	t := &ticket{
		id: id, key: r.Key, created: r.CreatedAt, raw: r.Raw,
		numbers: r.Numbers, groupOf: r.GroupOf, answered: newBitset(len(r.Numbers)),
		owner: r.Owner, state: submitting,
	}
	t.token, _ = parseToken(r.Token) // checked
	for _, g := range r.Groups {
		t.scopes = append(t.scopes, scopeOf(g, r.Partition))
	}
	return t
}

// learn takes over a checked status.
func (t *ticket) learn(s *status) {
	t.owner = s.Owner
	t.state, _ = parseState(s.State) // checked
	if len(s.Final) > 0 {
		t.setFinal(s.Final)
		t.fresh = false
	}
	// Whoever took the ticket over may know more by now.
	overtaken := t.state.closed() || t.want == unsure && t.state == submitted
	if overtaken || t.want == t.state && !t.fresh {
		t.want, t.fresh = noState, false
	}
}

// setFinal takes over what was answered with the submit.
func (t *ticket) setFinal(f []final) {
	t.final = f
	for _, one := range f {
		t.answered.set(one.Index)
	}
}

// status is what is to be stored of the ticket, under owner.
func (t *ticket) status(owner string) *status {
	return &status{Version: recordVersion, State: t.now().String(), Owner: owner, Final: t.final}
}

// now is the state the ticket has, stored or not.
func (t *ticket) now() state {
	if t.want != noState {
		return t.want
	}
	return t.state
}

// turn decides on a state, which is then to be stored.
func (t *ticket) turn(s state) {
	if !t.state.closed() && (t.state != s || t.fresh) {
		t.want = s
	}
}

// serve notes that the packer here took the outcome of number i.
func (t *ticket) serve(i int) {
	if t.moved || i < 0 {
		return // never asked for
	}
	if t.served.words == nil {
		t.served = newBitset(len(t.numbers))
	}
	t.served.set(i)
}

// settled tells whether nobody can come back for t: it was this worker's all
// along, and all that waited for it were answered here; or there is nothing in it.
func (t *ticket) settled() bool {
	return t.state == void || !t.moved && t.served.count == len(t.numbers)
}

// unanswered is how many numbers have neither receipt nor outcome.
func (t *ticket) unanswered() int { return len(t.numbers) - t.answered.count }

// find is the index of number, -1 if the ticket does not have it. Some thousand
// numbers are looked through in microseconds; a map would take more room than all else.
func (t *ticket) find(number uint64) int { return slices.Index(t.numbers, number) }

func (t *ticket) scope(i int) scope {
	if t.groupOf == nil {
		return t.scopes[0]
	}
	return t.scopes[t.groupOf[i]]
}

// finalOf is the outcome that came with the submit, if there is one for i.
func (t *ticket) finalOf(i int) (providers.Outcome, bool) {
	for _, f := range t.final {
		if f.Index == i {
			return f.outcome()
		}
	}
	return providers.Outcome{}, false
}

// hasFinal tells whether i was answered with the submit.
func (t *ticket) hasFinal(i int) bool {
	return slices.ContainsFunc(t.final, func(f final) bool { return f.Index == i })
}

// bitset marks numbers.
type bitset struct {
	words []uint64
	count int
}

func newBitset(n int) bitset { return bitset{words: make([]uint64, (n+63)/64)} }

func (b *bitset) has(i int) bool { return b.words[i/64]&(1<<(i%64)) != 0 }

// set marks i; false if it was marked before.
func (b *bitset) set(i int) bool {
	if b.has(i) {
		return false
	}
	b.words[i/64] |= 1 << (i % 64)
	b.count++
	return true
}
