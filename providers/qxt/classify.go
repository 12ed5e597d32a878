package qxt

import "strings"

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

// classifier turns a code other than success, and its reason, into an action:
// first by the operator's own rules, then by what the reason says, then by the
// code, because the wording of the code table is better known than its numbers.
type classifier struct {
	codes   codeActions
	reasons reasonActions
}

// action decides. hasCode is false if the entry's code cannot be read. keyFits
// says that the key has the documented length, which settles reasons that name
// both the key and the number.
func (c *classifier) action(e *entry, keyFits bool) action {
	reason := strings.ToLower(string(e.reason[:min(len(e.reason), maxReasonBytes)]))
	for _, r := range c.reasons {
		if r.matches(reason) {
			return *r.Action
		}
	}
	if a, ok := c.codes[e.code]; ok && e.hasCode {
		return a
	}
	if a := byCertainCode(e); a != actUnknown {
		return a
	}
	if a := byReason(e, reason, keyFits); a != actUnknown {
		return a
	}
	return byCode(e)
}

// byCertainCode goes before the words: both sentences speak of numbers and
// limits, and a batch that is too large must not end as a pause without end.
func byCertainCode(e *entry) action {
	switch {
	case e.hasCode && e.code == codeTooMany:
		return actSplit
	case e.hasCode && e.code == codeBadJSON:
		return actBug
	}
	return actUnknown
}

// byReason knows the words of the vendor's sentences, the more telling first.
func byReason(e *entry, reason string, keyFits bool) action {
	switch {
	case blamesKey(e, reason, keyFits):
		return actDisableKey
	case has(reason, "余额", "欠费", "充值"):
		return actNoBalance
	case hasWord(reason, "ip") || has(reason, "白名单", "授权", "权限"):
		return actForbidden
	case has(reason, "频繁", "频率", "过快", "并发"):
		return actPauseKey
	case has(reason, "限制") && !blamesNumber(e, reason):
		return actPauseKey // but "number limited to 11 digits" is no limit of the key
	case blamesNumber(e, reason):
		return numberAction(e, reason)
	case (hasWord(reason, "json") || hasWord(reason, "post") || has(reason, "参数")) && e.code != codeParameter:
		return actBug
	case has(reason, "系统", "服务器", "异常", "超时", "繁忙"):
		return actRetry
	}
	return actUnknown
}

// blamesKey: the word alone is enough with the code for parameters. A sentence
// that names key and number says nothing; then the key's length decides.
func blamesKey(e *entry, reason string, keyFits bool) bool {
	if !strings.Contains(reason, "apikey") {
		return false
	}
	if e.code == codeParameter && has(reason, "手机号", "号码") {
		return !keyFits
	}
	return e.code == codeParameter || has(reason, "不", "错", "无效", "匹配")
}

// blamesNumber: nearly every sentence of this vendor can speak of numbers, so
// the words count only beside a code that may be about one.
func blamesNumber(e *entry, reason string) bool {
	if !has(reason, "手机号", "号码") {
		return false
	}
	switch e.code {
	case codeBadKey, codeNoBalance, codeBadBody, codeServer:
		return false
	}
	return true
}

func numberAction(e *entry, reason string) action {
	switch e.code {
	case codeParameter, codeBadNumber:
		return actInvalid
	case codeNotFound:
		return actNotFound
	}
	if has(reason, "系统", "服务器", "超时", "繁忙") {
		return actRetry // "looking up the number timed out" is not the number's fault
	}
	return actReject
}

// byCode is the vendor's table, for reasons without a word that is known.
func byCode(e *entry) action {
	if !e.hasCode {
		return actUnknown
	}
	switch e.code {
	case codeParameter, codeBadNumber:
		return actInvalid
	case codeBadKey:
		return actDisableKey
	case codeNotFound:
		return actNotFound
	case codeNoBalance:
		return actNoBalance
	case codeBadBody:
		return actBug
	case codeServer:
		return actRetry
	}
	return actUnknown // -3 and -5, whose sentences are lost, and whatever is new
}

func has(reason string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(reason, w) {
			return true
		}
	}
	return false
}

// hasWord looks for a word of Latin letters that is not a piece of a longer one:
// the ip in "Init_isp" or "tips" is none.
func hasWord(reason, word string) bool {
	for from := 0; ; {
		i := strings.Index(reason[from:], word)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(word)
		if (i == 0 || !latin(reason[i-1])) && (end == len(reason) || !latin(reason[end])) {
			return true
		}
		from = end
	}
}

func latin(c byte) bool { return c >= 'a' && c <= 'z' || c == '_' }
