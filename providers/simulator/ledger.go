package simulator

import (
	"sync"
	"time"
)

// Ledger is what the upstream saw: the judge of every claim about calls,
// concurrency and numbers paid. It is safe in parallel.
type Ledger struct {
	mu      sync.Mutex
	sum     Summary
	keys    map[string]*keyLedger
	numbers map[string]uint32 // times each number was answered for (paid)
}

// Summary is the ledger in figures.
type Summary struct {
	// Calls are the requests that were let in; Refused those answered with 429
	// for a limit. Failed calls were let in and got no answer (faults, outages).
	Calls   int64 `json:"calls"`
	Refused int64 `json:"refused"`
	Failed  int64 `json:"failed"`
	// Numbers counts the numbers of answered calls, Distinct those that differ,
	// AskedTwice the surplus: numbers paid more than once.
	Numbers    int64 `json:"numbers"`
	Distinct   int64 `json:"distinct"`
	AskedTwice int64 `json:"asked_twice"`
	// LargestBatch is the most numbers of one call, Oversized the calls above the maximum.
	LargestBatch int   `json:"largest_batch"`
	Oversized    int64 `json:"oversized"`
	// Busy is the time that calls were open, over all keys, in seconds.
	Busy  float64      `json:"busy_seconds"`
	First time.Time    `json:"first"`
	Last  time.Time    `json:"last"`
	Keys  []KeySummary `json:"keys"`
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
	open int
}

func newLedger() *Ledger {
	return &Ledger{keys: map[string]*keyLedger{}, numbers: map[string]uint32{}}
}

// Summary returns the figures so far.
func (l *Ledger) Summary() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sum
	s.Distinct = int64(len(l.numbers))
	s.AskedTwice = s.Numbers - s.Distinct
	for _, k := range l.keys {
		s.Keys = append(s.Keys, k.KeySummary)
	}
	return s
}

// Numbers returns how often each number was paid, for at least atLeast times.
func (l *Ledger) Numbers(atLeast uint32) map[string]uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]uint32)
	for n, c := range l.numbers {
		if c >= atLeast {
			out[n] = c
		}
	}
	return out
}

// Reset forgets everything but the calls that are open.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum = Summary{}
	l.numbers = map[string]uint32{}
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
	answered
)

// leave closes a call that began at start and carried numbers.
func (l *Ledger) leave(key string, start, now time.Time, v verdict, numbers []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.keys[key]
	k.open--
	l.sum.Last = now
	if v == refused {
		l.sum.Refused++
		k.Refused++
		return
	}
	busy := now.Sub(start).Seconds()
	l.sum.Calls++
	k.Calls++
	l.sum.Busy += busy
	k.Busy += busy
	l.sum.LargestBatch = max(l.sum.LargestBatch, len(numbers))
	if len(numbers) > qxtMaxBatch {
		l.sum.Oversized++
	}
	if v == failed {
		l.sum.Failed++
		return
	}
	l.sum.Numbers += int64(len(numbers))
	k.Numbers += int64(len(numbers))
	for _, n := range numbers {
		l.numbers[n]++
	}
}

func tail(s string) string {
	if len(s) <= 4 {
		return s
	}
	return "…" + s[len(s)-4:]
}
