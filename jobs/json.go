package jobs

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// maxDepth is how deep unknown fields and options may be nested.
const maxDepth = 64

// jsonReader reads JSON text in one pass, by RFC 8259 and not a bit more
// leniently. The caller asks for what it expects; the first error sticks, and
// from then on every method does nothing, so it is asked for once, at the end.
// raw and text are the same bytes, valid UTF-8.
type jsonReader struct {
	raw  []byte
	text string
	pos  int
	err  error
}

// fail keeps the first error. It quotes nothing of the text.
func (r *jsonReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s (at byte %d)", what, r.pos)
	}
	r.pos = len(r.text)
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// open takes the '{' or '[' that must come next.
func (r *jsonReader) open(c byte) {
	if r.peek() != c {
		r.fail("want " + strconv.Quote(string(c)))
		return
	}
	r.pos++
}

// more reports whether another member or element follows, and takes the comma
// before it, or else the end. first starts true and is kept between the calls.
func (r *jsonReader) more(end byte, first *bool) bool {
	c := r.peek()
	switch {
	case r.err != nil:
		return false
	case c == end:
		r.pos++
		return false
	case *first:
		*first = false
		return true
	case c == ',':
		r.pos++
		return true
	}
	r.fail("want ',' or " + strconv.Quote(string(end)))
	return false
}

// name takes the name of a member and the colon.
func (r *jsonReader) name() string {
	s := r.str()
	if r.peek() != ':' {
		r.fail("want ':'")
		return ""
	}
	r.pos++
	return s
}

// end makes sure that nothing follows.
func (r *jsonReader) end() {
	if r.peek() != 0 || r.pos < len(r.text) {
		r.fail("something follows the object")
	}
}

// str takes a string. Without escapes, which is nearly always, the result is a
// part of the text.
func (r *jsonReader) str() string {
	if r.peek() != '"' {
		r.fail("want a string")
		return ""
	}
	from := r.pos
	for i, escaped := from+1, false; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.pos = i + 1
			if !escaped {
				return r.text[from+1 : i]
			}
			return r.unquote(from)
		case c == '\\':
			escaped = true
			n := escapeLen(r.text[i:])
			if n == 0 {
				r.pos = i
				r.fail("bad escape in a string")
				return ""
			}
			i += n - 1
		case c < ' ':
			r.pos = i
			r.fail("control character in a string")
			return ""
		}
	}
	r.fail("string without end")
	return ""
}

// unquote decodes the string from a position to the current one, which is known
// to be well-formed.
func (r *jsonReader) unquote(from int) (s string) {
	if err := json.Unmarshal(r.raw[from:r.pos], &s); err != nil {
		r.fail("bad string")
	}
	return s
}

// escapeLen is the length of the escape at the start of s, 0 if it is none or
// half of a surrogate pair, which no UTF-8 can hold.
func escapeLen(s string) int {
	const long, pair = 6, 12
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return 0
	}
	r, ok := hex4(s)
	switch {
	case !ok || r >= 0xDC00 && r < 0xE000:
		return 0
	case r < 0xD800 || r >= 0xE000:
		return long
	}
	if low, ok := hex4(s[long:]); ok && low >= 0xDC00 && low < 0xE000 {
		return pair
	}
	return 0
}

// hex4 reads the \uXXXX at the start of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	v := rune(0)
	for i := 2; i < 6; i++ {
		c := s[i]
		switch {
		case isDigit(c):
			v = v<<4 | rune(c-'0')
		case c|' ' >= 'a' && c|' ' <= 'f':
			v = v<<4 | rune(c|' '-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// integer takes a number and reports whether it is whole as it is written:
// neither fraction nor exponent.
func (r *jsonReader) integer() bool {
	whole := true
	i := r.pos
	if i < len(r.text) && r.text[i] == '-' {
		i++
	}
	from := i
	if i = r.digits(i); i == from || r.text[from] == '0' && i > from+1 {
		r.fail("bad number")
		return false
	}
	if i < len(r.text) && r.text[i] == '.' {
		whole, from = false, i+1
		if i = r.digits(from); i == from {
			r.fail("bad number")
			return false
		}
	}
	if i < len(r.text) && r.text[i]|' ' == 'e' {
		whole, i = false, i+1
		if i < len(r.text) && (r.text[i] == '+' || r.text[i] == '-') {
			i++
		}
		from = i
		if i = r.digits(from); i == from {
			r.fail("bad number")
			return false
		}
	}
	r.pos = i
	return whole
}

func (r *jsonReader) digits(i int) int {
	for i < len(r.text) && isDigit(r.text[i]) {
		i++
	}
	return i
}

// skip takes any value.
func (r *jsonReader) skip() { r.skipDeep(0) }

// literalText takes any value and returns it as written.
func (r *jsonReader) literalText() string {
	r.peek()
	from := r.pos
	r.skip()
	return r.text[from:r.pos]
}

func (r *jsonReader) skipDeep(depth int) {
	if depth > maxDepth {
		r.fail("nested too deeply")
		return
	}
	first := true
	switch c := r.peek(); {
	case c == '"':
		r.str()
	case c == '{':
		for r.open('{'); r.more('}', &first); {
			r.name()
			r.skipDeep(depth + 1)
		}
	case c == '[':
		for r.open('['); r.more(']', &first); {
			r.skipDeep(depth + 1)
		}
	case c == '-' || isDigit(c):
		r.integer()
	default:
		r.literal()
	}
}

// literal takes true, false or null.
func (r *jsonReader) literal() {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(r.text)-r.pos >= len(word) && r.text[r.pos:r.pos+len(word)] == word {
			r.pos += len(word)
			return
		}
	}
	r.fail("want a value")
}
