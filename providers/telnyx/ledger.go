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

// comeBack is when a call that found nothing left to fetch may ask again.
const comeBack = 250 * time.Millisecond

// staleAfter is when an unfinished list is thrown away, at least: what is listed
// slowly must not begin anew for ever.
const staleAfter = 5 * time.Minute

// ledgers are what is known of the accounts, by key. There are as many as keys are
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
		l = &ledger{}
		if ls.byKey == nil {
			ls.byKey = make(map[providers.Key]*ledger)
		}
		ls.byKey[key] = l
	}
	return l
}

// ledger keeps what is known of one account's porting numbers. Safe in parallel;
// no lock is held while a request is under way.
type ledger struct {
	mu sync.Mutex
	// ready is the list, draft one that is being read.
	ready *list
	draft *reading
	// searches are the unfinished ones for single numbers, by number.
	searches map[string]*search
}

// errand is one page that a call is to fetch.
type errand struct {
	draft *reading
	page  int
	ask   ask
}

// begin returns the list if there is one that is good, else a page to fetch; neither
// where all pages there are to fetch are under way.
func (l *ledger) begin(s settings) (*list, *errand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maxAge := time.Duration(s.MaxAge)
	if l.ready != nil && time.Since(l.ready.at) <= maxAge {
		return l.ready, nil
	}
	l.ready = nil
	if l.draft == nil || time.Since(l.draft.at) > max(maxAge, staleAfter) {
		l.draft = newReading(s)
	}
	page, ok := l.draft.claim()
	if !ok {
		return nil, nil
	}
	return nil, &errand{draft: l.draft, page: page, ask: l.draft.request(page)}
}

// giveBack has the page fetched by another call.
func (l *ledger) giveBack(e *errand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.draft.giveBack(e.page)
}

// take reads a page. It returns the list if that has completed it; ok is false if
// body is no such page, which is to be fetched again then.
func (l *ledger) take(e *errand, body []byte) (_ *list, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.draft != l.draft {
		return l.ready, true // the list was given up, or is ready without it
	}
	done, ok := l.draft.take(e.page, body)
	switch {
	case !ok:
		l.draft.giveBack(e.page)
		return nil, false
	case done:
		l.ready, l.draft = l.draft.finish(), nil
	}
	return l.ready, true
}

// list returns the list of the key's account, or brings it a page further. Calls at
// the same time fetch different pages; none waits for another.
func (s *session) list(ctx context.Context, l *ledger) (*list, *providers.Failure) {
	ready, e := l.begin(s.p.settings)
	switch {
	case ready != nil:
		return ready, nil
	case e == nil:
		return nil, unfinished(comeBack)
	}
	res, no := s.send(ctx, e.ask)
	if no != nil {
		l.giveBack(e)
		return nil, no.failure
	}
	ready, ok := l.take(e, res.Body)
	switch {
	case !ok:
		return nil, upstream.Unreadable(res)
	case ready == nil:
		return nil, unfinished(0)
	}
	return ready, nil
}

// unfinished is the failure of a call that did what one request can do, or that
// found nothing to do before after has passed. Nobody is at fault.
func unfinished(after time.Duration) *providers.Failure {
	return &providers.Failure{
		Kind: providers.KindRetryable, Innocent: true, RetryAfter: after,
		Message: "the account's porting orders are still being read",
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
// refer to them. It belongs to whoever has the ledger's lock.
type reading struct {
	settings settings
	at       time.Time // of the last page
	numbers  bool      // the orders are complete
	// next is the page of this pass to be handed out next, pages how many there are:
	// one, until it has told. out are under way, redo have failed. ended is set
	// once a page was empty.
	next, pages, out int
	redo             []int
	ended            bool
	count            int // entries read in this pass
	// results is how many there were by the pass's first page, moved that another
	// page said otherwise. Entries that go away while pages are read move others to
	// pages that were read already; such a pass over the numbers is made once more.
	results      count
	moved, again bool
	orders       map[string]*order
	list         *list
	words        map[string]string
}

func newReading(s settings) *reading {
	return &reading{
		settings: s, at: time.Now(), next: 1, pages: 1,
		orders: make(map[string]*order), words: make(map[string]string),
		list: &list{rows: make(map[string]row)},
	}
}

// claim hands out a page to fetch; false if there is none.
func (r *reading) claim() (page int, ok bool) {
	switch last := len(r.redo) - 1; {
	case last >= 0:
		page, r.redo = r.redo[last], r.redo[:last]
	case r.next <= r.pages && !r.ended:
		page = r.next
		r.next++
	default:
		return 0, false
	}
	r.out++
	return page, true
}

func (r *reading) giveBack(page int) {
	r.out--
	r.redo = append(r.redo, page)
}

// request is the one for a page.
func (r *reading) request(page int) ask {
	query := pageOf(page, r.settings.PageSize)
	if r.numbers {
		return ask{route: portingNumbers, query: query}
	}
	query.Set("include_phone_numbers", "false")
	query.Set("sort[value]", "created_at") // what is new comes last and moves nothing
	return ask{route: portingOrders, query: query}
}

// take reads a page that was handed out; done if it was the last one of all. ok is
// false if body is no such page, which changes nothing.
func (r *reading) take(number int, body []byte) (done, ok bool) {
	p, ok := readList(body)
	if !ok || !p.pages.known && len(p.data) > 0 {
		return false, false // or nobody could tell where the list ends
	}
	r.at = time.Now()
	r.out--
	r.count += len(p.data)
	if r.count > r.settings.MaxNumbers || p.results.known && p.results.n > r.settings.MaxNumbers {
		r.refuse()
		return true, true
	}
	for _, raw := range p.data {
		r.takeEntry(raw)
	}
	if number == 1 {
		r.results = p.results
	}
	r.moved = r.moved || p.results != r.results
	r.pages = p.pages.n
	r.ended = r.ended || len(p.data) == 0
	return r.passed() && r.endPass(), true
}

// passed reports whether all pages of the pass were read.
func (r *reading) passed() bool {
	return r.out == 0 && len(r.redo) == 0 && (r.ended || r.next > r.pages)
}

func (r *reading) takeEntry(raw []byte) {
	if r.numbers {
		r.takeNumber(raw)
		return
	}
	// An order that cannot be read lacks its details; its numbers name its id and state.
	if l, ok := readOrder(raw); ok {
		r.orders[l.ID.s] = r.share(l.order())
	}
}

// endPass starts the next pass; true if there is none.
func (r *reading) endPass() bool {
	switch {
	case !r.numbers:
		r.numbers = true
	case r.moved && !r.again:
		r.again = true
	default:
		return true
	}
	r.next, r.pages, r.count, r.ended, r.moved = 1, 1, 0, false, false
	return false
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
