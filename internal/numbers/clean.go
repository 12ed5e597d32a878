package numbers

import "strings"

// Limits of what is read.
const (
	// minDigits is the shortest complete number of any country (St. Helena, Niue).
	minDigits = 4
	// maxDigits is the longest: 17 digits (Japan), calling code, dialling prefix.
	maxDigits = 24
	// maxText is how many bytes may stand around them; libphonenumber's own limit.
	maxText = 250
	// fullNumber is how many digits make a number by themselves: two such runs in
	// one text are two numbers.
	fullNumber = 7
)

// Clean reduces s to its dial string: ASCII digits, with '+' before them if s
// had one. It undoes what people and spreadsheets do (spaces, dashes, dots,
// brackets, full-width and Arabic digits, invisible marks, "tel:", ="...", a
// ".0" at the end, an extension, words around the number) and refuses what
// cannot be undone without guessing. Prefixes such as 00 and 0 stay, as their
// meaning depends on the country. It knows no numbering plan, so what it passes
// may still be no possible number. It may be called in parallel.
func Clean(s string) (string, Problem) {
	var d dial
	if why := d.read(s); why != OK {
		return "", why
	}
	if string(d.text()) == s {
		return s, OK
	}
	return string(d.text()), OK
}

// dial is a dial string under construction. It lives on the stack.
type dial struct {
	buf  [1 + maxDigits]byte // buf[0] is kept for the '+'
	n    int                 // digits so far
	plus bool
	// trunk is where a "(0)" after the calling code put its zero, 0 if nowhere:
	// some countries keep that zero, most do not.
	trunk int
}

func (d *dial) text() []byte {
	if d.plus {
		d.buf[0] = '+'
		return d.buf[:1+d.n]
	}
	return d.buf[1 : 1+d.n]
}

func (d *dial) digits() []byte { return d.buf[1 : 1+d.n] }

// read fills d from s. Text of digits, spaces, dashes and round brackets, which
// is nearly all there is, takes one pass over its bytes; a scanner reads the rest.
func (d *dial) read(s string) Problem {
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) && d.n < maxDigits:
			d.n++
			d.buf[d.n] = c
		case c == '+' && i == 0:
			d.plus = true
		case c == ' ' || c == '-' || c == ')' || c == '(' && !isTrunkZero(s[i:]):
		default:
			sc := scanner{text: s}
			why := sc.run()
			if *d = sc.dial; why != OK {
				return why
			}
			return d.verdict()
		}
	}
	if d.n == 0 && strings.TrimSpace(s) != "" {
		return NoDigits
	}
	return d.verdict()
}

// verdict judges the digits alone.
func (d *dial) verdict() Problem {
	switch {
	case d.n == 0:
		return Empty
	case d.n < minDigits:
		return TooShort
	}
	for _, c := range d.digits() {
		if c != '0' {
			return OK
		}
	}
	return Zeros
}

// isTrunkZero reports whether s starts with the "(0)" of "+44 (0)20 ...".
func isTrunkZero(s string) bool { return len(s) >= 3 && s[:3] == "(0)" }
