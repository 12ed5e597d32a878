package simulator

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// Portcheck is the behaviour of the simulated porting check. Its document shows a
// single sample of a reply, so much of this is what its peers do.
type Portcheck struct {
	Common `yaml:",inline"`
	Auth   PortcheckAuth `yaml:"auth"`
	// Spelling of operators and porting words: "plain" (as the sample, default) or
	// "mixed", which also has replies that contradict themselves.
	Spelling string `yaml:"spelling"`
	// BodyErrors answers errors with status 200 and code and message alone, as many
	// peers do; limits are then told in words too. Otherwise the status tells as well.
	BodyErrors bool `yaml:"body_errors"`
}

// PortcheckAuth says where the key stands in a request.
type PortcheckAuth struct {
	// Mode is "header" (default), "bearer", "query", "appcode" or "none".
	Mode string `yaml:"mode"`
	// Header is the header's name, "Authorization" by default, or that of the query
	// parameter, "key" by default; Prefix comes before the key (mode header).
	Header string `yaml:"header"`
	Prefix string `yaml:"prefix"`
}

func (p *Portcheck) validate() []error {
	return []error{
		oneOf("portcheck.auth.mode", p.Auth.Mode, "", "header", "bearer", "query", "appcode", "none"),
		oneOf("portcheck.spelling", p.Spelling, "", "plain", "mixed"),
	}
}

// portcheckDesk is the simulated vendor.
type portcheckDesk struct{ up *upstream }

type portcheckCall struct{ call }

func (s *Server) portcheckRoutes(mux *http.ServeMux) {
	d := portcheckDesk{up: s.add(UpstreamPortcheck, 1)}
	mux.HandleFunc(PortcheckPath+"/mobile-transfer", d.transfer)
}

func (d portcheckDesk) transfer(w http.ResponseWriter, r *http.Request) {
	c := portcheckCall{call: d.up.begin(w, r)}
	var ask struct {
		MobileNumber json.RawMessage `json:"mobile_number"`
	}
	if r.Method != http.MethodPost {
		c.say(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "method not allowed")
		c.flush()
		return
	}
	body, ok := c.body()
	if !ok {
		return
	}
	c.key = c.profile.Portcheck.Auth.read(r)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" && json.Unmarshal(body, &ask) == nil {
		number := string(ask.MobileNumber)
		_ = json.Unmarshal(ask.MobileNumber, &number) // a bare number stays as it is
		if number != "" {
			c.numbers = []string{number}
		}
	}
	c.serve(&c)
}

// read finds the key in a request; "" if it is not where it belongs.
func (a PortcheckAuth) read(r *http.Request) string {
	header := func(fallback string) string {
		if a.Header != "" {
			return a.Header
		}
		return fallback
	}
	prefix := a.Prefix
	switch a.Mode {
	case "none":
		return "none"
	case "query":
		return r.URL.Query().Get(header("key"))
	case "bearer":
		prefix = "Bearer "
	case "appcode":
		prefix = "APPCODE "
	}
	key, ok := strings.CutPrefix(r.Header.Get(header("Authorization")), prefix)
	if !ok {
		return ""
	}
	return key
}

// tooMany implements dialect.
func (c *portcheckCall) tooMany(*call) {
	c.say(http.StatusTooManyRequests, "RATE_LIMIT", "请求过于频繁，请稍后再试")
}

// badRequest implements dialect.
func (c *portcheckCall) badRequest(*call) {
	c.say(http.StatusBadRequest, "BAD_REQUEST", "请求参数错误")
}

// outcome implements dialect.
func (c *portcheckCall) outcome(*call) bool {
	switch standing := c.up.visit(c.key); {
	case c.key == "" || standing == keyUnknown:
		c.say(http.StatusUnauthorized, "INVALID_TOKEN", "token无效")
		return false
	case standing == keyForbidden:
		c.say(http.StatusForbidden, "FORBIDDEN", "没有接口权限")
		return false
	case len(c.numbers) == 0:
		c.badRequest(&c.call)
		return false
	}
	number := c.numbers[0]
	if !isMobileCN(number) {
		c.item(CodeError{Code: portcheckInvalid})
		return false
	}
	if !c.up.charge(c.key, 1, false) {
		c.say(http.StatusPaymentRequired, "INSUFFICIENT_BALANCE", "账户余额不足，请充值")
		return false
	}
	if e, ok := c.callError(); ok {
		c.item(e)
		return false
	}
	if c.up.happens(c.common.Missing) {
		c.status, c.reply = http.StatusOK, nil
		return true
	}
	return c.answer(number)
}

// answer says what is to be said of number.
func (c *portcheckCall) answer(number string) bool {
	switch f, e := c.profile.fateOf(UpstreamPortcheck, number); f {
	case fatePoison:
		c.badRequest(&c.call)
		return false
	case fateInvalid:
		return c.item(CodeError{Code: portcheckInvalid})
	case fateUnknown:
		return c.item(CodeError{Code: portcheckNotFound})
	case fateCode:
		return c.item(e)
	case fateSound:
		if e, ok := c.passingError(); ok {
			return c.item(e)
		}
		words := c.profile.portcheckWords(number)
		c.json(http.StatusOK, map[string]any{"code": "SUCCESS", "message": "success", "data": map[string]string{
			"transfer": words.transfer, "originalOperator": words.original, "currentOperator": words.current,
		}})
	}
	return true
}

// Codes about single numbers. The last is none of the vendor's: it is how a
// profile names a success without data.
const (
	portcheckInvalid  = "INVALID_MOBILE"
	portcheckNotFound = "NOT_FOUND"
)

// item answers with a code of the vendor's, or of its peers; true if that is paid
// for, as all but the server's own faults are.
func (c *portcheckCall) item(e CodeError) bool {
	status, message := http.StatusInternalServerError, "系统繁忙，请稍后再试"
	switch e.Code {
	case portcheckNotFound:
		c.json(http.StatusOK, map[string]any{"code": "SUCCESS", "message": "success", "data": nil})
		return true
	case portcheckInvalid:
		status, message = http.StatusBadRequest, "手机号码格式不正确"
	case "INVALID_TOKEN":
		status, message = http.StatusUnauthorized, "token无效"
	case "FORBIDDEN":
		status, message = http.StatusForbidden, "没有接口权限"
	case "INSUFFICIENT_BALANCE":
		status, message = http.StatusPaymentRequired, "账户余额不足，请充值"
	case "RATE_LIMIT":
		status, message = http.StatusTooManyRequests, "请求过于频繁，请稍后再试"
	case "BAD_REQUEST":
		status, message = http.StatusBadRequest, "请求参数错误"
	}
	if e.Reason != "" {
		message = e.Reason
	}
	c.say(status, e.Code, message)
	return status < http.StatusInternalServerError
}

// say answers with an error.
func (c *portcheckCall) say(status int, code, message string) {
	if c.profile.Portcheck.BodyErrors && status != http.StatusMethodNotAllowed {
		status = http.StatusOK
	}
	c.json(status, map[string]any{"code": code, "message": message, "data": nil})
}

// json sets a reply of v.
func (c *call) json(status int, v any) {
	c.status = status
	text, err := json.Marshal(v)
	if err != nil {
		text = fmt.Appendf(nil, "%q", err)
	}
	c.reply = text
}

// portcheckWords are the words for one number.
type portcheckWords struct{ transfer, original, current string }

// portcheckWords are fixed for the number.
func (p *Profile) portcheckWords(number string) portcheckWords {
	h := p.homeCN(number)
	if p.Portcheck.Spelling != "mixed" {
		w := portcheckWords{"未携转", "中国" + ispCN(h.first), "中国" + ispCN(h.now)}
		if h.ported {
			w.transfer = "已携转"
		}
		return w
	}
	d := p.dice(UpstreamPortcheck)
	not := [...]string{"未携转", "未转网", "未携号转网", "非携转", "非携号转网", "否", "0", "false", "N", " 未携转 "}
	yes := [...]string{"已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "Y"}
	i := d.pick(saltSpelling, number, len(not)*len(yes))
	w := portcheckWords{not[i%len(not)], spellCN(h.first, i), spellCN(h.now, i/len(yes))}
	// Replies that say one thing and mean another: the operators tell, and a number
	// may have come back to its first one.
	const contradictory = 0.01
	odd := d.share(saltAnswer, number) < contradictory
	switch {
	case h.ported && !odd:
		w.transfer = yes[i%len(yes)]
	case !h.ported && odd:
		w.transfer = yes[i%len(yes)]
	}
	return w
}

// spellCN is one of the spellings of an operator that are seen in the wild.
func spellCN(operator, i int) string {
	all := [operatorsCN][]string{
		{"中国移动", "移动", "CMCC", "China Mobile"},
		{"中国联通", "联通", "CUCC", "China Unicom", "china union"},
		{"中国电信", "电信", "CTCC", "China Telecom"},
		{"中国广电", "广电", "CBN", "China Broadnet"},
	}
	return all[operator][i%len(all[operator])]
}

// portcheckTruth is what a reply about the number means.
func (p *Profile) portcheckTruth(e164 string) Truth {
	t := Truth{Number: e164, Status: StatusUnsupported}
	number, ok := mobileCN(e164)
	if !ok {
		return t
	}
	switch f, e := p.fateOf(UpstreamPortcheck, number); f {
	case fatePoison:
		t.Status = StatusPoison
	case fateInvalid:
		t.Status, t.Code = StatusInvalid, portcheckInvalid
	case fateUnknown:
		t.Status = StatusNotFound
	case fateCode:
		t.Status, t.Code = portcheckStatus(e.Code), e.Code
	case fateSound:
		t.Status = StatusOK
		h, words := p.homeCN(number), p.portcheckWords(number)
		ported := h.first != h.now || portedWord(words.transfer)
		t.Lookup = &Lookup{
			Country: "CN", Ported: &ported,
			OriginalCarrier: &Carrier{ID: idCN(h.first), Name: words.original},
			CurrentCarrier:  &Carrier{ID: idCN(h.now), Name: words.current},
		}
	}
	return t
}

func portcheckStatus(code string) Status {
	switch code {
	case portcheckInvalid, "BAD_REQUEST":
		return StatusInvalid
	case portcheckNotFound:
		return StatusNotFound
	}
	return StatusFailed
}

// portedWord reads the words of portcheckWords.
func portedWord(w string) bool {
	switch w {
	case "已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "Y":
		return true
	}
	return false
}
