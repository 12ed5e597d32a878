package portcheck

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
)

// action is what a code, or the words beside it, ask for.
type action uint8

const (
	// actUnknown: nobody knows what it means; try again, not for long.
	actUnknown action = iota
	// actInvalid: the number is none.
	actInvalid
	// actNotFound: nothing is known of the number.
	actNotFound
	// actReject: this number only, and for good.
	actReject
	// actRefused: something in the request, most likely the number.
	actRefused
	// actRetry: their fault, later it may work.
	actRetry
	// actRetryNumber: later, and only this number.
	actRetryNumber
	// actPauseKey: the key is used too fast.
	actPauseKey
	// actNoBalance: the key's money is spent.
	actNoBalance
	// actDisableKey: nobody has this key.
	actDisableKey
	// actForbidden: the key may not do this from here.
	actForbidden
	// actBug: our request is malformed.
	actBug
	// actMisconfigured: there is nothing at this address.
	actMisconfigured
)

// UnmarshalYAML reads an action by its name.
func (a *action) UnmarshalYAML(node *yaml.Node) error {
	return oneOf(node, "action", map[string]action{
		"unknown": actUnknown, "invalid_number": actInvalid, "not_found": actNotFound, "reject_number": actReject,
		"retry": actRetry, "pause_key": actPauseKey, "no_balance": actNoBalance, "disable_key": actDisableKey,
		"forbidden": actForbidden, "bug": actBug, "misconfigured": actMisconfigured,
	}, a)
}

// kind is the failure of a call, or number, that a asks for.
func (a action) kind() providers.Kind {
	switch a {
	case actInvalid, actNotFound, actReject:
		return providers.KindRejected
	case actRefused:
		return providers.KindRefused
	case actRetry:
		return providers.KindUnavailable
	case actRetryNumber:
		return providers.KindRetryable
	case actPauseKey:
		return providers.KindThrottled
	case actNoBalance:
		return providers.KindNoBalance
	case actDisableKey:
		return providers.KindUnauthorized
	case actForbidden:
		return providers.KindForbidden
	case actBug:
		return providers.KindInternal
	case actMisconfigured:
		return providers.KindMisconfigured
	case actUnknown:
	}
	return providers.KindUndocumented
}

// subjects are what a message speaks of.
type subjects struct {
	absent           bool // nothing is known of it
	number, form     bool // a phone number; a form that is wrong, of whatever
	request          bool // the request as such
	key              bool
	balance, arrears bool // money; and what a number may lack, too
	pace, limit      bool // how often; and a limit of whatever
}

func subjectsOf(message string) subjects {
	m := strings.ToLower(message)
	return subjects{
		absent:  has(m, "查无", "未查到", "未查询到", "无记录", "无结果", "无数据", "no data", "no record", "no result"),
		number:  has(m, "手机号", "号码", "mobile", "phone"),
		form:    has(m, "invalid", "格式", "format"),
		request: has(m, "参数", "请求", "param", "request", "json", "body", "method"),
		key: has(m, "密钥", "令牌", "鉴权", "认证", "授权", "权限", "签名", "token", "auth", "apikey", "appkey", "appcode") ||
			hasWord(m, "key"),
		balance: has(m, "余额", "充值", "quota", "balance"),
		arrears: has(m, "欠费", "次数"),
		pace:    has(m, "频繁", "频率", "限流", "过快", "too many", "too fast") || hasWord(m, "qps"),
		limit:   has(m, "limit"),
	}
}

// byWords is what a message asks for.
func byWords(message string) action {
	s := subjectsOf(message)
	switch {
	case s.balance:
		return actNoBalance
	case s.absent && !s.key:
		return actNotFound
	case s.number:
		return s.ofNumber()
	case s.key:
		return actDisableKey
	case s.arrears:
		return actNoBalance
	case s.pace, s.limit:
		return actPauseKey
	case s.form && s.request:
		return actRefused
	case s.form:
		return actInvalid
	}
	return actUnknown
}

// ofNumber is what a message asks for that speaks of a number. If it speaks of
// the key, a limit or arrears, too, it may mean either: to reject the number for
// the key's fault, or to stop the key for the number's, would be worse than to
// ask again.
func (s *subjects) ofNumber() action {
	switch {
	case s.key, s.arrears, s.limit:
		return actUnknown
	case s.pace:
		return actRetryNumber
	}
	return actInvalid
}

func has(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// hasWord looks for a word of Latin letters that is not a piece of a longer one.
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

func latin(c byte) bool { return c >= 'a' && c <= 'z' }
