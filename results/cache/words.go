package cache

import "encoding/binary"

// A text in a value begins with one byte: 0 is the empty text; 1 to 127 are
// known words; 128 to 254 are 0 to 126 bytes that follow; 255 is followed by a
// uvarint and that many bytes.
const (
	firstInline = 128
	longText    = 255
	maxWord     = 1 << 10 // a longer text is no fact about a number; it is cut
)

// knownWords returns the words that take one byte. The order is part of the
// stored form: append to it, never change it; a test holds on to it.
func knownWords() []string {
	return []string{
		"offline", "qxt", "portcheck", "telnyx", "nxcloud",
		"mobile", "fixed_line", "fixed_line_or_mobile", "toll_free", "premium_rate", "shared_cost",
		"voip", "personal", "pager", "uan", "voicemail", "other",
		"china_mobile", "china_unicom", "china_telecom", "china_broadnet",
		"移动", "联通", "电信", "广电", "中国移动", "中国联通", "中国电信", "中国广电",
		"China Mobile", "China Unicom", "China Telecom", "China Broadnet",
		"CN", "US", "HK", "TW", "MO", "GB", "DE", "FR", "IN", "JP", "KR", "SG", "AU", "CA", "BR", "ES", "IT", "MX", "ID", "TH", "VN", "PH", "MY", "RU", "TR",
		"Asia/Shanghai", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Macau",
		"460", "00", "01", "03", "11", "15", "derived", "inconsistent",
		"No coverage", "bell", "music", "busy", "no_response", "power_off",
	}
}

// maxList bounds a list of texts.
const maxList = 64

// appendList appends a count and the texts.
func (c *codec) appendList(dst []byte, texts []string) []byte {
	texts = texts[:min(len(texts), maxList)]
	dst = append(dst, byte(len(texts)))
	for _, s := range texts {
		dst = c.appendWord(dst, s)
	}
	return dst
}

// appendWord appends the text s.
func (c *codec) appendWord(dst []byte, s string) []byte {
	if code, ok := c.codes[s]; ok {
		return append(dst, code)
	}
	if len(s) > maxWord {
		s = s[:maxWord]
	}
	if len(s) < longText-firstInline {
		dst = append(dst, byte(firstInline+len(s)))
	} else {
		dst = append(dst, longText)
		dst = binary.AppendUvarint(dst, uint64(len(s)))
	}
	return append(dst, s...)
}

// reader reads texts; bad is set, for good, by the first that is broken.
type reader struct {
	words []string
	rest  string
	bad   bool
}

func (r *reader) byte() byte {
	if r.rest == "" {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// word reads one text.
func (r *reader) word() string {
	code := r.byte()
	switch {
	case int(code) < len(r.words):
		return r.words[code]
	case code < firstInline: // a word of a newer version
		r.bad = true
		return ""
	case code < longText:
		return r.take(int(code) - firstInline)
	}
	hi, lo := r.byte(), byte(0)
	if hi >= 0x80 {
		lo = r.byte()
	}
	n := int(hi&0x7f) | int(lo)<<7
	if n > maxWord || lo >= 0x80 {
		r.bad = true
		return ""
	}
	return r.take(n)
}

// take returns the next n bytes.
func (r *reader) take(n int) string {
	if n > len(r.rest) {
		r.bad = true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// list reads several texts; nil if it is empty.
func (r *reader) list() []string {
	n := int(r.byte())
	if n == 0 || n > maxList {
		r.bad = r.bad || n > maxList
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		out = append(out, r.word())
	}
	return out
}
