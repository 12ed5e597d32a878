package simulator

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Telnyx is the behaviour of the simulated Telnyx. Codes of call_errors are those
// of its error catalogue, of item_errors too: in a portability check they are
// elements of a 422.
type Telnyx struct {
	Common `yaml:",inline"`
	// Orders is how many porting orders the account has; 0 is 60. The first has 120
	// numbers, the others 1 to 5. TelnyxNumbers lists them.
	Orders int `yaml:"orders"`
	// MaxPage is the largest page that lists give; 0 is 250.
	MaxPage int `yaml:"max_page"`
}

func (t *Telnyx) validate() []error {
	const most = 5000
	faults := wholeCodes("telnyx", &t.Common)
	if t.Orders < 0 || t.Orders > most {
		faults = append(faults, fmt.Errorf("telnyx.orders: %d: use 0 to %d", t.Orders, most))
	}
	if t.MaxPage < 0 {
		faults = append(faults, errors.New("telnyx.max_page: use 1 or more"))
	}
	return faults
}

// telnyxMaxBatch is the catalogue's hint of how many numbers a check may have.
const telnyxMaxBatch = 1000

// The catalogue's codes.
const (
	telnyxInvalid      = "10002"
	telnyxMissing      = "10004"
	telnyxNotFound     = "10005"
	telnyxUnauthorized = "10009"
	telnyxForbidden    = "10010"
	telnyxTooMany      = "10011"
	telnyxBadRequest   = "10015"
	telnyxNotE164      = "10016"
	telnyxTooLarge     = "80401"
)

// telnyxDesk is the simulated vendor.
type telnyxDesk struct{ up *upstream }

// telnyxCall is one call on its way through it.
type telnyxCall struct {
	call
	answer func(*telnyxCall) bool
	// problem is what is wrong with the body.
	problem string
}

func (s *Server) telnyxRoutes(mux *http.ServeMux) {
	d := telnyxDesk{up: s.add(UpstreamTelnyx, telnyxMaxBatch)}
	d.route(mux, "POST /portability_checks", "portability_checks", (*telnyxCall).portability, readChecks)
	d.route(mux, "GET /number_lookup/{number}", "number_lookup", (*telnyxCall).numberLookup, readNumber)
	d.route(mux, "GET /porting_orders", "porting_orders", (*telnyxCall).listOrders, readFilter)
	d.route(mux, "GET /porting_orders/{id}", "porting_order", (*telnyxCall).getOrder, nil)
	d.route(mux, "GET /porting_phone_numbers", "porting_phone_numbers", (*telnyxCall).listNumbers, nil)
	d.otherReads(mux)
	d.mutations(mux)
	d.route(mux, "/", "unknown", (*telnyxCall).nothingThere, nil)
}

// route serves one operation. read finds the numbers that it asks for; false if
// the request is answered already.
func (d telnyxDesk) route(mux *http.ServeMux, pattern, op string, answer, read func(*telnyxCall) bool) {
	method, path, _ := strings.Cut(pattern, " ")
	if path == "" {
		method, path = "", method
	}
	pattern = strings.TrimSpace(method + " " + TelnyxPath + path)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := telnyxCall{call: d.up.begin(w, r), answer: answer}
		c.op = op
		c.mutation = strings.HasPrefix(op, "mutation ")
		c.key, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if read != nil && !read(&c) {
			return
		}
		c.serve(&c)
	})
}

// tooMany implements dialect.
func (c *telnyxCall) tooMany(*call) { c.fail(telnyxTooMany, "You have exceeded the rate limit.") }

// badRequest implements dialect.
func (c *telnyxCall) badRequest(*call) {
	c.fail(telnyxBadRequest, "The request could not be understood.")
}

// outcome implements dialect.
func (c *telnyxCall) outcome(*call) bool {
	c.rateHeaders()
	switch standing := c.up.visit(c.key); {
	case c.key == "" || standing == keyUnknown:
		c.fail(telnyxUnauthorized, "Could not find any usable credentials in the request.")
		return false
	case standing == keyForbidden:
		c.fail(telnyxForbidden, "You do not have permission to perform this action.")
		return false
	}
	if e, ok := c.callError(); ok {
		c.fail(e.Code, e.Reason)
		return false
	}
	c.paid = []string{} // what answers for money says so itself
	return c.answer(c)
}

// rateHeaders tell how much room the key has.
func (c *telnyxCall) rateHeaders() {
	rate := c.limit.limits.Rate
	if rate <= 0 {
		return
	}
	left, wait := c.limit.room(c.start)
	c.rateLeft(left, wait)
}

func (c *telnyxCall) rateLeft(left int, wait time.Duration) {
	const usualLimit = 1000
	limit := int(c.limit.limits.Rate)
	if limit <= 0 {
		limit = usualLimit
	}
	h := c.w.Header()
	h.Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(left))
	h.Set("X-Ratelimit-Reset", strconv.Itoa(int(math.Ceil(max(wait.Seconds(), 1)))))
}

// telnyxError is an entry of the vendor's error replies.
type telnyxError struct {
	Code   string            `json:"code"`
	Title  string            `json:"title"`
	Detail string            `json:"detail"`
	Source map[string]string `json:"source,omitempty"`
	Meta   map[string]string `json:"meta"`
}

// fault is an entry about the element at pointer, if there is one.
func fault(code, detail, pointer string) telnyxError {
	_, title := telnyxWording(code)
	if detail == "" {
		detail = title + "."
	}
	e := telnyxError{Code: code, Title: title, Detail: detail, Meta: map[string]string{"url": "https://developers.telnyx.com/docs/overview/errors/" + code}}
	if pointer != "" {
		e.Source = map[string]string{"pointer": pointer}
	}
	return e
}

// fail answers with one error.
func (c *telnyxCall) fail(code, detail string) { c.failAll(fault(code, detail, "")) }

// failAll answers with errors; the first says the status.
func (c *telnyxCall) failAll(faults ...telnyxError) {
	status, _ := telnyxWording(faults[0].Code)
	c.w.Header().Set("X-Should-Retry", strconv.FormatBool(retryable(status)))
	if status == http.StatusTooManyRequests {
		c.rateLeft(0, c.patience)
	}
	c.json(status, map[string]any{"errors": faults})
}

func retryable(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusConflict || status >= http.StatusInternalServerError
}

// telnyxWording is the status and title of a code.
func telnyxWording(code string) (status int, title string) {
	switch code {
	case telnyxInvalid:
		return http.StatusUnprocessableEntity, "Invalid phone number"
	case telnyxMissing:
		return http.StatusUnprocessableEntity, "Missing required parameter"
	case telnyxNotFound:
		return http.StatusNotFound, "Resource not found"
	case "10006":
		return http.StatusNotFound, "Invalid ID"
	case "10007":
		return http.StatusInternalServerError, "Unexpected error"
	case "10008":
		return http.StatusRequestTimeout, "Request timeout"
	case telnyxUnauthorized:
		return http.StatusUnauthorized, "Authentication failed"
	case telnyxForbidden:
		return http.StatusForbidden, "Authorization failed"
	case telnyxTooMany:
		return http.StatusTooManyRequests, "Too many requests"
	case telnyxBadRequest:
		return http.StatusBadRequest, "Bad Request"
	case telnyxNotE164:
		return http.StatusUnprocessableEntity, "Phone number must be in +E.164 format"
	case telnyxTooLarge:
		return http.StatusUnprocessableEntity, "Too many phone numbers"
	case "20100":
		return http.StatusPaymentRequired, "Insufficient balance"
	}
	return http.StatusInternalServerError, "Error"
}

// data answers with the vendor's envelope.
func (c *telnyxCall) data(status int, data any) { c.json(status, map[string]any{"data": data}) }

// list answers with one page of all.
func list[T any](c *telnyxCall, all []T) {
	const usual, most = 20, 250
	size := positive(c.r.URL.Query().Get("page[size]"), usual)
	biggest := c.profile.Telnyx.MaxPage
	if biggest == 0 {
		biggest = most
	}
	size = min(size, biggest)
	number := positive(c.r.URL.Query().Get("page[number]"), 1)
	pages := (len(all) + size - 1) / size
	from := min((number-1)*size, len(all))
	c.json(http.StatusOK, map[string]any{
		"data": append([]T{}, all[from:min(from+size, len(all))]...),
		"meta": map[string]int{"page_number": number, "page_size": size, "total_pages": pages, "total_results": len(all)},
	})
}

// positive reads a number above 0, else it is fallback.
func positive(text string, fallback int) int {
	const most = 1 << 20
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return fallback
	}
	return n
}

// isE164 reports whether a number is in +E.164.
func isE164(n string) bool {
	const shortest, longest = 8, 16
	return len(n) >= shortest && len(n) <= longest && n[0] == '+' && n[1] != '0' && digits(n[1:])
}

// isJSON reports whether the request says that its body is JSON.
func (c *call) isJSON() bool {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
