package results

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"iter"
	"math/bits"
)

// MaxItems bounds item indexes, and so bitmaps: a job that was refused for having
// too many items still gets failed results for this many.
const MaxItems = 10_000

// digestSize is how much of the hash of its bitmap stands in a part's message id.
const digestSize = 12

// ErrBitmap says that a text is no bitmap of item indexes.
var ErrBitmap = errors.New("not a bitmap of item indexes: want base64 of at most 1250 bytes")

// Bitmap is a set of item indexes: item i is bit i%8 (1<<0 first) of byte i/8.
// Two equal sets have equal bitmaps: there are no zero bytes at the end. The zero
// value is the empty set. Not for parallel use.
type Bitmap []byte //nolint:recvcheck // Set and Union make it longer, as append does

// Set adds item i, which must be in [0, MaxItems).
func (b *Bitmap) Set(i int) { *b = b.with(i) }

// with is Set as append is: the result takes the place of b.
func (b Bitmap) with(i int) Bitmap {
	for len(b) <= i/8 {
		b = append(b, 0)
	}
	b[i/8] |= 1 << (i % 8)
	return b
}

// Has tells whether item i is in the set.
func (b Bitmap) Has(i int) bool { return i >= 0 && i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

// Count is the number of items in the set.
func (b Bitmap) Count() int {
	n := 0
	for _, v := range b {
		n += bits.OnesCount8(v)
	}
	return n
}

// Items yields the indexes in ascending order.
func (b Bitmap) Items() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, v := range b {
			for ; v != 0; v &= v - 1 {
				if !yield(8*i + bits.TrailingZeros8(v)) {
					return
				}
			}
		}
	}
}

// Union adds the items of o.
func (b *Bitmap) Union(o Bitmap) {
	for len(*b) < len(o) {
		*b = append(*b, 0)
	}
	for i, v := range o {
		(*b)[i] |= v
	}
}

// Overlaps tells whether b and o have an item in common.
func (b Bitmap) Overlaps(o Bitmap) bool {
	for i := range min(len(b), len(o)) {
		if b[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// String is the set as it stands in the Lookup-Items header: standard base64.
func (b Bitmap) String() string { return base64.StdEncoding.EncodeToString(b) }

// Digest stands for the set in a part's message id: the same set, the same part.
func (b Bitmap) Digest() []byte {
	d := b.digest()
	return d[:]
}

func (b Bitmap) digest() [digestSize]byte {
	sum := sha256.Sum256(b)
	return [digestSize]byte(sum[:])
}

// ParseBitmap reads what String writes. Zero bytes at the end are tolerated and dropped.
func ParseBitmap(s string) (Bitmap, error) {
	if len(s) > base64.StdEncoding.EncodedLen((MaxItems+7)/8) {
		return nil, ErrBitmap
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrBitmap
	}
	return NewBitmap(raw)
}

// NewBitmap checks raw bytes and makes a set of them; raw is not copied.
func NewBitmap(raw []byte) (Bitmap, error) {
	if len(raw) > (MaxItems+7)/8 {
		return nil, ErrBitmap
	}
	for len(raw) > 0 && raw[len(raw)-1] == 0 {
		raw = raw[:len(raw)-1]
	}
	return Bitmap(raw), nil
}
