package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/lookupq/lookupq/results"
)

// errLog says that a log cannot be read: it is no log, or of another version.
var errLog = errors.New("not a log of the journal")

// Log is what the journal knows of a job.
type Log struct {
	// Settled are the results in the order they were settled, each index once.
	Settled []results.Settled
	// Parts are the parts put together, no item in two of them. They may or may
	// not have reached the results stream; they win over changed settings.
	Parts []Part
	// Stored are items that the results stream held when the journal had lost them.
	Stored results.Bitmap
}

// slotLog is the log of one slot while it is read.
type slotLog struct {
	Log
	seen     results.Bitmap // indexes in Settled
	inParts  results.Bitmap // indexes in Parts
	complete bool           // for the epoch asked for
}

// readLog reads the records of a page's log by slot. The results are parts of
// the log or of its uncompressed records. A copy of a record, which a repeated
// write leaves, changes nothing.
func readLog(log []byte, epoch tag) (map[byte]*slotLog, error) {
	r := logReader{slots: map[byte]*slotLog{}, epoch: epoch}
	if err := r.records(log, true); err != nil {
		return nil, err
	}
	return r.slots, nil
}

type logReader struct {
	slots map[byte]*slotLog
	epoch tag
}

// records reads a row of records; packed ones only if they are allowed.
func (r *logReader) records(b []byte, packed bool) error {
	for len(b) > 0 {
		kind := b[0]
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) || size == 0 {
			return errLog
		}
		payload := b[1+n : 1+n+int(size)]
		b = b[1+n+int(size):]
		var err error
		if kind == recPacked && packed {
			err = r.unpack(payload)
		} else {
			err = r.record(kind, payload)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unpack reads the records in a packed one.
func (r *logReader) unpack(payload []byte) error {
	size, err := s2.DecodedLen(payload)
	if err != nil || size > packUpTo+2*maxRecord {
		return errLog
	}
	raw, err := s2.Decode(nil, payload)
	if err != nil {
		return errLog
	}
	return r.records(raw, false)
}

// record reads one record of a slot; payload is not empty.
func (r *logReader) record(kind byte, payload []byte) error {
	l := r.slots[payload[0]]
	if l == nil {
		l = &slotLog{}
		r.slots[payload[0]] = l
	}
	payload = payload[1:]
	switch kind {
	case recSettled:
		return l.settled(payload)
	case recPart:
		return l.part(payload)
	case recStored:
		items, err := results.NewBitmap(payload)
		if err != nil {
			return errLog
		}
		l.Stored.Union(items)
		return nil
	case recComplete:
		l.complete = l.complete || bytes.Equal(payload, r.epoch[:])
		return nil
	}
	return errLog
}

func (l *slotLog) part(b []byte) error {
	if len(b) < 6 {
		return errLog
	}
	var ms int64
	for _, v := range b[:6] {
		ms = ms<<8 | int64(v)
	}
	items, err := results.NewBitmap(b[6:])
	if err != nil || len(items) == 0 {
		return errLog
	}
	if items.Overlaps(l.inParts) {
		return nil // a copy
	}
	l.inParts.Union(items)
	l.Parts = append(l.Parts, Part{Items: items, At: time.UnixMilli(ms)})
	return nil
}

func (l *slotLog) settled(b []byte) error {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > results.MaxItems {
		return errLog
	}
	c := cursor{rest: b[n:]}
	var cost results.Cost
	for range count {
		s := c.settled(cost)
		if c.bad {
			return errLog
		}
		cost = s.Cost
		if !l.seen.Has(s.Index) {
			l.seen.Set(s.Index)
			l.Settled = append(l.Settled, s)
		}
	}
	if len(c.rest) > 0 {
		return errLog
	}
	return nil
}

// cursor reads a payload; bad is set, for good, by the first thing broken.
type cursor struct {
	rest []byte
	bad  bool
}

// settled reads what appendSettled wrote.
func (c *cursor) settled(before results.Cost) results.Settled {
	bits := c.take(1)
	index := c.uvarint()
	if c.bad || index >= results.MaxItems {
		c.bad = true
		return results.Settled{}
	}
	s := results.Settled{
		Index: int(index), Cost: before,
		Status: statusOf(bits[0] & maskStatus), Source: sourceOf(bits[0] >> shiftSource & maskSource),
	}
	if bits[0]&bitSameCost == 0 {
		s.Cost = results.Cost{Amount: c.text(), Currency: c.text()}
	}
	s.JSON = c.take(c.uvarint())
	c.bad = c.bad || s.Status == ""
	return s
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// text reads a length byte and that many bytes.
func (c *cursor) text() string {
	n := c.take(1)
	if c.bad {
		return ""
	}
	return string(c.take(uint64(n[0])))
}

// take returns the next n bytes, nil if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}
