package simulator

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// nxStore keeps what was submitted, for queries and receipts. A batch number may
// be used again: what that means is not documented, here it adds a batch.
type nxStore struct {
	mu      sync.Mutex
	next    uint64
	byNo    map[string][]*nxBatch
	byID    map[string]*nxBatch
	numbers map[string]*nxItem // the last submit of a number, by level and number
}

// nxBatch is one submit that was taken. It does not change, but its items.
type nxBatch struct {
	id, no, key string
	level       int
	at          time.Time
	url         string // where receipts go, "" nowhere
	items       []*nxItem
}

// nxItem is one number of a batch.
type nxItem struct {
	batch *nxBatch
	index int
	phone string
	at    place
	ready time.Time
	// code of the receipt; 0 is an answer.
	code int
	// lost receipts are never pushed; of missing numbers nothing is ever heard.
	lost, missing bool
}

func newNXStore() *nxStore {
	return &nxStore{byNo: map[string][]*nxBatch{}, byID: map[string]*nxBatch{}, numbers: map[string]*nxItem{}}
}

// id is what the vendor calls the answer of the item.
func (i *nxItem) id() string {
	if len(i.batch.items) == 1 {
		return i.batch.id
	}
	const digits = 6
	n := strconv.Itoa(i.index)
	return i.batch.id + "-" + strings.Repeat("0", max(0, digits-len(n))) + n
}

// newID makes the id of a submit, 32 characters.
func (s *nxStore) newID(d dice) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	const length = 16
	name := strconv.FormatUint(s.next, 10)
	pad := func(h uint64) string {
		x := strconv.FormatUint(h, 16)
		return strings.Repeat("0", length-len(x)) + x
	}
	return pad(d.hash(saltOrder, name)) + pad(d.hash(saltReason, name))
}

// add keeps a batch. It reports whether its number was used before, and how many
// of its numbers were submitted before without need: no answer yet, or a good one.
func (s *nxStore) add(b *nxBatch) (again bool, blind int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again = len(s.byNo[b.no]) > 0
	s.byNo[b.no] = append(s.byNo[b.no], b)
	s.byID[b.id] = b
	prefix := strconv.Itoa(b.level) + " "
	for _, item := range b.items {
		if last := s.numbers[prefix+item.phone]; last != nil && !last.missing && (last.code == 0 || b.at.Before(last.ready)) {
			blind++
		}
		s.numbers[prefix+item.phone] = item
	}
	return again, blind
}

// answered are the items, in order, that can be told now, of a batch number or of
// an id. found says that there is such a thing.
func (s *nxStore) answered(key, no, id, phone string, now time.Time) (items []*nxItem, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batches := s.byNo[no]
	if no == "" {
		whole, _, _ := strings.Cut(id, "-")
		batches = nil
		if b := s.byID[whole]; b != nil {
			batches = []*nxBatch{b}
		}
	}
	batches = slices.DeleteFunc(slices.Clone(batches), func(b *nxBatch) bool { return b.key != key })
	for _, b := range batches {
		for _, item := range b.items {
			wanted := (id == "" || id == b.id || id == item.id()) && (phone == "" || phone == item.phone)
			if wanted && !item.missing && !now.Before(item.ready) {
				items = append(items, item)
			}
		}
	}
	return items, len(batches) > 0
}
