package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// QXTAnswer is what the simulated QXT says of a number, in its own words. It
// depends on the number and the profile alone, so a test can tell a mixed-up answer.
type QXTAnswer struct {
	// Code is 0 for an answer, else the vendor's code for this number, every time.
	Code int
	// Poison numbers have their batch refused.
	Poison bool
	// Res is the vendor's verdict: "0" not ported, "1" ported, "3" neither.
	Res, Area, Init, Now string
	reason               string
}

// The vendor's codes for single numbers.
const (
	qxtRefused  = 1
	qxtBadForm  = -2
	qxtNotFound = -4
)

// QXTTruth tells what the simulated QXT answers for an 11-digit mobile.
func (p *Profile) QXTTruth(number string) QXTAnswer {
	switch f, e := p.fateOf(UpstreamQXT, number); f {
	case fatePoison:
		return QXTAnswer{Poison: true, Code: qxtRefused}
	case fateInvalid:
		return QXTAnswer{Code: qxtBadForm}
	case fateUnknown:
		return QXTAnswer{Code: qxtNotFound}
	case fateCode:
		return QXTAnswer{Code: atoi(e.Code), reason: e.Reason}
	case fateSound:
	}
	home := p.homeCN(number)
	a := QXTAnswer{Res: "0", Area: home.area, Init: ispCN(home.first), Now: ispCN(home.now)}
	switch {
	case home.ported:
		a.Res = "1"
	case home.special:
		a.Res = "3"
	}
	return a
}

// qxtTruth is QXTTruth in the contract's terms.
func (p *Profile) qxtTruth(e164 string) Truth {
	t := Truth{Number: e164, Status: StatusUnsupported}
	number, ok := mobileCN(e164)
	if !ok {
		return t
	}
	a := p.QXTTruth(number)
	if a.Code != 0 {
		t.Code = strconv.Itoa(a.Code)
	}
	switch {
	case a.Poison:
		t.Status = StatusPoison
	case a.Code == qxtRefused, a.Code == qxtBadForm:
		t.Status = StatusInvalid
	case a.Code == qxtNotFound:
		t.Status = StatusNotFound
	case a.Code != 0:
		t.Status = StatusFailed
	default:
		home := p.homeCN(number)
		t.Status = StatusOK
		t.Lookup = &Lookup{
			Country: "CN", Area: a.Area,
			OriginalCarrier: &Carrier{ID: idCN(home.first), Name: a.Init},
			CurrentCarrier:  &Carrier{ID: idCN(home.now), Name: a.Now},
		}
		if !home.special {
			t.Lookup.Ported = &home.ported
		}
	}
	return t
}

// home is where a mainland Chinese mobile belongs: operators by index.
type home struct {
	area            string
	first, now      int
	ported, special bool
}

// homeCN is the same for every upstream that speaks of the number.
func (p *Profile) homeCN(number string) home {
	d := p.world()
	h := home{area: areaCN(d.hash(saltArea, number)), first: d.pick(saltIsp, number, operatorsCN)}
	h.now = h.first
	switch v := d.share(saltPorted, number); {
	case v < portedShare:
		h.ported = true
		h.now = (h.first + 1) % operatorsCN
	case v < portedShare+unknownShare:
		h.special = true
	}
	return h
}

const operatorsCN = 4

func ispCN(i int) string { return [operatorsCN]string{"移动", "联通", "电信", "广电"}[i] }

// idCN is the operator's id in the contract's terms.
func idCN(i int) string {
	return [operatorsCN]string{"china_mobile", "china_unicom", "china_telecom", "china_broadnet"}[i]
}

func areaCN(h uint64) string {
	areas := [...]string{"北京", "上海", "广东-深圳", "湖北-武汉", "湖北-恩施", "四川-成都", "浙江-杭州", "江苏-南京", "福建-厦门", "云南-昆明"}
	return areas[h%uint64(len(areas))]
}

// appendNumber says one number as the vendor does.
func (c *qxtCall) appendNumber(b []byte, n string) []byte {
	if !isMobileCN(n) {
		return c.appendCode(b, n, CodeError{Code: strconv.Itoa(qxtBadForm)})
	}
	t := c.profile.QXTTruth(n)
	if t.Code != 0 {
		return c.appendCode(b, n, CodeError{Code: strconv.Itoa(t.Code), Reason: t.reason})
	}
	if e, ok := c.passingError(); ok {
		return c.appendCode(b, n, e)
	}
	b = append(b, `{"code":`...)
	b = c.appendInt(b, 0)
	b = append(b, `,"reason":"Succ","result":{"res":`...)
	if c.profile.QXT.NumericRes {
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

func (c *qxtCall) appendCode(b []byte, n string, e CodeError) []byte {
	b = c.appendInt(append(b, `{"code":`...), atoi(e.Code))
	b = append(append(append(b, `,"reason":"`...), qxtWording(e)...), `","result":`...)
	if c.batch {
		// Without the number nobody could tell whose code this is.
		return append(strconv.AppendQuote(append(b, `{"Mobile":`...), n), `}}`...)
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

func (c *qxtCall) whole(code int) {
	c.wholeReason(code, qxtWording(CodeError{Code: strconv.Itoa(code)}))
}

func (c *qxtCall) wholeReason(code int, reason string) {
	c.reply = append(append(append(c.appendInt([]byte(`{"code":`), code), `,"reason":"`...), reason...), `","result":null}`...)
}

// qxtWording is the vendor's reason for a code, as far as it could be read.
func qxtWording(e CodeError) string {
	if e.Reason != "" {
		return e.Reason
	}
	switch e.Code {
	case "0":
		return "Succ"
	case "1":
		return "参数验证失败：手机号码无效"
	case "-1":
		return "apikey不匹配"
	case "-2":
		return "手机号码长度不正确"
	case "-4":
		return "未查询到结果，请检查手机号码"
	case "-6":
		return "账户余额不足，请充值"
	case "-7":
		return "post参数不正确"
	case "-8":
		return "系统异常"
	case "-9":
		return "JSON格式错误"
	case "-10":
		return "提交数量超过1000"
	}
	return ""
}

// wholeCodes faults codes that are no whole numbers.
func wholeCodes(name string, c *Common) []error {
	var faults []error
	for _, e := range slices.Concat(c.CallErrors, c.ItemErrors) {
		if _, err := strconv.Atoi(e.Code); err != nil {
			faults = append(faults, fmt.Errorf("%s.errors.code: %q is no number: %w", name, e.Code, errors.Unwrap(err)))
		}
	}
	return faults
}

// atoi reads a code that validation has passed.
func atoi(code string) int {
	n, err := strconv.Atoi(code)
	if err != nil {
		return 0
	}
	return n
}
