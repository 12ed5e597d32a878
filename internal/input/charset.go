package input

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// charset is a character encoding that exports come in.
type charset uint8

const (
	undecided charset = iota // ASCII so far
	utf8Text
	gb18030
	utf16le
	utf16be
	windows1252
)

// String is the encoding's usual name.
func (c charset) String() string {
	switch c {
	case gb18030:
		return "GB18030"
	case utf16le, utf16be:
		return "UTF-16"
	case windows1252:
		return "Windows-1252"
	case undecided, utf8Text:
	}
	return "UTF-8"
}

// encoding is the converter of c; nil where none is needed.
func (c charset) encoding() encoding.Encoding {
	switch c {
	case gb18030:
		return simplifiedchinese.GB18030
	case utf16le:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case utf16be:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case windows1252:
		return charmap.Windows1252
	case undecided, utf8Text:
	}
	return nil
}

// bom tells the encoding from a byte order mark and how long the mark is.
func bom(b []byte) (cs charset, skip int) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return utf8Text, 3
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return utf16le, 2
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return utf16be, 2
	case bytes.HasPrefix(b, []byte("\x84\x31\x95\x33")):
		return gb18030, 4
	}
	return undecided, 0
}

// utf16ByZeros recognises UTF-16 without a mark: digits, delimiters and line ends
// are zero in every second byte. Text in an 8-bit encoding has no zeros.
func utf16ByZeros(b []byte) charset {
	var zeros [2]int
	for i, c := range b {
		if c == 0 {
			zeros[i&1]++
		}
	}
	enough := max(1, len(b)/8)
	switch {
	case zeros[1] >= enough && zeros[0] == 0:
		return utf16le
	case zeros[0] >= enough && zeros[1] == 0:
		return utf16be
	}
	return undecided
}

// guess decides between UTF-8, GB18030 and Windows-1252 from text that holds
// bytes above 0x7f. Unless complete, the sample's last character may be cut.
func guess(sample []byte, complete bool) charset {
	if validUTF8(sample, complete) {
		return utf8Text
	}
	// A single bad byte in otherwise good UTF-8 is damage, not another encoding.
	good, bad := countUTF8(sample)
	if good > 10*bad {
		return utf8Text
	}
	if looksGB18030(sample, complete) {
		return gb18030
	}
	return windows1252
}

// validUTF8 reports whether b is UTF-8, but for a cut last character.
func validUTF8(b []byte, complete bool) bool {
	if complete {
		return utf8.Valid(b)
	}
	for cut := 0; cut < utf8.UTFMax && cut <= len(b); cut++ {
		if utf8.Valid(b[:len(b)-cut]) {
			return cut == 0 || !utf8.FullRune(b[len(b)-cut:])
		}
	}
	return false
}

// countUTF8 counts well-formed characters above ASCII and bytes that are part of none.
func countUTF8(b []byte) (good, bad int) {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		switch {
		case c == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		b = b[n:]
	}
	return good, bad
}

// looksGB18030 reports whether b is well-formed GB18030 whose characters are
// mostly of the common plane (both bytes 0xa1 and above). Western text misread as
// GB18030 is well-formed too, often, but pairs an accented letter with an ASCII one.
func looksGB18030(b []byte, complete bool) bool {
	common, rare, bad := 0, 0, 0
	for i := 0; i < len(b); {
		n := gbLength(b[i:])
		switch {
		case n == 0 && !complete && i+4 > len(b): // cut at the end of the sample
			i = len(b)
			continue
		case n == 0:
			bad++
			n = 1
		case n == 4:
			common++ // a four-byte form never comes about by accident
		case n == 2 && b[i] >= 0xa1 && b[i+1] >= 0xa1:
			common++
		case n == 2:
			rare++
		}
		i += n
	}
	return common > rare && bad*20 <= common
}

// gbLength is the length of the GB18030 character at the start of b, 0 if there is none.
func gbLength(b []byte) int {
	switch {
	case b[0] < 0x80:
		return 1
	case b[0] == 0x80 || b[0] == 0xff || len(b) < 2:
		return 0
	case b[1] >= 0x40 && b[1] != 0x7f && b[1] != 0xff:
		return 2
	case b[1] >= 0x30 && b[1] <= 0x39 && len(b) >= 4 && b[2] >= 0x81 && b[2] != 0xff && b[3] >= 0x30 && b[3] <= 0x39:
		return 4
	}
	return 0
}
