package cache

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/lookupq/lookupq/results"
)

// answerVersion is the first byte of every value.
const answerVersion = 1

// ErrAnswer says that a value is no answer that this version can read. Taking it
// for a miss is right: the worst that follows is one more call.
var ErrAnswer = errors.New("not a cached answer of this version")

// Answer is what the cache keeps of a result: what is true of the number,
// whoever asks.
type Answer struct {
	// Status is ok or not_found; nothing else is an answer.
	Status results.Status
	// Lookup is nil or shared: never changed after it was made.
	Lookup   *results.Lookup
	Provider string
	// AnsweredAt is kept to the millisecond.
	AnsweredAt time.Time
}

// The second byte.
const (
	bitNotFound = 1 << iota
	bitLookup
	shiftValid  = 2 // two bits
	shiftPorted = 4 // two bits
	maskTri     = 3
	bitMore     = 1 << 6 // the facts that few providers know follow
)

// codec turns answers into values and back. Safe in parallel once made.
type codec struct {
	words []string        // by code
	codes map[string]byte // by word
}

func newCodec() codec {
	c := codec{words: append([]string{""}, knownWords()...), codes: map[string]byte{}}
	for i, w := range c.words {
		c.codes[w] = byte(i)
	}
	return c
}

// append appends a compact form of a to dst, about 30 bytes:
//
//	version, bits, answered at (6 bytes, ms), provider,
//	and with bitLookup: country, area, line type, 2 carriers (id, name), zones (count, each)
//	and with bitMore: what more.go says
//
// A text is one byte for a known word, else its length and bytes.
func (c *codec) append(dst []byte, a *Answer) []byte {
	var bits byte
	if a.Status == results.StatusNotFound {
		bits |= bitNotFound
	}
	l := a.Lookup
	if l != nil {
		bits |= bitLookup | byte(l.Valid)&maskTri<<shiftValid | byte(l.Ported)&maskTri<<shiftPorted
		if hasMore(l) {
			bits |= bitMore
		}
	}
	dst = append(dst, answerVersion, bits)
	dst = appendMilli(dst, a.AnsweredAt)
	dst = c.appendWord(dst, a.Provider)
	if l == nil {
		return dst
	}
	dst = c.appendWord(dst, l.Country)
	dst = c.appendWord(dst, l.Area)
	dst = c.appendWord(dst, l.LineType)
	dst = c.appendWord(dst, l.OriginalCarrier.ID)
	dst = c.appendWord(dst, l.OriginalCarrier.Name)
	dst = c.appendWord(dst, l.CurrentCarrier.ID)
	dst = c.appendWord(dst, l.CurrentCarrier.Name)
	dst = c.appendList(dst, l.TimeZones)
	if bits&bitMore != 0 {
		dst = c.appendMore(dst, l)
	}
	return dst
}

// appendMilli appends t in 6 bytes, to the millisecond, from 1970 on.
func appendMilli(dst []byte, t time.Time) []byte {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(t.UnixMilli()))
	return append(dst, at[2:]...)
}

// decode reads what append wrote. The texts of the answer are parts of value.
func (c *codec) decode(value string) (*Answer, error) {
	if len(value) < 8 || value[0] != answerVersion {
		return nil, ErrAnswer
	}
	bits := value[1]
	r := reader{words: c.words, rest: value[2:]}
	both := &struct { // one allocation
		answer Answer
		lookup results.Lookup
	}{}
	a := &both.answer
	a.Status, a.AnsweredAt, a.Provider = results.StatusOK, r.milli(), r.word()
	if bits&bitNotFound != 0 {
		a.Status = results.StatusNotFound
	}
	if bits&bitLookup != 0 {
		a.Lookup = &both.lookup
		both.lookup = results.Lookup{
			Valid: results.Tri(bits >> shiftValid & maskTri), Ported: results.Tri(bits >> shiftPorted & maskTri),
			Country: r.word(), Area: r.word(), LineType: r.word(),
			OriginalCarrier: results.Carrier{ID: r.word(), Name: r.word()},
			CurrentCarrier:  results.Carrier{ID: r.word(), Name: r.word()},
			TimeZones:       r.list(),
		}
		if bits&bitMore != 0 {
			r.more(&both.lookup)
		}
	}
	if r.bad || r.rest != "" || bits>>7 != 0 || bits&(bitLookup|bitMore) == bitMore {
		return nil, ErrAnswer
	}
	return a, nil
}
