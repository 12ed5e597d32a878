package journal

import (
	"encoding/binary"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/lookupq/lookupq/results"
)

// The log of a page is a row of records: type, length (uvarint), payload. All but
// recPacked begin with the slot they are about. A new kind of record, status or
// source needs a new pageVersion: what a reader does not know is broken to it.
const (
	recSettled  = 'S' // slot, count, results
	recPart     = 'P' // slot, time in ms (6 bytes), bitmap
	recStored   = 'X' // slot, bitmap: items that the results stream held already
	recComplete = 'V' // slot, epoch: the slot is complete for that epoch
	recPacked   = 'Z' // records, compressed
)

const (
	// packFrom is the size from which records are compressed.
	packFrom = 1 << 10
	// packUpTo bounds what is compressed into one record, and so what reading one takes.
	packUpTo = 1 << 20
	// maxRecord bounds one record: the largest result is far smaller.
	maxRecord = 256 << 10
)

// Part is a part that was put together: which items, and when.
type Part struct {
	Items results.Bitmap
	At    time.Time // by the worker's clock, to the millisecond
}

// encoder builds records. Not for parallel use.
type encoder struct {
	out    []byte // finished: compressed where that pays
	raw    []byte // records to come
	one    []byte // the payload being built
	packed []byte
}

func (e *encoder) reset() { e.out, e.raw = e.out[:0], e.raw[:0] }

// settled adds results of a slot, in records of at most maxRecord bytes or one result.
func (e *encoder) settled(slot byte, list []results.Settled) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size+len(list[n].JSON) < maxRecord) {
			size += len(list[n].JSON)
			n++
		}
		e.one = append(e.one[:0], slot)
		b := binary.AppendUvarint(e.one, uint64(n))
		var cost results.Cost
		for i := range list[:n] {
			b = appendSettled(b, &list[i], cost)
			cost = list[i].Cost
		}
		e.one = b
		e.record(recSettled)
		list = list[n:]
	}
}

// A result's first byte: status, source, and whether it costs the same as the one before.
const (
	shiftSource  = 3
	maskStatus   = 7
	maskSource   = 7
	bitSameCost  = 1 << 6
	maxCostField = 255
)

// appendSettled appends one result: bits, index, cost unless the same, JSON.
func appendSettled(b []byte, s *results.Settled, before results.Cost) []byte {
	bits := statusCode(s.Status) | sourceCode(s.Source)<<shiftSource
	if s.Cost == before {
		bits |= bitSameCost
	}
	b = append(b, bits)
	b = binary.AppendUvarint(b, uint64(s.Index))
	if s.Cost != before {
		for _, text := range [2]string{s.Cost.Amount, s.Cost.Currency} {
			text = text[:min(len(text), maxCostField)]
			b = append(b, byte(len(text)))
			b = append(b, text...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.JSON)))
	return append(b, s.JSON...)
}

// part adds that a part of a slot was put together.
func (e *encoder) part(slot byte, p Part) {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(p.At.UnixMilli()))
	e.one = append(append(append(e.one[:0], slot), at[2:]...), p.Items...)
	e.record(recPart)
}

// stored adds which items of a slot the results stream held already.
func (e *encoder) stored(slot byte, items results.Bitmap) {
	e.one = append(append(e.one[:0], slot), items...)
	e.record(recStored)
}

// complete adds that a slot is complete for an epoch.
func (e *encoder) complete(slot byte, epoch tag) {
	e.one = append(append(e.one[:0], slot), epoch[:]...)
	e.record(recComplete)
}

// record adds a record with the payload e.one.
func (e *encoder) record(kind byte) {
	if len(e.raw)+len(e.one) > packUpTo {
		e.flush()
	}
	e.raw = appendRecord(e.raw, kind, e.one)
}

func appendRecord(dst []byte, kind byte, payload []byte) []byte {
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// flush moves the records to e.out, compressed if there are enough of them.
func (e *encoder) flush() {
	if len(e.raw) < packFrom {
		e.out = append(e.out, e.raw...)
	} else {
		if need := s2.MaxEncodedLen(len(e.raw)); cap(e.packed) < need {
			e.packed = make([]byte, need)
		}
		e.out = appendRecord(e.out, recPacked, s2.Encode(e.packed[:cap(e.packed)], e.raw))
	}
	e.raw = e.raw[:0]
}

// bytes ends the log and returns it; valid until the next reset.
func (e *encoder) bytes() []byte {
	e.flush()
	return e.out
}

func statusCode(s results.Status) byte {
	switch s {
	case results.StatusOK:
		return 1
	case results.StatusNotFound:
		return 2
	case results.StatusInvalid:
		return 3
	case results.StatusFailed:
		return 4
	case results.StatusExpired:
		return 5
	case results.StatusCancelled:
		return 6
	}
	return 0
}

func statusOf(code byte) results.Status {
	return [maskStatus + 1]results.Status{
		"", results.StatusOK, results.StatusNotFound, results.StatusInvalid,
		results.StatusFailed, results.StatusExpired, results.StatusCancelled, "",
	}[code]
}

func sourceCode(s results.Source) byte {
	switch s {
	case results.SourceUpstream:
		return 1
	case results.SourceCache:
		return 2
	case results.SourceShared:
		return 3
	case results.SourceOffline:
		return 4
	}
	return 0
}

func sourceOf(code byte) results.Source {
	return [maskSource + 1]results.Source{
		"", results.SourceUpstream, results.SourceCache, results.SourceShared, results.SourceOffline, "", "", "",
	}[code]
}
