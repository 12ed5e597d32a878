package simulator

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds what a client may send.
const maxBody = 1 << 20

// call is one request on its way through a simulated upstream.
type call struct {
	up      *upstream
	w       http.ResponseWriter
	r       *http.Request
	profile *Profile
	common  *Common
	start   time.Time
	limit   *limiter

	key     string
	op      string
	numbers []string // in the upstream's form
	// paid are the numbers that an answer is charged for; nil: all of them.
	paid []string
	// paces are the rates that hold for this sort of call alone.
	paces    []pace
	query    bool
	mutation bool
	// patience is how long a 429 asks to wait.
	patience time.Duration

	// status is 200 unless set; silent breaks the connection off instead of replying.
	status int
	reply  []byte
	silent bool
}

// dialect is how an upstream says what the engine decides. Both set status and reply.
type dialect interface {
	// tooMany says 429; the headers about when to come again are set already.
	tooMany(c *call)
	// badRequest refuses the call as nonsense.
	badRequest(c *call)
	// outcome answers the call; true if it is paid for.
	outcome(c *call) bool
}

func (u *upstream) begin(w http.ResponseWriter, r *http.Request) call {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p := u.server.snapshot()
	return call{up: u, w: w, r: r, profile: p, common: p.common(u.name)}
}

// serve lets the call through limits, latency and faults, and answers it.
func (c *call) serve(d dialect) {
	c.start = time.Now()
	c.limit = c.up.limiterOf(c.key)
	c.up.ledger.enter(c.key, c.start)
	if !c.limit.enter(c.start, len(c.numbers), c.paces...) {
		c.close(refused)
		c.slowDown(d, 0)
		c.flush()
		return
	}
	if !c.up.server.wait(c.latency()) {
		c.close(failed)
		return
	}
	if c.fault(d) {
		return
	}
	v := failed
	switch {
	case c.common.RefuseAll:
		d.badRequest(c)
	case d.outcome(c):
		v = answered
		if c.paid == nil {
			c.paid = c.numbers
		}
	case c.status == http.StatusTooManyRequests:
		v = throttled
	}
	c.close(v)
	c.flush()
}

// close closes the books of the call. That comes before the last byte is out: a
// client that has the reply may call again at once.
func (c *call) close(v verdict) {
	if v != refused {
		c.limit.leave()
	}
	c.up.ledger.leave(&visit{
		key: c.key, op: c.op, start: c.start, end: time.Now(), verdict: v,
		asked: len(c.numbers), paid: c.paid, query: c.query, mutation: c.mutation,
	})
}

func (c *call) latency() time.Duration {
	l := c.common.Latency
	return l.Base + time.Duration(len(c.numbers))*l.PerNumber + c.up.jitter(l.Jitter)
}

// fault answers a call that falls into a burst, an outage or an HTTP error;
// false if there is none.
func (c *call) fault(d dialect) bool {
	now := c.up.server.elapsed()
	if b := c.common.Bursts; b.Every > 0 && now >= b.Every && now%b.Every < b.Length {
		c.throttle(d, b.Length-now%b.Every)
		return true
	}
	for _, o := range c.common.Outages {
		if now < o.From || now >= o.To {
			continue
		}
		if o.Mode == "429" {
			c.throttle(d, o.To-now)
		} else {
			c.httpError(d, HTTPError{Status: http.StatusServiceUnavailable, Mode: strings.TrimPrefix(o.Mode, "503")})
		}
		return true
	}
	for _, e := range c.common.HTTPErrors {
		if c.up.happens(e.Share) {
			c.httpError(d, e)
			return true
		}
	}
	return false
}

// throttle says 429 for no limit of the key's.
func (c *call) throttle(d dialect, wait time.Duration) {
	c.close(throttled)
	c.slowDown(d, wait)
	c.flush()
}

// slowDown says 429: come again after wait, unless the limits say when.
func (c *call) slowDown(d dialect, wait time.Duration) {
	l := c.limit.limits
	if l.RetryAfter > 0 {
		wait = l.RetryAfter
	}
	if wait <= 0 {
		wait = time.Second
	}
	c.patience = wait
	retryAfter(c.w.Header(), wait, l.RetryAfterForm)
	c.status = http.StatusTooManyRequests
	d.tooMany(c)
}

func (c *call) httpError(d dialect, e HTTPError) {
	if e.Mode == "hang" {
		c.up.server.hang(c.r)
		c.close(failed)
		return
	}
	if e.Mode == "" && e.Status == http.StatusTooManyRequests {
		c.throttle(d, e.RetryAfter)
		return
	}
	c.close(failed)
	const huge = 100 << 20
	switch e.Mode {
	case "reset":
		reset(c.w)
	case "truncate":
		c.w.Header().Set("Content-Type", "application/json")
		c.w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(c.w, `[{"code":0,"reason":"Su`)
	case "html":
		c.w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(c.w, page(1))
	case "oversize":
		c.w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(c.w, page(huge))
	default:
		if e.RetryAfter > 0 {
			c.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)))
		}
		http.Error(c.w, http.StatusText(e.Status), e.Status)
	}
}

// flush sends the reply.
func (c *call) flush() {
	if c.silent {
		reset(c.w)
		return
	}
	h := c.w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(c.reply)))
	if c.status != 0 {
		c.w.WriteHeader(c.status)
	}
	_, _ = c.w.Write(c.reply) //nolint:gosec // no browser reads it, and it is JSON
}

// body reads the request's body; false if there is too much of it, which is answered.
func (c *call) body() ([]byte, bool) {
	text, err := io.ReadAll(c.r.Body)
	if err != nil {
		http.Error(c.w, "request entity too large", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return text, true
}

// callError draws one of the profile's errors of whole calls.
func (c *call) callError() (CodeError, bool) {
	for _, e := range c.common.CallErrors {
		if c.up.happens(e.Share) {
			return e, true
		}
	}
	return CodeError{}, false
}

// passingError draws one of the profile's errors of single numbers that do not stick.
func (c *call) passingError() (CodeError, bool) {
	for _, e := range c.common.ItemErrors {
		if !e.Sticky && c.up.happens(e.Share) {
			return e, true
		}
	}
	return CodeError{}, false
}

// said is what the reply speaks of: the numbers asked, less the missing, plus
// duplicates and strangers, shuffled if so configured.
func (c *call) said(stranger func(n string) string) []string {
	q := c.common
	if q.Missing == 0 && q.Duplicate == 0 && q.Extra == 0 && !q.Shuffle {
		return c.numbers
	}
	out := make([]string, 0, len(c.numbers)+1)
	for _, n := range c.numbers {
		if c.up.happens(q.Missing) {
			continue
		}
		out = append(out, n)
		if c.up.happens(q.Duplicate) {
			out = append(out, n)
		}
		if c.up.happens(q.Extra) {
			out = append(out, stranger(n))
		}
	}
	if q.Shuffle {
		c.up.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// retryAfter says in a header when to come again, in the form that was asked for.
func retryAfter(h http.Header, d time.Duration, form string) {
	switch form {
	case "", "seconds":
		h.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	case "date":
		h.Set("Retry-After", time.Now().Add(d+time.Second-1).UTC().Format(http.TimeFormat))
	case "ms":
		h.Set("Retry-After-Ms", strconv.FormatInt(d.Milliseconds(), 10))
	}
}

// reset breaks the connection off.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// page is what a broken gateway says instead of JSON.
func page(size int) string {
	return "<html><body>" + strings.Repeat("upstream error ", max(1, size/15)) + "</body></html>"
}
