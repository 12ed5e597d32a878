package cache

import (
	"time"

	"github.com/lookupq/lookupq/results"
)

// The facts that few providers know, behind those that most do:
//
//	4 tri-states a byte: portable, fast portable, reachable, roaming;
//	the same: ringing, answered, then bitPortedAt, bitPorting;
//	basis of ported, reason, MCC, MNC, call response;
//	with bitPortedAt 6 bytes; with bitPorting: order, status, activation, exceptions, and
//	a byte that says whether 6 bytes of the date follow
const (
	bitPortedAt = 1 << (4 + iota)
	bitPorting
)

// hasMore reports whether l has any of these facts.
func hasMore(l *results.Lookup) bool {
	return l.Portable != 0 || l.FastPortable != 0 || l.NotPortableReason != "" || l.PortedBasis != "" ||
		l.MCC != "" || l.MNC != "" || l.Reachable != "" || l.Roaming != "" || l.Ringing != "" || l.Answered != "" ||
		l.CallResponse != "" || storable(l.PortedAt) || l.Porting != nil
}

// storable are times that 6 bytes of milliseconds hold.
func storable(t time.Time) bool { return t.UnixMilli() > 0 && t.UnixMilli() < 1<<48 }

func (c *codec) appendMore(dst []byte, l *results.Lookup) []byte {
	first := byte(l.Portable)&maskTri | byte(l.FastPortable)&maskTri<<2 | wordBits(l.Reachable)<<4 | wordBits(l.Roaming)<<6
	second := wordBits(l.Ringing) | wordBits(l.Answered)<<2
	if storable(l.PortedAt) {
		second |= bitPortedAt
	}
	if l.Porting != nil {
		second |= bitPorting
	}
	dst = append(dst, first, second)
	for _, s := range [...]string{l.PortedBasis, l.NotPortableReason, l.MCC, l.MNC, l.CallResponse} {
		dst = c.appendWord(dst, s)
	}
	if second&bitPortedAt != 0 {
		dst = appendMilli(dst, l.PortedAt)
	}
	if p := l.Porting; p != nil {
		dst = c.appendWord(dst, p.OrderID)
		dst = c.appendWord(dst, p.OrderStatus)
		dst = c.appendWord(dst, p.ActivationStatus)
		dst = c.appendList(dst, p.Exceptions)
		if !storable(p.FOCAt) {
			return append(dst, 0)
		}
		dst = appendMilli(append(dst, 1), p.FOCAt)
	}
	return dst
}

func (r *reader) more(l *results.Lookup) {
	first, second := r.byte(), r.byte()
	l.Portable, l.FastPortable = r.tri(first), r.tri(first>>2)
	l.Reachable, l.Roaming = bitsWord(first>>4), bitsWord(first>>6)
	l.Ringing, l.Answered = bitsWord(second), bitsWord(second>>2)
	l.PortedBasis, l.NotPortableReason, l.MCC, l.MNC, l.CallResponse = r.word(), r.word(), r.word(), r.word(), r.word()
	if second&bitPortedAt != 0 {
		l.PortedAt = r.milli()
	}
	if second&bitPorting != 0 {
		l.Porting = &results.Porting{OrderID: r.word(), OrderStatus: r.word(), ActivationStatus: r.word(), Exceptions: r.list()}
		switch r.byte() {
		case 0:
		case 1:
			l.Porting.FOCAt = r.milli()
		default:
			r.bad = true
		}
	}
	r.bad = r.bad || second>>6 != 0
}

func (r *reader) tri(bits byte) results.Tri {
	t := results.Tri(bits & maskTri)
	r.bad = r.bad || t > results.Yes
	return t
}

// milli reads what appendMilli wrote.
func (r *reader) milli() time.Time {
	b := r.take(6)
	var ms int64
	for i := range len(b) {
		ms = ms<<8 | int64(b[i])
	}
	return time.UnixMilli(ms)
}

func wordBits(w results.Word) byte {
	switch w {
	case results.WordYes:
		return 1
	case results.WordNo:
		return 2
	case results.WordUnknown:
		return 3
	}
	return 0
}

func bitsWord(bits byte) results.Word {
	return [...]results.Word{"", results.WordYes, results.WordNo, results.WordUnknown}[bits&maskTri]
}
