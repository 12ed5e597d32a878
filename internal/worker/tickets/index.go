package tickets

import "slices"

// index finds tickets by id, by token and by number. Guarded by Desk.mu. A
// number takes some 60 bytes: 8 in its ticket, the rest in byNumber.
type index struct {
	tickets map[string]*ticket
	tokens  map[[32]byte]*ticket
	// byNumber has the newest ticket of each number, older the others of the few
	// numbers that have several.
	byNumber map[numberKey]*ticket
	older    map[numberKey][]*ticket
	// outstanding is how many numbers of open tickets are not answered.
	outstanding int
}

type numberKey struct {
	number uint64
	scope  scope
}

func newIndex() index {
	return index{
		tickets: make(map[string]*ticket), tokens: make(map[[32]byte]*ticket),
		byNumber: make(map[numberKey]*ticket), older: make(map[numberKey][]*ticket),
	}
}

// add takes in t, which must be new.
func (x *index) add(t *ticket) {
	x.tickets[t.id], x.tokens[t.token] = t, t
	for i, number := range t.numbers {
		k := numberKey{number, t.scope(i)}
		switch other := x.byNumber[k]; {
		case other == nil:
			x.byNumber[k] = t
		case other == t: // twice in one ticket: the first counts
		case t.newerThan(other):
			x.byNumber[k] = t
			x.older[k] = append(x.older[k], other)
		default:
			x.older[k] = append(x.older[k], t)
		}
	}
	x.recount(t)
}

// newerThan compares ids, which begin with the time of their making.
func (t *ticket) newerThan(other *ticket) bool { return t.id > other.id }

// remove forgets t.
func (x *index) remove(t *ticket) {
	delete(x.tickets, t.id)
	delete(x.tokens, t.token)
	x.outstanding -= t.open
	t.open = 0
	for i, number := range t.numbers {
		x.unlink(numberKey{number, t.scope(i)}, t)
	}
}

func (x *index) unlink(k numberKey, t *ticket) {
	rest := slices.DeleteFunc(x.older[k], func(o *ticket) bool { return o == t })
	if x.byNumber[k] == t {
		if len(rest) == 0 {
			delete(x.byNumber, k)
		} else {
			x.byNumber[k] = slices.MaxFunc(rest, func(a, b *ticket) int {
				if a.newerThan(b) {
					return 1
				}
				return -1
			})
			rest = slices.DeleteFunc(rest, func(o *ticket) bool { return o == x.byNumber[k] })
		}
	}
	if len(rest) == 0 {
		delete(x.older, k)
	} else {
		x.older[k] = rest
	}
}

// recount brings outstanding up to date after anything changed in t.
func (x *index) recount(t *ticket) {
	open := 0
	if !t.now().closed() {
		open = t.unanswered()
	}
	x.outstanding += open - t.open
	t.open = open
}

// newest is the newest ticket with the number that takes accepts, nil if there is none.
func (x *index) newest(k numberKey, accept func(*ticket) bool) *ticket {
	t := x.byNumber[k]
	if t == nil || accept(t) {
		return t
	}
	var best *ticket
	for _, o := range x.older[k] {
		if accept(o) && (best == nil || o.newerThan(best)) {
			best = o
		}
	}
	return best
}
