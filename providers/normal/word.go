package normal

import (
	"strings"
	"unicode"

	"github.com/lookupq/lookupq/providers"
)

// maxWord cuts what is no name or word.
const maxWord = 256

// Word is what an upstream wrote where a name or a word is to be, valid UTF-8 and
// cut to 256 bytes or the character more that the cut goes through.
func Word(text string) string {
	if len(text) > maxWord {
		text = strings.Clone(text[:maxWord]) // the rest is not to be kept with it
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// Digits reports whether text is one or more of the ASCII digits and nothing else.
func Digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// YesNo is what an upstream's word for yes, no or "cannot tell" means; the last
// is Undetermined. It is false for an empty word and one that says nothing of the
// kind. Blanks and case do not count.
func YesNo(word string) (providers.Tri, bool) {
	switch Tight(word) {
	case "yes", "y", "true", "t", "1", "是", "有":
		return providers.Yes, true
	case "no", "n", "false", "f", "0", "否", "不是", "无", "没有":
		return providers.No, true
	case "unknown", "undetermined", "未知", "不明", "不确定":
		return providers.Undetermined, true
	}
	return providers.Unknown, false
}

// Tight drops all blanks and the case, which do not tell words apart; also marks
// that nobody sees: a byte order mark, a zero-width space.
func Tight(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\uFEFF' || r == '\u200B' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}
