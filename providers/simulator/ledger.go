package simulator

import (
	"maps"
	"sync"
	"time"
)

// Ledger is what one upstream saw: the judge of every claim about calls,
// concurrency and numbers paid. It is safe in parallel.
type Ledger struct {
	maxBatch int
	prefix   string // makes E.164 of the upstream's form of a number

	mu   sync.Mutex
	sum  Summary
	keys map[string]*keyLedger
	// numbers is how often each was paid, by operation: a number that is asked for
	// by two operations is not asked twice.
	numbers map[string]map[string]uint32
}

// Summary is the ledger in figures.
type Summary struct {
	// Calls are the requests that were let in; Refused those answered with 429
	// for a limit. Failed calls were let in and got no answer (faults, outages,
	// refusals); Throttled are those of them that got 429 though no limit was broken.
	Calls     int64 `json:"calls"`
	Refused   int64 `json:"refused"`
	Failed    int64 `json:"failed"`
	Throttled int64 `json:"throttled"`
	// Numbers counts the numbers paid, Distinct those that differ, AskedTwice the
	// surplus: numbers paid more than once.
	Numbers    int64 `json:"numbers"`
	Distinct   int64 `json:"distinct"`
	AskedTwice int64 `json:"asked_twice"`
	// LargestBatch is the most numbers of one call, Oversized the calls above the maximum.
	LargestBatch int   `json:"largest_batch"`
	Oversized    int64 `json:"oversized"`
	// Operations are the calls by operation, where the upstream has several.
	Operations map[string]int64 `json:"operations,omitempty"`
	// Mutations are the calls that would have changed something upstream (telnyx).
	Mutations int64 `json:"mutations"`
	// Busy is the time that calls were open, over all keys, in seconds.
	Busy  float64      `json:"busy_seconds"`
	First time.Time    `json:"first"`
	Last  time.Time    `json:"last"`
	Keys  []KeySummary `json:"keys"`
	// Deferred are the figures of an upstream that answers later (nxcloud), of
	// which Calls counts the submits.
	Deferred Deferred `json:"deferred,omitzero"`
}

// Deferred is the part of the ledger about batches, receipts and queries.
type Deferred struct {
	Queries int64 `json:"queries"`
	// QueryGap is the least time between the starts of two queries of one key, in
	// seconds; 0 before the second.
	QueryGap float64 `json:"smallest_query_gap_seconds"`
	// DuplicateBatches are submits under a batch number that was used before.
	DuplicateBatches int64 `json:"duplicate_batches"`
	// Blind are numbers submitted again though an earlier submit of theirs, at the
	// same level, was not answered yet or has been answered well. Submits again
	// with a reason are in Summary.AskedTwice alone.
	Blind int64 `json:"submitted_blindly_again"`
	// LostReplies are submits that were taken and got no reply.
	LostReplies int64 `json:"lost_replies"`
	// Receipts are the POSTs of receipts, Retried those of them that are not the
	// first, Accepted the ones answered with 200, GivenUp the receipts never accepted.
	Receipts int64 `json:"receipts"`
	Retried  int64 `json:"receipts_retried"`
	Accepted int64 `json:"receipts_accepted"`
	GivenUp  int64 `json:"receipts_given_up"`
}

// KeySummary is one key's part of the ledger. Key shows the last 4 characters.
type KeySummary struct {
	Key string `json:"key"`
	// Peak is the highest number of calls open at once, as seen before refusing.
	Peak    int     `json:"peak_concurrency"`
	Calls   int64   `json:"calls"`
	Refused int64   `json:"refused"`
	Numbers int64   `json:"numbers"`
	Busy    float64 `json:"busy_seconds"`
}

type keyLedger struct {
	KeySummary
	open  int
	query time.Time // start of the last one
}

func newLedger(maxBatch int, prefix string) *Ledger {
	return &Ledger{maxBatch: maxBatch, prefix: prefix, keys: map[string]*keyLedger{}, numbers: map[string]map[string]uint32{}}
}

// Summary returns the figures so far.
func (l *Ledger) Summary() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sum
	s.Operations = maps.Clone(l.sum.Operations)
	for _, paid := range l.numbers {
		s.Distinct += int64(len(paid))
	}
	s.AskedTwice = s.Numbers - s.Distinct
	for _, k := range l.keys {
		s.Keys = append(s.Keys, k.KeySummary)
	}
	return s
}

// Numbers returns how often each number, in E.164, was paid, for at least atLeast
// times. Of several operations the one that paid most counts.
func (l *Ledger) Numbers(atLeast uint32) map[string]uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]uint32)
	for _, paid := range l.numbers {
		for n, c := range paid {
			if c >= atLeast {
				out[l.prefix+n] = max(out[l.prefix+n], c)
			}
		}
	}
	return out
}

// Reset forgets everything but the calls that are open.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum = Summary{}
	l.numbers = map[string]map[string]uint32{}
	for _, k := range l.keys {
		k.KeySummary = KeySummary{Key: k.Key, Peak: k.open}
	}
}

// enter opens a call of key; it reports how many are open now, this one included.
func (l *Ledger) enter(key string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.keys[key]
	if k == nil {
		k = &keyLedger{KeySummary: KeySummary{Key: tail(key)}}
		l.keys[key] = k
	}
	k.open++
	k.Peak = max(k.Peak, k.open)
	if l.sum.First.IsZero() {
		l.sum.First = now
	}
	return k.open
}

// verdict of a call, for leave.
type verdict uint8

const (
	refused verdict = iota
	failed
	throttled
	answered
)

// visit is one call as the ledger sees it when it is over.
type visit struct {
	key        string
	op         string // operation, "" where the upstream has one
	start, end time.Time
	verdict    verdict
	asked      int      // numbers of the call
	paid       []string // numbers that are paid for, if answered
	query      bool     // asks for what was submitted, and is no call
	mutation   bool
}

// leave closes a call.
func (l *Ledger) leave(v *visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.keys[v.key]
	k.open--
	l.sum.Last = v.end
	if v.mutation {
		l.sum.Mutations++
	}
	if v.query {
		l.query(k, v.start)
	}
	if v.verdict == refused {
		l.sum.Refused++
		k.Refused++
		return
	}
	if !v.query {
		l.call(k, v)
	}
	switch v.verdict {
	case refused:
	case throttled:
		l.sum.Throttled++
		l.sum.Failed++
	case failed:
		l.sum.Failed++
	case answered:
		l.pay(k, v)
	}
}

func (l *Ledger) call(k *keyLedger, v *visit) {
	busy := v.end.Sub(v.start).Seconds()
	l.sum.Calls++
	k.Calls++
	l.sum.Busy += busy
	k.Busy += busy
	l.sum.LargestBatch = max(l.sum.LargestBatch, v.asked)
	if v.asked > l.maxBatch {
		l.sum.Oversized++
	}
	if v.op != "" {
		if l.sum.Operations == nil {
			l.sum.Operations = map[string]int64{}
		}
		l.sum.Operations[v.op]++
	}
}

func (l *Ledger) query(k *keyLedger, start time.Time) {
	l.sum.Deferred.Queries++
	if gap := start.Sub(k.query).Seconds(); !k.query.IsZero() && (l.sum.Deferred.QueryGap == 0 || gap < l.sum.Deferred.QueryGap) {
		l.sum.Deferred.QueryGap = gap
	}
	k.query = start
}

func (l *Ledger) pay(k *keyLedger, v *visit) {
	l.sum.Numbers += int64(len(v.paid))
	k.Numbers += int64(len(v.paid))
	paid := l.numbers[v.op]
	if paid == nil {
		paid = map[string]uint32{}
		l.numbers[v.op] = paid
	}
	for _, n := range v.paid {
		paid[n]++
	}
}

// note changes the figures about deferred answers.
func (l *Ledger) note(change func(d *Deferred)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.sum.Deferred)
}

func tail(s string) string {
	const shown = 4
	if len(s) <= shown {
		return s
	}
	return "…" + s[len(s)-shown:]
}
