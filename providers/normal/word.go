package normal

import (
	"strings"
	"unicode"

	"github.com/lookupq/lookupq/providers"
)

// YesNo is what an upstream's word for yes, no or "cannot tell" means; the last
// is Undetermined. It is false for an empty word and one that says nothing of the
// kind. Blanks and case do not count.
func YesNo(word string) (providers.Tri, bool) {
	switch tight(word) {
	case "yes", "y", "true", "t", "1", "是", "有":
		return providers.Yes, true
	case "no", "n", "false", "f", "0", "否", "不是", "无", "没有":
		return providers.No, true
	case "unknown", "undetermined", "未知", "不明", "不确定":
		return providers.Undetermined, true
	}
	return providers.Unknown, false
}

// Ported is what an upstream's word for a number's porting means. A word that
// says that nothing is known is Unknown and true; false is a word that nobody has
// explained. Blanks and case do not count, and words are compared whole: 未携转
// contains 携转.
func Ported(word string) (providers.Tri, bool) {
	switch tight(word) {
	case "未携转", "未转网", "未携号转网", "非携转", "非携号转网", "否", "0", "false", "n", "no":
		return providers.No, true
	case "已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "y", "yes":
		return providers.Yes, true
	case "", "未知", "空号", "查无", "null", "unknown":
		return providers.Unknown, true
	}
	return providers.Unknown, false
}

// tight drops all blanks and the case.
func tight(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\uFEFF' || r == '\u200B' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}
