package simulator

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the vendor signs with it
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// NXCloud is the behaviour of the simulated NXCloud. Codes of call_errors are
// those of replies to submits, of item_errors those of receipts. Missing numbers
// are taken and then never heard of again. Outages and errors of calls hold for
// submits and queries alike, not for receipts.
type NXCloud struct {
	Common `yaml:",inline"`
	// Generation of the document that is spoken: "g1", "g2", "g3" (default) or
	// "mixed", in which it depends on the batch for replies, on the number for receipts.
	Generation string `yaml:"generation"`
	// SmallRate is how many submits a second a key may make, LargeRate how many of
	// more than 2000 numbers, QueryEvery the time between two queries. 0 is what the
	// document says (10, 1 and 3s), below 0 is unlimited.
	SmallRate  float64       `yaml:"small_rate"`
	LargeRate  float64       `yaml:"large_rate"`
	QueryEvery time.Duration `yaml:"query_every"`
	// LimitCode answers what is too fast with status 200 and this code instead of 429.
	LimitCode int `yaml:"limit_code"`
	// Unpriced are countries (ISO) without a price: code 205.
	Unpriced []string `yaml:"unpriced"`
	// Prices of a number by check level, and their currency; default 0.002 for level
	// 1, 0.01 for 4 and 5, CNY.
	Prices   map[int]float64 `yaml:"prices"`
	Currency string          `yaml:"currency"`
	// FailNumber is how a submit lists numbers that it refuses: "object" (default),
	// "string" or "mixed". Generation g1 has no such list.
	FailNumber string `yaml:"fail_number"`
	// LostReplies is the share of submits that are taken and then get no reply, the
	// connection being reset. LateReplies are held back when the work is done.
	LostReplies float64     `yaml:"lost_replies"`
	LateReplies LateReplies `yaml:"late_replies"`
	// DateZone is the zone of a query's date: "china" (default) or "utc".
	DateZone string   `yaml:"date_zone"`
	Receipts Receipts `yaml:"receipts"`
}

// LateReplies is a share of replies that come only after Delay.
type LateReplies struct {
	Share float64       `yaml:"share"`
	Delay time.Duration `yaml:"delay"`
}

// Receipts is when and how answers are pushed.
type Receipts struct {
	// Base and Jitter (random share) are the time from a submit to a number's answer.
	Base   time.Duration `yaml:"base"`
	Jitter time.Duration `yaml:"jitter"`
	// RetryEvery is the time between attempts of a receipt that was not answered
	// with 200; 0 is a minute. Retries is how many there are; 0 is 60.
	RetryEvery time.Duration `yaml:"retry_every"`
	Retries    int           `yaml:"retries"`
	// Timeout of one attempt; 0 is 10s.
	Timeout time.Duration `yaml:"timeout"`
	// Lost is the share of numbers whose receipt is never pushed: only queries tell.
	Lost float64 `yaml:"lost"`
	// Duplicate is the share of receipts that are pushed twice.
	Duplicate float64 `yaml:"duplicate"`
	// Order of a batch's receipts: "batch" (as submitted, default) or "shuffled".
	Order string `yaml:"order"`
}

func (n *NXCloud) validate() []error {
	faults := append(wholeCodes("nxcloud", &n.Common),
		oneOf("nxcloud.generation", n.Generation, "", "g1", "g2", "g3", "mixed"),
		oneOf("nxcloud.fail_number", n.FailNumber, "", "object", "string", "mixed"),
		oneOf("nxcloud.date_zone", n.DateZone, "", "china", "utc"),
		oneOf("nxcloud.receipts.order", n.Receipts.Order, "", "batch", "shuffled"),
		share("nxcloud.lost_replies", n.LostReplies),
		share("nxcloud.late_replies.share", n.LateReplies.Share),
		share("nxcloud.receipts.lost", n.Receipts.Lost),
		share("nxcloud.receipts.duplicate", n.Receipts.Duplicate))
	if n.Receipts.Base < 0 || n.Receipts.Jitter < 0 || n.Receipts.RetryEvery < 0 || n.Receipts.Retries < 0 || n.Receipts.Timeout < 0 {
		faults = append(faults, errors.New("nxcloud.receipts: times and retries cannot be below 0"))
	}
	return faults
}

// The vendor's documented limits.
const (
	nxMaxBatch   = 5000
	nxSmallBatch = 2000
	nxMaxPage    = 100
	nxMaxBatchNo = 64
	nxDays       = 14
	nxSkew       = time.Minute
)

// The check levels.
const (
	levelBasic = 1
	levelCall  = 4
	levelHLR   = 5
)

// nxDesk is the simulated vendor: it keeps what was submitted.
type nxDesk struct {
	up     *upstream
	store  *nxStore
	pusher *pusher
}

// nxCall is one call on its way through it.
type nxCall struct {
	call
	desk   *nxDesk
	text   []byte
	ask    nxAsk
	batchN generation // which document the reply speaks
	answer func(*nxCall) bool
}

// nxAsk is the body of a call, of whichever endpoint.
type nxAsk struct {
	Phone      string `json:"phone"`
	AppKey     string `json:"appkey"`
	BatchNo    string `json:"batchNo"`    //nolint:tagliatelle // the vendor's name
	CheckLevel *int   `json:"checkLevel"` //nolint:tagliatelle // the vendor's name
	DrURL      string `json:"drUrl"`      //nolint:tagliatelle // the vendor's name
	MessageID  string `json:"messageId"`  //nolint:tagliatelle // the vendor's name
	RequestID  string `json:"requestId"`  //nolint:tagliatelle // the vendor's name
	Page       int    `json:"page"`
	PageSize   int    `json:"pageSize"` //nolint:tagliatelle // the vendor's name
	Date       string `json:"date"`
}

func (s *Server) nxcloudRoutes(ctx context.Context, mux *http.ServeMux) {
	up := s.add(UpstreamNXCloud, nxMaxBatch)
	s.pusher = startPusher(ctx, up)
	d := &nxDesk{up: up, store: newNXStore(), pusher: s.pusher}
	mux.HandleFunc("POST "+NXCloudPath+"/api/number/check", d.handle((*nxCall).submit, false))
	mux.HandleFunc("POST "+NXCloudPath+"/api/number/check/get", d.handle((*nxCall).checkNow, false))
	mux.HandleFunc("POST "+NXCloudPath+"/api/number/query", d.handle((*nxCall).queryPage, true))
	mux.HandleFunc("POST "+NXCloudPath+"/api/common/getBalance", d.balance)
}

// handle reads a call and lets it through.
func (d *nxDesk) handle(answer func(*nxCall) bool, query bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := nxCall{call: d.up.begin(w, r), desk: d, answer: answer}
		var ok bool
		if c.text, ok = c.body(); !ok {
			return
		}
		_ = json.Unmarshal(c.text, &c.ask) // what it is not is said by gateway
		c.key = r.Header.Get("Accesskey")
		c.query = query
		c.batchN = c.profile.nxGeneration(c.ask.BatchNo, c.level())
		n := &c.profile.NXCloud
		if query {
			every := n.QueryEvery
			if every == 0 {
				every = 3 * time.Second
			}
			c.paces = []pace{{"query", 1 / every.Seconds()}}
			c.serve(&c)
			return
		}
		c.op = "level " + strconv.Itoa(c.level())
		if c.ask.Phone != "" {
			c.numbers = strings.Split(c.ask.Phone, ",")
		}
		const small, large = 10, 1
		c.paces = []pace{{"submit", usual(n.SmallRate, small)}}
		if len(c.numbers) > nxSmallBatch {
			c.paces = append(c.paces, pace{"large", usual(n.LargeRate, large)})
		}
		c.serve(&c)
	}
}

func usual(set, documented float64) float64 {
	if set == 0 {
		return documented
	}
	return set
}

func (c *nxCall) level() int {
	if c.ask.CheckLevel == nil {
		return levelBasic
	}
	return *c.ask.CheckLevel
}

// tooMany implements dialect.
func (c *nxCall) tooMany(*call) {
	if code := c.profile.NXCloud.LimitCode; code != 0 {
		c.w.Header().Del("Retry-After")
		c.w.Header().Del("Retry-After-Ms")
		c.fail(code, "Request frequency exceeds the limit")
		return
	}
	c.fail(http.StatusTooManyRequests, "Too Many Requests")
	c.status = http.StatusTooManyRequests
}

// badRequest implements dialect.
func (c *nxCall) badRequest(*call) {
	if c.query {
		c.fail(88, "Request parameters are incorrect")
		return
	}
	c.fail(201, "")
}

// outcome implements dialect.
func (c *nxCall) outcome(*call) bool {
	if code := c.gateway(); code != 0 {
		c.fail(code, "")
		return false
	}
	if e, ok := c.callError(); ok {
		c.fail(atoi(e.Code), e.Reason)
		return false
	}
	return c.answer(c)
}

// gateway checks headers, clock and signature; 0 if they are in order.
func (c *nxCall) gateway() int {
	const missing, wrong, badSign, late, noKey = 1001, 1002, 1003, 1004, 1005
	h := c.r.Header
	for _, name := range [...]string{"Accesskey", "Ts", "Biztype", "Action", "Sign"} {
		if h.Get(name) == "" {
			return missing
		}
	}
	ts, err := strconv.ParseInt(h.Get("Ts"), 10, 64)
	if err != nil || h.Get("Biztype") != "1" || h.Get("Action") != "numbercheck" || !c.isJSON() || !isObject(c.text) {
		return wrong
	}
	if c.up.visit(c.key) != keyGood {
		return noKey
	}
	if time.Since(time.UnixMilli(ts)).Abs() > nxSkew {
		return late
	}
	k, _ := c.up.keyOf(c.key)
	if k.Secret != "" && h.Get("Sign") != nxSign(h, c.text, k.Secret) {
		return badSign
	}
	return 0
}

func isObject(text []byte) bool {
	var o map[string]json.RawMessage
	return json.Unmarshal(text, &o) == nil && o != nil
}

// nxSign is the signature of a call: MD5 over four headers in ASCII order, the
// very bytes of the body, if there are any, and the secret.
func nxSign(h http.Header, body []byte, secret string) string {
	var b bytes.Buffer
	b.WriteString("accessKey=" + h.Get("Accesskey") + "&action=" + h.Get("Action") + "&bizType=" + h.Get("Biztype") + "&ts=" + h.Get("Ts"))
	if len(body) > 0 {
		b.WriteString("&body=")
		b.Write(body)
	}
	b.WriteString("&accessSecret=" + secret)
	sum := md5.Sum(b.Bytes()) //nolint:gosec // the vendor signs with it
	return hex.EncodeToString(sum[:])
}

// app is the code about a wrong application key; 0 if it is right.
func (c *nxCall) app() int {
	const none, foreign = 202, 210
	k, known := c.up.keyOf(c.key)
	if c.ask.AppKey == "" {
		return none
	}
	if !known || len(k.Apps) == 0 {
		return 0
	}
	for _, other := range c.common.Keys {
		for _, app := range other.Apps {
			if app != c.ask.AppKey {
				continue
			}
			if other.Key == c.key {
				return 0
			}
			return foreign
		}
	}
	return none
}

// fail answers with a code of the vendor's, status 200.
func (c *nxCall) fail(code int, text string) {
	if text == "" {
		text = nxWording(code)
	}
	c.status = http.StatusOK
	body := map[string]any{"code": code, c.batchN.text(c.query): text}
	if c.query {
		body["data"] = map[string]any{}
	} else if c.batchN != g1 {
		body["data"], body["traceId"] = nil, "trace"
	}
	c.json(http.StatusOK, body)
}

// balance tells what an application has left: form fields, and an API of its own.
func (d *nxDesk) balance(w http.ResponseWriter, r *http.Request) {
	c := d.up.begin(w, r)
	app, secret := r.FormValue("appkey"), r.FormValue("secretkey")
	for _, k := range c.common.Keys {
		for _, a := range k.Apps {
			if a == app && k.Secret == secret {
				c.json(http.StatusOK, map[string]string{
					"code": "0", "balance": strconv.FormatFloat(d.up.balance(k.Key), 'f', -1, 64), "credit_balance": "0",
				})
				c.flush()
				return
			}
		}
	}
	c.json(http.StatusOK, map[string]string{"code": "1", "msg": "appkey or secretkey is wrong"})
	c.flush()
}

// nxWording is the vendor's text for a code.
func nxWording(code int) string {
	texts := map[int]string{
		0: "success", 103: "Internal server error", 108: "Invalid value in the request", 112: "Backend service call failed",
		114: "Invalid number format", 120: "Non-mobile number check not supported", 121: "Unknown error", 122: "Information not detected",
		201: "Parameter is wrong or empty", 202: "Application not available or incorrect appkey", 203: "Country or operator not recognized",
		204: "Deduction interface failed", 205: "No price configured for the application", 206: "Internal check interface failed",
		207: "Wrong check type", 210: "Inconsistent customer information", 211: "Insufficient balance", 212: "batchNo is too long",
		266: "subBalance failed", 288: "Request failed", 299: "System error", 1001: "Header parameter is missing",
		1002: "bizType, action or body is wrong", 1003: "Signature error", 1004: "Timestamp expired", 1005: "accessKey is wrong or has no permission",
	}
	if t, ok := texts[code]; ok {
		return t
	}
	return "failed"
}
