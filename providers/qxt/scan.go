package qxt

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that are skipped. Documented replies are
// three deep.
const maxDepth = 64

// kind is the type of a JSON value, by its first byte.
type kind byte

const (
	kindNone   kind = 0 // the field is not there, or null
	kindString kind = '"'
	kindNumber kind = '0'
	kindBool   kind = 'b'
	kindObject kind = '{'
	kindArray  kind = '['
)

// scalar is a value as read: the text of a string without its escapes, of a
// number as written; nothing of an object or array. It is valid until the next
// entry is read.
type scalar struct {
	kind kind
	text []byte
}

// scanner reads JSON strictly (RFC 8259, no more) and without allocating: a
// reply of a thousand entries is read for every call, and encoding/json spends
// ten times as long on it. A method that returns false has met a syntax error;
// the reading is over then.
type scanner struct {
	data []byte
	pos  int
	// scratch holds strings that had escapes; reset for each entry.
	scratch []byte
}

// peek is the next byte that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return 0xFF // a control character: matches nothing
		}
		s.pos++
	}
	return 0
}

// take consumes c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos == len(s.data) {
		return false
	}
	s.pos++
	return true
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool { return s.peek() == 0 && s.pos == len(s.data) }

// object reads an object, calling field for each name; field has to read the value.
func (s *scanner) object(field func(name []byte) bool) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		name, ok := s.str()
		if !ok || !s.take(':') || !field(name) {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// array reads an array, calling element for each; element has to read the value.
func (s *scanner) array(element func() bool) bool {
	if !s.take('[') {
		return false
	}
	if s.take(']') {
		return true
	}
	for element() {
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// scalar reads any value; of an object or array it keeps only the kind.
func (s *scanner) scalar() (scalar, bool) { return s.value(0) }

// skip reads any value and forgets it.
func (s *scanner) skip() bool {
	_, ok := s.value(0)
	return ok
}

func (s *scanner) value(depth int) (scalar, bool) {
	switch c := s.peek(); c {
	case '"':
		text, ok := s.str()
		return scalar{kindString, text}, ok
	case '{':
		ok := depth < maxDepth && s.object(func([]byte) bool { _, ok := s.value(depth + 1); return ok })
		return scalar{kind: kindObject}, ok
	case '[':
		ok := depth < maxDepth && s.array(func() bool { _, ok := s.value(depth + 1); return ok })
		return scalar{kind: kindArray}, ok
	case 't':
		return scalar{kindBool, []byte("true")}, s.literal("true")
	case 'f':
		return scalar{kindBool, []byte("false")}, s.literal("false")
	case 'n':
		return scalar{}, s.literal("null")
	default:
		text, ok := s.number()
		return scalar{kindNumber, text}, ok
	}
}

func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return false
	}
	s.pos += len(word)
	return true
}

func (s *scanner) number() ([]byte, bool) {
	start := s.pos
	s.skipByte('-')
	if !s.skipByte('0') && !s.digits() {
		return nil, false
	}
	if s.skipByte('.') && !s.digits() {
		return nil, false
	}
	if s.skipByte('e') || s.skipByte('E') {
		if !s.skipByte('+') {
			s.skipByte('-')
		}
		if !s.digits() {
			return nil, false
		}
	}
	return s.data[start:s.pos], true
}

func (s *scanner) skipByte(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// str reads a string. Without escapes it is a piece of the data itself.
func (s *scanner) str() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	start := s.pos
	i := stringEnd(s.data, start)
	if i == len(s.data) {
		return nil, false
	}
	switch s.data[i] {
	case '"':
		s.pos = i + 1
		return s.data[start:i], true
	case '\\':
		s.pos = i
		return s.escaped(start)
	}
	return nil, false // a control character
}

// stringEnd is where data has the next quote, backslash or control character
// from i on, its length if none. It looks at eight bytes at a time: a subtraction
// borrows into the top bit of a byte that is below what is subtracted. Bytes
// behind such a one may be marked too, the first mark is always right.
func stringEnd(data []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		marks := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & tops
		if marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// escaped reads on from the first escape of the string that began at start.
func (s *scanner) escaped(start int) ([]byte, bool) {
	from := len(s.scratch)
	s.scratch = append(s.scratch, s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		s.pos++
		switch {
		case c == '"':
			return s.scratch[from:], true
		case c < ' ':
			return nil, false
		case c != '\\':
			s.scratch = append(s.scratch, c)
		case !s.escape():
			return nil, false
		}
	}
	return nil, false
}

// escape reads what follows a backslash.
func (s *scanner) escape() bool {
	if s.pos >= len(s.data) {
		return false
	}
	c := s.data[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	default:
		return false
	}
	s.scratch = append(s.scratch, c)
	return true
}

// unicode reads the digits of \uXXXX, and a second one if they are the first
// half of a pair. A half alone becomes U+FFFD, as in encoding/json.
func (s *scanner) unicode() bool {
	r, ok := s.hex()
	if !ok {
		return false
	}
	if utf16.IsSurrogate(r) {
		mark := s.pos
		low := rune(-1)
		if s.skipByte('\\') && s.skipByte('u') {
			if low, ok = s.hex(); !ok {
				return false
			}
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			s.pos = mark
		}
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return true
}

func (s *scanner) hex() (rune, bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	var r rune
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 4
	return r, true
}
