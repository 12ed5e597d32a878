package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The vendor's documented maximum of a batch and lengths of keys and mobiles.
const (
	qxtMaxBatch  = 1000
	qxtKeyLength = 32
	mobileLength = 11
	maxBody      = 1 << 20
)

func (s *Server) qxtRoutes(mux *http.ServeMux) {
	mux.HandleFunc(QXTPath+"/carrier", s.qxtSingle)
	mux.HandleFunc(QXTPath+"/carrier_batch", s.qxtBatch)
	mux.HandleFunc(QXTPath+"/balance", s.qxtBalance)
}

// qxtCall is one lookup call on its way through the simulated vendor.
type qxtCall struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	profile *Profile
	key     string
	numbers []string
	batch   bool
	reply   []byte
}

func (s *Server) snapshot() *Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profile
	return &p
}

func (s *Server) qxtSingle(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c := qxtCall{s: s, w: w, r: r, profile: s.snapshot(), key: r.FormValue("apikey")}
	if m := r.FormValue("mobile"); m != "" {
		c.numbers = []string{m}
	}
	c.serve()
}

func (s *Server) qxtBatch(w http.ResponseWriter, r *http.Request) {
	c := qxtCall{s: s, w: w, r: r, profile: s.snapshot(), batch: true}
	if r.Method != http.MethodPost {
		c.whole(-7)
		c.flush()
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request entity too large", http.StatusRequestEntityTooLarge)
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
	c.serve()
}

// serve lets the call through limits, latency and faults, and answers it.
func (c *qxtCall) serve() {
	start := time.Now()
	limit := c.s.limiterOf(c.key)
	c.s.ledger.enter(c.key, start)
	v := refused
	// The books are closed before the last byte is out: a client that has the
	// reply may call again at once.
	closeBooks := sync.OnceFunc(func() {
		if v != refused {
			limit.leave()
		}
		c.s.ledger.leave(c.key, start, time.Now(), v, c.numbers)
	})
	defer closeBooks()
	if !limit.enter(start, len(c.numbers)) {
		closeBooks()
		tooMany(c.w, limit.limits)
		return
	}
	v = failed
	if !c.s.wait(c.latency()) || c.outage(limit.limits) || c.httpFault() {
		return
	}
	if c.answer() {
		v = answered
	}
	closeBooks()
	c.flush()
}

func (c *qxtCall) latency() time.Duration {
	l := c.profile.QXT.Latency
	d := l.Base + time.Duration(len(c.numbers))*l.PerNumber
	if l.Jitter > 0 {
		d += time.Duration(c.s.random() * float64(l.Jitter))
	}
	return d
}

// outage answers a call that fell into one; false if none is on.
func (c *qxtCall) outage(l Limits) bool {
	now := time.Since(c.s.started)
	for _, o := range c.profile.QXT.Outages {
		if now < o.From || now >= o.To {
			continue
		}
		switch o.Mode {
		case "hang":
			c.s.hang(c.r)
		case "reset":
			reset(c.w)
		case "429":
			tooMany(c.w, l)
		default:
			http.Error(c.w, "service unavailable", http.StatusServiceUnavailable)
		}
		return true
	}
	return false
}

func (c *qxtCall) httpFault() bool {
	for _, e := range c.profile.QXT.HTTPErrors {
		if e.Share <= 0 || c.s.random() >= e.Share {
			continue
		}
		switch e.Mode {
		case "hang":
			c.s.hang(c.r)
		case "reset":
			reset(c.w)
		case "truncate":
			c.w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(c.w, `[{"code":0,"reason":"Su`)
		case "html":
			c.w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(c.w, page(1))
		case "oversize":
			c.w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(c.w, page(100<<20))
		default:
			if e.RetryAfter > 0 {
				c.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)))
			}
			http.Error(c.w, http.StatusText(e.Status), e.Status)
		}
		return true
	}
	return false
}

// answer builds the reply; true if the numbers are paid for.
func (c *qxtCall) answer() bool {
	if len(c.key) != qxtKeyLength {
		c.wholeReason(1, "参数验证失败：apikey长度不正确")
		return false
	}
	if !c.s.known(c.key) {
		c.whole(-1)
		return false
	}
	if len(c.numbers) == 0 {
		c.whole(-7)
		return false
	}
	if len(c.numbers) > qxtMaxBatch {
		c.whole(-10)
		return false
	}
	if !c.s.charge(c.key, int64(len(c.numbers))) {
		c.whole(-6)
		return false
	}
	for _, e := range c.profile.QXT.CallErrors {
		if e.Share > 0 && c.s.random() < e.Share {
			c.wholeReason(e.Code, wording(e))
			return false
		}
	}
	if c.batch {
		return c.batchReply()
	}
	c.reply = c.appendNumber(nil, c.numbers[0])
	return true
}

func (c *qxtCall) batchReply() bool {
	q := &c.profile.QXT
	if q.Poison.Share > 0 || len(q.Poison.Numbers) > 0 {
		if slices.ContainsFunc(c.numbers, c.profile.poisonous) {
			c.wholeReason(1, "参数验证失败：手机号码无效")
			return false
		}
	}
	order := c.order()
	b := append(make([]byte, 0, 160*len(order)+2), '[')
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

// order is what the reply speaks of: the numbers asked, less the missing, plus
// duplicates and strangers, shuffled if so configured.
func (c *qxtCall) order() []string {
	q := &c.profile.QXT
	if q.Missing == 0 && q.Duplicate == 0 && q.Extra == 0 && !q.Shuffle {
		return c.numbers
	}
	out := make([]string, 0, len(c.numbers)+1)
	for _, n := range c.numbers {
		if q.Missing > 0 && c.s.random() < q.Missing {
			continue
		}
		out = append(out, n)
		if q.Duplicate > 0 && c.s.random() < q.Duplicate {
			out = append(out, n)
		}
		if q.Extra > 0 && c.s.random() < q.Extra {
			out = append(out, "199"+n[len(n)-1:]+"0000000")
		}
	}
	if q.Shuffle {
		c.s.mu.Lock()
		c.s.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		c.s.mu.Unlock()
	}
	return out
}

func (s *Server) qxtBalance(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c := qxtCall{s: s, w: w, r: r, profile: s.snapshot(), key: r.FormValue("apikey")}
	switch balance, feeType, ok := s.balance(c.key); {
	case len(c.key) != qxtKeyLength:
		c.wholeReason(1, "参数验证失败：apikey长度不正确")
	case !ok:
		c.whole(-1)
	default:
		c.reply = []byte(`{"code":0,"reason":"Succ","result":{"feeType":"` + feeType + `","balance":"` + strconv.FormatInt(balance, 10) + `"}}`)
	}
	c.flush()
}

// known counts a call of the key and says whether the vendor knows it.
func (s *Server) known(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.balances[key]
	if a == nil {
		return len(s.profile.QXT.Keys) == 0
	}
	a.calls++
	return a.key.RevokedAfter == 0 || a.calls <= a.key.RevokedAfter
}

// charge takes n queries from the balance; false if a prepaid key has too few.
func (s *Server) charge(key string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.balances[key]
	if a == nil || a.key.Balance == nil {
		return true
	}
	if !strings.Contains(a.key.FeeType, "后付费") && a.spent+n > *a.key.Balance {
		return false
	}
	a.spent += n
	return true
}

func (s *Server) balance(key string) (left int64, feeType string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.balances[key]
	if a == nil {
		return 1_000_000, "预付费", len(s.profile.QXT.Keys) == 0
	}
	feeType = a.key.FeeType
	if feeType == "" {
		feeType = "预付费"
	}
	if a.key.Balance == nil {
		return 1_000_000, feeType, true
	}
	return *a.key.Balance - a.spent, feeType, true
}
