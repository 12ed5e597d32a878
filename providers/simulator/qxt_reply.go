package simulator

import (
	"strconv"
)

// appendNumber says one number as the vendor does.
func (c *qxtCall) appendNumber(b []byte, n string) []byte {
	q := &c.profile.QXT
	if len(n) != mobileLength || n[0] != '1' {
		return c.appendCode(b, n, CodeError{Code: -2})
	}
	t := c.profile.QXTTruth(n)
	if t.Code != 0 {
		return c.appendCode(b, n, c.stickyError(t))
	}
	for _, e := range q.ItemErrors {
		if !e.Sticky && e.Share > 0 && c.s.random() < e.Share {
			return c.appendCode(b, n, e)
		}
	}
	b = append(b, `{"code":`...)
	b = c.appendInt(b, 0)
	b = append(b, `,"reason":"Succ","result":{"res":`...)
	if q.NumericRes {
		b = append(b, t.Res...)
	} else {
		b = strconv.AppendQuote(b, t.Res)
	}
	b = append(append(append(b, `,"Mobile":"`...), n...), `","Area":"`...)
	b = append(append(b, t.Area...), `","`...)
	suffix := c.spelling(n)
	b = append(append(append(append(append(b, "Init"...), suffix...), `":"`...), t.Init...), `","`...)
	b = append(append(append(append(append(b, "Now"...), suffix...), `":"`...), t.Now...), `"}}`...)
	return b
}

func (c *qxtCall) stickyError(t Truth) CodeError {
	for _, e := range c.profile.QXT.ItemErrors {
		if e.Sticky && e.Code == t.Code {
			return e
		}
	}
	return CodeError{Code: t.Code}
}

func (c *qxtCall) appendCode(b []byte, n string, e CodeError) []byte {
	b = c.appendInt(append(b, `{"code":`...), e.Code)
	b = append(append(append(b, `,"reason":"`...), wording(e)...), `","result":`...)
	if c.batch {
		// Without the number nobody could tell whose code this is.
		return append(append(append(b, `{"Mobile":"`...), n...), `"}}`...)
	}
	return append(b, `""}`...)
}

func (c *qxtCall) appendInt(b []byte, code int) []byte {
	if c.profile.QXT.StringCodes {
		return append(strconv.AppendInt(append(b, '"'), int64(code), 10), '"')
	}
	return strconv.AppendInt(b, int64(code), 10)
}

func (c *qxtCall) spelling(n string) string {
	switch c.profile.QXT.Spelling {
	case "lower":
		return "_isp"
	case "upper":
		return "_Isp"
	case "bare":
		return "isp"
	case "mixed":
		return [...]string{"_isp", "_Isp", "isp"}[n[len(n)-1]%3]
	}
	if c.batch {
		return "_Isp"
	}
	return "_isp"
}

func (c *qxtCall) whole(code int) { c.wholeReason(code, wording(CodeError{Code: code})) }

func (c *qxtCall) wholeReason(code int, reason string) {
	c.reply = append(append(append(c.appendInt([]byte(`{"code":`), code), `,"reason":"`...), reason...), `","result":null}`...)
}

func (c *qxtCall) flush() {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(c.reply)))
	_, _ = c.w.Write(c.reply)
}

// wording is the vendor's reason for a code, as far as it could be read.
func wording(e CodeError) string {
	if e.Reason != "" {
		return e.Reason
	}
	switch e.Code {
	case 0:
		return "Succ"
	case 1:
		return "参数验证失败：手机号码无效"
	case -1:
		return "apikey不匹配"
	case -2:
		return "手机号码长度不正确"
	case -4:
		return "未查询到结果，请检查手机号码"
	case -6:
		return "账户余额不足，请充值"
	case -7:
		return "post参数不正确"
	case -8:
		return "系统异常"
	case -9:
		return "JSON格式错误"
	case -10:
		return "提交数量超过1000"
	}
	return ""
}
