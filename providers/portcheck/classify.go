package portcheck

import (
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/words"
)

// codeMeaning is what a code of code_map asks for.
type codeMeaning words.Verdict

// UnmarshalYAML reads a verdict by its name.
func (m *codeMeaning) UnmarshalYAML(node *yaml.Node) error {
	v, err := words.Decode(node, words.Misconfigured)
	*m = codeMeaning(v)
	return err
}

// subjects are what a message speaks of.
type subjects struct {
	absent         bool // nothing is known of it
	number, form   bool // a phone number; a form that is wrong, of whatever
	request        bool // the request as such
	key            bool
	money, arrears bool // money that is spent; what a number may lack, too
	pace, limit    bool // how often; and a limit of whatever
	fault, failed  bool // trouble at their side; and that it came to nothing
}

func subjectsOf(message string) subjects {
	m := words.Fold(message)
	s := subjects{
		absent:  words.Has(m, "查无", "未查到", "未查询到", "无记录", "无结果", "无数据", "no data", "no record", "no result"),
		number:  words.Number(m) || words.Has(m, "mobile", "phone"),
		form:    words.Has(m, "invalid", "格式", "format"),
		request: words.Has(m, "参数", "请求", "param", "request", "json", "body", "method"),
		key: words.Has(m, "密钥", "令牌", "鉴权", "认证", "授权", "权限", "签名", "token", "auth", "apikey", "appkey", "appcode", "app code") ||
			words.HasWord(m, "key"),
		money:   words.Money(m) || words.Has(m, "quota") || words.HasWord(m, "balance", "balances"),
		arrears: words.Has(m, "欠费", "次数"),
		pace:    words.Pace(m) || words.Has(m, "限流", "too many", "too fast", "rate limit", "per second", "per minute") || words.HasWord(m, "qps"),
		limit:   words.Has(m, "limit"),
		fault: words.Fault(m) || words.Has(m, "服务", "稍后", "timeout", "timed out", "time out", "unavailable", "load balanc") ||
			words.HasWord(m, "internal", "busy", "later", "server", "system", "exception"),
		failed: words.Has(m, "失败", "重试", "再试", "fail", "try again", "retry"),
	}
	// A count of calls that is over a limit is a pace, one that is used up is money.
	s.pace = s.pace || words.Has(m, "次数") && words.Has(m, "限", "limit")
	return s
}

// byWords is what a message asks for. Pace goes before money: calls that come
// too fast are counted in the same words as calls that are paid for, and a key
// that only has to rest is not to be put out of use.
func byWords(message string) words.Verdict {
	s := subjectsOf(message)
	switch {
	case s.pace && !s.number:
		return words.PauseKey
	case s.money && !s.pace:
		return words.NoBalance
	case s.absent && !s.key && !s.pace && !s.fault:
		return words.NotFound
	case s.number:
		return s.ofNumber()
	case s.key:
		return words.DisableKey
	case s.arrears:
		return words.NoBalance
	case s.limit:
		return words.PauseKey
	}
	return s.ofRequest()
}

// ofNumber is what a message asks for that speaks of a number. If it speaks of
// the key, a limit or arrears, too, it may mean either: to reject the number for
// the key's fault, or to stop the key for the number's, would be worse than to
// ask again. Nor is the number at fault where the looking up was.
func (s *subjects) ofNumber() words.Verdict {
	switch {
	case s.pace && !s.key:
		return words.RetryNumber
	case s.key, s.arrears, s.limit:
		return words.Unknown
	case s.fault, s.failed && !s.form:
		return words.RetryNumber
	}
	return words.Invalid
}

// ofRequest is what a message asks for that speaks of neither number nor key.
func (s *subjects) ofRequest() words.Verdict {
	switch {
	case s.form && s.request:
		return words.Refused
	case s.fault:
		return words.Retry
	case s.form:
		return words.Invalid
	case s.failed:
		return words.Retry
	}
	return words.Unknown
}
