// Package words reads the messages that Chinese upstreams put beside their
// errors, one vocabulary for all of them. What comes in is a message in lower
// case, what goes out is what it speaks of, and a Verdict: what it asks for. The
// order in which the words count is each provider's own, because it depends on
// what its codes have said before. It is pure, safe in parallel, and holds no
// state.
package words

import "strings"

// Number reports whether text speaks of a phone number.
func Number(text string) bool { return Has(text, "手机号", "号码") }

// Money reports whether text speaks of the account's money.
func Money(text string) bool { return Has(text, "余额", "充值") }

// Pace reports whether text speaks of how often, or how many at once, was asked.
func Pace(text string) bool { return Has(text, "频繁", "频率", "过快", "并发") }

// Fault reports whether text speaks of trouble at the upstream's side.
func Fault(text string) bool { return Has(text, "系统", "服务器", "异常", "超时", "繁忙") }

// Has reports whether any of words is in text, be it in the middle of another.
func Has(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// HasWord reports whether one of words, of Latin letters in lower case, is in
// text and no piece of a longer one: the ip in "init_isp" or "tips" is none.
func HasWord(text string, words ...string) bool {
	for _, w := range words {
		if hasWord(text, w) {
			return true
		}
	}
	return false
}

func hasWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(word)
		if (i == 0 || !latin(text[i-1])) && (end == len(text) || !latin(text[end])) {
			return true
		}
		from = end
	}
}

func latin(c byte) bool { return c >= 'a' && c <= 'z' || c == '_' }

// Fold brings text to lower case and parts the words of Latin letters that are
// written as one: "API_KEY" and "apiKey" become "api key".
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	small := false
	for _, c := range strings.ToValidUTF8(text, "\uFFFD") {
		large := c >= 'A' && c <= 'Z'
		if large && small {
			b.WriteByte(' ')
		}
		if small = c >= 'a' && c <= 'z'; c == '_' {
			c = ' '
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}
