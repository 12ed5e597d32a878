package telnyx

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// comeBack is when a call that had to wait for the list may ask again.
const comeBack = 250 * time.Millisecond

// ledgers are the lists of the accounts, by key. There are as many as keys are
// configured. Safe in parallel.
type ledgers struct {
	mu    sync.Mutex
	byKey map[providers.Key]*ledger
}

func (ls *ledgers) of(key providers.Key) *ledger {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.byKey[key]
	if l == nil {
		l = &ledger{turn: make(chan struct{}, 1)}
		l.turn <- struct{}{}
		if ls.byKey == nil {
			ls.byKey = make(map[providers.Key]*ledger)
		}
		ls.byKey[key] = l
	}
	return l
}

// ledger keeps the list of one account's porting numbers.
type ledger struct {
	pace pace
	// turn holds one token. Whoever has it reads the list; the others wait for it.
	turn chan struct{}
	// ready and draft belong to whoever has the turn: the list, and one being read.
	ready *list
	draft *reading
}

// list returns the list of the key's account, and reads it if there is none or it
// is too old. What a call cannot finish, the next one goes on with.
func (s *session) list(ctx context.Context) (*list, *providers.Failure) {
	l, maxAge := s.ledger, time.Duration(s.p.settings.MaxAge)
	waiting, stop := context.WithDeadline(ctx, s.until)
	defer stop()
	select {
	case <-l.turn:
		defer func() { l.turn <- struct{}{} }()
	case <-waiting.Done():
		return nil, l.later()
	}
	if l.ready != nil && time.Since(l.ready.at) <= maxAge {
		return l.ready, nil
	}
	l.ready = nil
	if l.draft == nil || time.Since(l.draft.at) > maxAge {
		l.draft = newReading(s.p.settings)
	}
	for {
		res, no := s.send(ctx, l.draft.next())
		if no != nil {
			return nil, no.failure
		}
		done, ok := l.draft.take(res.Body)
		switch {
		case !ok:
			return nil, upstream.Unreadable(res)
		case done:
			l.ready, l.draft = l.draft.finish(), nil
			return l.ready, nil
		case waiting.Err() != nil:
			return nil, l.later()
		}
	}
}

// later is the failure of a call whose time was not enough. As it says when to
// come back, it uses up no attempt of its numbers.
func (l *ledger) later() *providers.Failure {
	return &providers.Failure{
		Kind: providers.KindUnavailable, RetryAfter: max(comeBack, l.pace.heldFor()),
		Message: "the account's porting numbers are still being listed, ask again in a moment",
	}
}

// list is all porting numbers of an account.
type list struct {
	at      time.Time // when it was complete
	rows    map[string]row
	unread  bool               // an entry could not be understood
	failure *providers.Failure // it is too long
}

// row is a number's order that counts, and the number's own state.
type row struct {
	order      *order
	activation string
}

// outcome is what the list says of a number.
func (l *list) outcome(n providers.Number, raw bool) providers.Outcome {
	r, ok := l.rows[n.E164[1:]]
	switch {
	case l.failure != nil:
		return providers.Outcome{Kind: providers.Failed, Failure: l.failure}
	case ok:
		return r.order.found(n, r.activation, raw)
	case l.unread:
		return unreadable()
	}
	return providers.Outcome{Kind: providers.NotFound}
}

// reading is a list that is being read: first the orders, then the numbers, which
// refer to them. It belongs to whoever has the ledger's turn.
type reading struct {
	settings settings
	at       time.Time // of the last page
	numbers  bool      // the orders are complete
	page     int
	count    int // entries read in this pass
	// results is how many there were by the pass's first page. Entries that go away
	// while pages are read move others to pages that were read already; a pass
	// that ends with another number is made once more.
	results count
	again   bool
	orders  map[string]*order
	list    *list
	words   map[string]string
}

func newReading(s settings) *reading {
	return &reading{
		settings: s, at: time.Now(), page: 1,
		orders: make(map[string]*order), words: make(map[string]string),
		list: &list{rows: make(map[string]row)},
	}
}

// next is the request for the next page.
func (r *reading) next() ask {
	query := pageOf(r.page, r.settings.PageSize)
	if r.numbers {
		return ask{route: portingNumbers, query: query}
	}
	query.Set("include_phone_numbers", "false")
	query.Set("sort[value]", "created_at") // what is new comes last and moves nothing
	return ask{route: portingOrders, query: query}
}

// take reads a page and moves on; done if it was the last one. ok is false if
// body is no such page, which changes nothing.
func (r *reading) take(body []byte) (done, ok bool) {
	p, ok := readList(body)
	if !ok || !p.pages.known && len(p.data) > 0 {
		return false, false // or nobody could tell where the list ends
	}
	r.at = time.Now()
	r.count += len(p.data)
	if r.count > r.settings.MaxNumbers || p.results.known && p.results.n > r.settings.MaxNumbers {
		r.refuse()
		return true, true
	}
	for _, raw := range p.data {
		if r.numbers {
			r.takeNumber(raw)
		} else if l, ok := readOrder(raw); ok {
			r.orders[l.ID.s] = r.share(l.order())
		} // an order that cannot be read lacks its details; its numbers name its id and state
	}
	if r.page == 1 {
		r.results = p.results
	}
	if len(p.data) > 0 && r.page < p.pages.n {
		r.page++
		return false, true
	}
	return r.endPass(p.results), true
}

// endPass starts the next pass; true if there is none.
func (r *reading) endPass(results count) bool {
	moved := results != r.results
	r.page, r.count = 1, 0
	switch {
	case !r.numbers:
		r.numbers = true
		return false
	case moved && !r.again:
		r.again = true
		return false
	}
	return true
}

// takeNumber notes a number's order if it is the one that counts.
func (r *reading) takeNumber(raw []byte) {
	l, ok := listedNumberOf(raw)
	if !ok {
		r.list.unread = true
		return
	}
	var o *order
	if isUUID(l.PortingOrderID.s) {
		if o = r.orders[l.PortingOrderID.s]; o == nil {
			o = &order{id: l.PortingOrderID.s}
			r.orders[o.id] = o
		}
	} else {
		o = &order{}
	}
	if status := l.PortingOrderStatus.status(); status != "" {
		o.status = r.word(status) // read later than the order
	}
	number := l.PhoneNumber.digits()
	if old, ok := r.list.rows[number]; ok && !o.before(old.order) && o != old.order {
		return
	}
	r.list.rows[number] = row{order: o, activation: r.word(l.ActivationStatus.status())}
}

// refuse ends the reading of a list that is too long to be kept.
func (r *reading) refuse() {
	r.list.rows = nil
	r.list.failure = &providers.Failure{Kind: providers.KindMisconfigured, Message: fmt.Sprintf(
		"the account has more porting orders or numbers than settings.porting_max_numbers (%d): raise it, or ask for at most %d numbers a call (batch)",
		r.settings.MaxNumbers, r.settings.Direct)}
}

// finish is the complete list.
func (r *reading) finish() *list {
	r.list.at = time.Now()
	return r.list
}

// share lets orders share the texts that come again and again.
func (r *reading) share(o *order) *order {
	o.status, o.activation = r.word(o.status), r.word(o.activation)
	for i, code := range o.exceptions {
		o.exceptions[i] = r.word(code)
	}
	return o
}

// maxWords bounds what is shared; the documents have some forty states and codes.
const maxWords = 256

func (r *reading) word(s string) string {
	if known, ok := r.words[s]; ok {
		return known
	}
	if len(r.words) < maxWords {
		s = strings.Clone(s)
		r.words[s] = s
	}
	return s
}
