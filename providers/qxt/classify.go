package qxt

import (
	"strings"

	"github.com/lookupq/lookupq/providers/words"
)

// Codes of the vendor's table. Its only surviving copy is a scan: the readings of
// -6, -8 and 1 are likely, those of -3 and -5 are lost, the others are certain.
const (
	codeSuccess    = 0
	codeParameter  = 1   // apikey or number fails the check: the reason says which
	codeBadKey     = -1  // apikey belongs to no account
	codeBadNumber  = -2  // wrong length or format
	codeNotFound   = -4  // nothing found, or a number they do not serve
	codeNoBalance  = -6  // balance spent
	codeBadBody    = -7  // batch: body is wrong or names no number
	codeServer     = -8  // abnormal result, server error
	codeBadJSON    = -9  // body is no JSON
	codeTooMany    = -10 // more than 1000 numbers
	apikeyLength   = 32
	maxBatch       = 1000
	mobileDigits   = 11
	countryCodeCN  = "86"
	countryISO     = "CN"
	maxReasonBytes = 1024 // more of a reason is not looked at
)

// classifier turns a code other than success, and its reason, into a verdict:
// first by the operator's own rules, then by what the reason says, then by the
// code, because the wording of the code table is better known than its numbers.
type classifier struct {
	codes   codeActions
	reasons reasonActions
}

// verdict decides. hasCode is false if the entry's code cannot be read. keyFits
// says that the key has the documented length, which settles reasons that name
// both the key and the number.
func (c *classifier) verdict(e *entry, keyFits bool) words.Verdict {
	reason := strings.ToLower(string(e.reason[:min(len(e.reason), maxReasonBytes)]))
	for _, r := range c.reasons {
		if r.matches(reason) {
			return words.Verdict(*r.Action)
		}
	}
	if v, ok := c.codes[e.code]; ok && e.hasCode {
		return v
	}
	if v := byCertainCode(e); v != words.Unknown {
		return v
	}
	if v := byReason(e, reason, keyFits); v != words.Unknown {
		return v
	}
	return byCode(e)
}

// byCertainCode goes before the words: both sentences speak of numbers and
// limits, and a batch that is too large must not end as a pause without end.
func byCertainCode(e *entry) words.Verdict {
	switch {
	case e.hasCode && e.code == codeTooMany:
		return words.Split
	case e.hasCode && e.code == codeBadJSON:
		return words.Bug
	}
	return words.Unknown
}

// byReason knows the words of the vendor's sentences, the more telling first.
func byReason(e *entry, reason string, keyFits bool) words.Verdict {
	switch {
	case blamesKey(e, reason, keyFits):
		return words.DisableKey
	case words.Money(reason) || words.Has(reason, "欠费"):
		return words.NoBalance
	case words.HasWord(reason, "ip") || words.Has(reason, "白名单", "授权", "权限"):
		return words.Forbidden
	case words.Pace(reason):
		return words.PauseKey
	case words.Has(reason, "限制") && !blamesNumber(e, reason):
		return words.PauseKey // but "number limited to 11 digits" is no limit of the key
	case blamesNumber(e, reason):
		return numberVerdict(e, reason)
	case (words.HasWord(reason, "json", "post") || words.Has(reason, "参数")) && e.code != codeParameter:
		return words.Bug
	case words.Fault(reason):
		return words.Retry
	}
	return words.Unknown
}

// blamesKey: the word alone is enough with the code for parameters. A sentence
// that names key and number says nothing; then the key's length decides.
func blamesKey(e *entry, reason string, keyFits bool) bool {
	if !strings.Contains(reason, "apikey") {
		return false
	}
	if e.code == codeParameter && words.Number(reason) {
		return !keyFits
	}
	return e.code == codeParameter || words.Has(reason, "不", "错", "无效", "匹配")
}

// blamesNumber: nearly every sentence of this vendor can speak of numbers, so
// the words count only beside a code that may be about one.
func blamesNumber(e *entry, reason string) bool {
	if !words.Number(reason) {
		return false
	}
	switch e.code {
	case codeBadKey, codeNoBalance, codeBadBody, codeServer:
		return false
	}
	return true
}

func numberVerdict(e *entry, reason string) words.Verdict {
	switch e.code {
	case codeParameter, codeBadNumber:
		return words.Invalid
	case codeNotFound:
		return words.NotFound
	}
	if words.Has(reason, "系统", "服务器", "超时", "繁忙") {
		return words.Retry // "looking up the number timed out" is not the number's fault
	}
	return words.Reject
}

// byCode is the vendor's table, for reasons without a word that is known.
func byCode(e *entry) words.Verdict {
	if !e.hasCode {
		return words.Unknown
	}
	switch e.code {
	case codeParameter, codeBadNumber:
		return words.Invalid
	case codeBadKey:
		return words.DisableKey
	case codeNotFound:
		return words.NotFound
	case codeNoBalance:
		return words.NoBalance
	case codeBadBody:
		return words.Bug
	case codeServer:
		return words.Retry
	}
	return words.Unknown // -3 and -5, whose sentences are lost, and whatever is new
}
