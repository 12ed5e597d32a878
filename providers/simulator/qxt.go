package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// QXT is the behaviour of the simulated QXT.
type QXT struct {
	Common `yaml:",inline"`
	// Spelling of the operator fields: "upper" (Init_Isp, as the vendor's batch
	// samples), "lower" (Init_isp, as its single call), "bare" (Initisp) or
	// "mixed". Empty is upper in batches and lower in single calls.
	Spelling string `yaml:"spelling"`
	// NumericRes says res as a JSON number, and StringCodes code as a string.
	NumericRes  bool `yaml:"numeric_res"`
	StringCodes bool `yaml:"string_codes"`
}

func (q *QXT) validate() []error {
	faults := []error{oneOf("qxt.spelling", q.Spelling, "", "upper", "lower", "bare", "mixed")}
	return append(faults, wholeCodes("qxt", &q.Common)...)
}

// The vendor's documented maximum of a batch and length of keys.
const (
	qxtMaxBatch  = 1000
	qxtKeyLength = 32
)

// qxtDesk is the simulated vendor.
type qxtDesk struct{ up *upstream }

// qxtCall is one lookup call on its way through it.
type qxtCall struct {
	call
	batch bool
}

func (s *Server) qxtRoutes(mux *http.ServeMux) {
	d := qxtDesk{up: s.add(UpstreamQXT, qxtMaxBatch)}
	mux.HandleFunc(QXTPath+"/carrier", d.single)
	mux.HandleFunc(QXTPath+"/carrier_batch", d.batch)
	mux.HandleFunc(QXTPath+"/balance", d.balance)
}

func (d qxtDesk) single(w http.ResponseWriter, r *http.Request) {
	c := qxtCall{call: d.up.begin(w, r)}
	c.key = r.FormValue("apikey")
	if m := r.FormValue("mobile"); m != "" {
		c.numbers = []string{m}
	}
	c.serve(&c)
}

func (d qxtDesk) batch(w http.ResponseWriter, r *http.Request) {
	c := qxtCall{call: d.up.begin(w, r), batch: true}
	if r.Method != http.MethodPost {
		c.whole(-7)
		c.flush()
		return
	}
	body, ok := c.body()
	if !ok {
		return
	}
	// The vendor's field names are case-sensitive; encoding/json is not, so a map.
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		c.whole(-9)
		c.flush()
		return
	}
	_ = json.Unmarshal(fields["ApiKey"], &c.key)
	_ = json.Unmarshal(fields["PhoneNumbers"], &c.numbers)
	c.serve(&c)
}

// tooMany implements dialect; the vendor documents no words for it.
func (c *qxtCall) tooMany(*call) {
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.reply = []byte("too many requests\n")
}

// badRequest implements dialect.
func (c *qxtCall) badRequest(*call) {
	if c.batch {
		c.whole(-7)
		return
	}
	c.wholeReason(1, "参数验证失败")
}

// outcome implements dialect.
func (c *qxtCall) outcome(*call) bool {
	if !c.admitted() {
		return false
	}
	switch {
	case len(c.numbers) == 0:
		c.whole(-7)
		return false
	case len(c.numbers) > qxtMaxBatch:
		c.whole(-10)
		return false
	case !c.up.charge(c.key, float64(len(c.numbers)), c.postpaid()):
		c.whole(-6)
		return false
	}
	if e, ok := c.callError(); ok {
		c.wholeReason(atoi(e.Code), qxtWording(e))
		return false
	}
	if c.batch {
		return c.batchReply()
	}
	c.reply = c.appendNumber(nil, c.numbers[0])
	return true
}

// admitted answers a call whose key is no good; true if it is.
func (c *qxtCall) admitted() bool {
	if len(c.key) != qxtKeyLength {
		c.wholeReason(1, "参数验证失败：apikey长度不正确")
		return false
	}
	switch c.up.visit(c.key) {
	case keyUnknown:
		c.whole(-1)
	case keyForbidden:
		c.wholeReason(-5, "IP不在白名单，请联系客服授权")
	case keyGood:
		return true
	}
	return false
}

func (c *qxtCall) postpaid() bool {
	k, _ := c.up.keyOf(c.key)
	return strings.Contains(k.FeeType, "后付费")
}

func (c *qxtCall) batchReply() bool {
	q := c.common
	if q.Poison.Share > 0 || len(q.Poison.Numbers) > 0 {
		if slices.ContainsFunc(c.numbers, func(n string) bool { return c.profile.poisonous(UpstreamQXT, n) }) {
			c.wholeReason(1, "参数验证失败：手机号码无效")
			return false
		}
	}
	const entry = 160
	order := c.said(func(n string) string { return "199" + n[len(n)-1:] + "0000000" })
	b := append(make([]byte, 0, entry*len(order)+2), '[')
	for i, n := range order {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.appendNumber(b, n)
	}
	b = append(b, ']')
	c.reply = b
	return true
}

func (d qxtDesk) balance(w http.ResponseWriter, r *http.Request) {
	c := qxtCall{call: d.up.begin(w, r)}
	c.key = r.FormValue("apikey")
	switch k, known := d.up.keyOf(c.key); {
	case len(c.key) != qxtKeyLength:
		c.wholeReason(1, "参数验证失败：apikey长度不正确")
	case !known:
		c.whole(-1)
	default:
		feeType := k.FeeType
		if feeType == "" {
			feeType = "预付费"
		}
		c.reply = []byte(`{"code":0,"reason":"Succ","result":{"feeType":"` + feeType + `","balance":"` +
			strconv.FormatFloat(d.up.balance(c.key), 'f', -1, 64) + `"}}`)
	}
	c.flush()
}
