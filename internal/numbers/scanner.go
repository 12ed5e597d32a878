package numbers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// scanner reads text that holds more than digits and plain separators. It goes
// rune by rune; at the first rune that ends or spoils the number it looks at the
// rest as a whole and decides.
type scanner struct {
	dial
	text string // what is left to read
	rest string // text without its first rune
	// broken is set once anything but a digit was read: "20.15.00" ends in a
	// group, "13800138000.0" in the fraction that a spreadsheet added.
	broken bool
}

// run fills the dial string.
func (s *scanner) run() Problem {
	if len(s.text) > maxText {
		return TooLong
	}
	s.text = strings.TrimSpace(s.text)
	switch {
	case s.text == "":
		return Empty
	case isFormula(s.text):
		return Formula
	case isScientific(s.text):
		return Scientific
	}
	for s.text != "" {
		r, size := utf8.DecodeRuneInString(s.text)
		s.rest = s.text[size:]
		done, why := s.step(r)
		if done || why != OK {
			return why
		}
		s.text = s.rest
	}
	if s.n == 0 {
		return NoDigits
	}
	return OK
}

// step reads one rune; done means that the number is complete before it.
func (s *scanner) step(r rune) (done bool, why Problem) {
	if v, ok := digitValue(r); ok {
		return false, s.add(v)
	}
	switch {
	case s.n == 0:
		return false, s.before(r)
	case isMask(r):
		return false, Masked
	case isTrunkZero(s.text) && s.plus && s.trunk == 0:
		s.trunk = s.n + 1 // the zero itself is read next
	case r == '.' && s.isFraction():
		return true, OK
	case (r == '/' || r == '\n') && !s.secondNumber():
	case !isSeparator(r) || r == '\n':
		return s.ending(r)
	}
	s.broken = true
	return false, OK
}

// isFraction recognises the ".0" that a spreadsheet adds to a number.
func (s *scanner) isFraction() bool { return !s.broken && s.n > fullNumber && onlyOf(s.rest, "0") }

// before judges a rune in front of the first digit: nothing there matters but a
// '+', hidden digits, and a letter typed for the first digit.
func (s *scanner) before(r rune) Problem {
	next, _ := utf8.DecodeRuneInString(s.rest)
	switch {
	case isMask(r) && isMask(next): // a single one is a bullet
		return Masked
	case !s.broken && isLookalike(r) && next <= unicode.MaxASCII && isDigit(byte(next)):
		return Unreadable
	}
	s.broken = true
	s.plus = isPlus(r) || s.plus && isSeparator(r)
	return OK
}

func (s *scanner) add(v byte) Problem {
	if s.n == maxDigits {
		return TooLong
	}
	s.n++
	s.buf[s.n] = '0' + v
	return OK
}

// ending decides about the rest of the text, whose first rune r cannot be part
// of a number written in digits.
func (s *scanner) ending(r rune) (done bool, why Problem) {
	left := countDigits(s.text)
	switch {
	case isPlaceholder(s.text, left):
		return false, Masked
	case s.vanity():
		return true, OK
	case left == 0 && isLookalike(r) && s.rest == "":
		return false, Unreadable
	case left == 0: // words after the number
		return true, OK
	case s.secondNumber():
		return false, Several
	case isExtension(s.text, r) && s.n >= fullNumber:
		return true, OK
	}
	return false, Unreadable
}

func (s *scanner) secondNumber() bool {
	return s.n >= fullNumber && countDigits(s.text) >= fullNumber
}

// vanity reads "1-800-FLOWERS": a service code, then capitals for exactly the
// digits that such a number still lacks. Anything looser would turn names into
// digits.
func (s *scanner) vanity() bool {
	if !isServiceCode(s.digits()) {
		return false
	}
	letters, keys := 0, make([]byte, 0, fullNumber)
	for i := range len(s.text) {
		c := s.text[i]
		switch {
		case len(keys) == fullNumber:
			return false
		case c >= 'A' && c <= 'Z':
			letters++
			keys = append(keys, "22233344455566677778889999"[c-'A'])
		case isDigit(c):
			keys = append(keys, c)
		case c != ' ' && c != '-' && c != '.':
			return false
		}
	}
	if letters < 3 || len(keys) < fullNumber-1 {
		return false
	}
	s.n += copy(s.buf[s.n+1:], keys)
	return true
}

// isServiceCode accepts 800, 888, 900, the same after a 1, and Australia's 1300.
func isServiceCode(code []byte) bool {
	if len(code) == 4 && code[0] == '1' {
		if string(code) == "1300" {
			return true
		}
		code = code[1:]
	}
	return len(code) == 3 && code[0] >= '8'
}

// isFormula tells =HYPERLINK(...) from the ="138..." that keeps a spreadsheet
// from rounding.
func isFormula(s string) bool {
	if s[0] != '=' {
		return false
	}
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s[1:], "+- "))
	return unicode.IsLetter(r)
}

// isScientific recognises 1.38E+10 and 1,38E+10: the last digits are gone.
func isScientific(s string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(s), "E")
	return ok && onlyOf(mantissa, "+-0123456789.,") && onlyOf(exponent, "+-0123456789")
}

func onlyOf(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }

// isExtension reports whether rest, which starts with r, names an extension of
// the number before it. Its digits are dropped: upstreams know no extensions.
func isExtension(rest string, r rune) bool {
	switch r {
	case '#', '＃', ',', ';', '，', '；':
		return true
	}
	word := rest
	if end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		word = rest[:end]
	}
	switch strings.ToLower(word) {
	case "x", "ｘ", "xt", "ext", "extn", "extension", "extensión", "int", "anexo", "ramal", "poste",
		"доб", "转", "轉", "分机", "分機", "内线", "内線", "內線":
		return true
	}
	return false
}

// digitValue maps the decimal digits of every script. Unicode keeps a script's
// ten in one run that starts with zero, so every range is a multiple of ten.
func digitValue(r rune) (byte, bool) {
	switch {
	case r <= unicode.MaxASCII:
		return byte(r) - '0', r >= '0' && r <= '9'
	case r >= '０' && r <= '９': // by far the most frequent of the others
		return byte(r - '０'), true
	}
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), true
		}
	}
	return 0, false
}

func countDigits(s string) int {
	n := 0
	for _, r := range s {
		if _, ok := digitValue(r); ok {
			n++
		}
	}
	return n
}

func isPlus(r rune) bool { return r == '+' || r == '＋' || r == '﹢' }

// isMask recognises what stands for hidden digits.
func isMask(r rune) bool {
	switch r {
	case '*', '＊', '•', '●', '×', '█':
		return true
	}
	return false
}

// isPlaceholder recognises the x of "138xxxx8000" and "1380013800x", which is
// none of an extension; left counts the digits of rest.
func isPlaceholder(rest string, left int) bool {
	if rest[0] != 'x' && rest[0] != 'X' {
		return false
	}
	return left == 0 || len(rest) > 1 && rest[1]|' ' == 'x'
}

// isLookalike recognises letters that are typed, or read by OCR, for 0 and 1.
func isLookalike(r rune) bool { return r == 'O' || r == 'o' || r == 'l' || r == 'I' }

// isSeparator recognises what may stand between the digits of one number: any
// space, dash, bracket or invisible mark, the full stop and the underscore.
func isSeparator(r rune) bool {
	switch r {
	case '.', '．', '·', '_', '~', '～':
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Cf, unicode.Pd, unicode.Ps, unicode.Pe) ||
		r == '−' || r == 'ー'
}
