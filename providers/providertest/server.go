package providertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"

	"github.com/lookupq/lookupq/providers"
)

// replay answers as recorded. A provider that calls nobody has no response, and
// no server either.
func replay(r *Response) http.Handler {
	if r == nil {
		return http.NotFoundHandler()
	}
	return replayBody(r, r.Body)
}

// replayBody answers with another body under the recorded status and headers.
func replayBody(r *Response, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		for k, v := range r.Header {
			w.Header().Set(k, v)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(r.Status)
		_, _ = w.Write(body) //nolint:gosec // no browser reads this
	})
}

// answer replies with a status, headers and a body.
func answer(status int, header map[string]string, body string) http.Handler {
	return replayBody(&Response{Status: status, Header: header}, []byte(body))
}

// hanging begins as it is told and then sends nothing, until the client goes. A
// header is only sent if begin has written something.
func hanging(begin func(w http.ResponseWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if begin != nil {
			begin(w)
		}
		<-r.Context().Done()
	})
}

// raw writes bytes of its own and ends the connection, with a reset if it is to.
func raw(reset bool, bytes string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(conn, bytes)
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
}

// mimic is an upstream that answers whatever numbers it is asked, in the words of
// a recorded call: each number with the entry of one of the recorded numbers.
type mimic struct {
	c       *Case
	entries []entry // nil if the body answers one number
	// as says whose entry a number's answer is made of, by its national part.
	as map[string]int
	// arrange, if set, changes the order of a reply's entries.
	arrange func([]entry)
	digits  *regexp.Regexp
}

func newMimic(c *Case) (*mimic, error) {
	u := &mimic{c: c, as: make(map[string]int), digits: regexp.MustCompile(`\d{5,}`)}
	for i, n := range c.numbers {
		u.as[n.National] = i
	}
	if c.Response.Entries == nil {
		return u, nil
	}
	var err error
	u.entries, err = c.entriesByNumber()
	return u, err
}

// more invents n further numbers of the same partition and says what to expect
// of each. The last digits count up, so prefix and length stay.
func (u *mimic) more(n int) ([]providers.Number, []Outcome) {
	numbers := make([]providers.Number, 0, n)
	outcomes := make([]Outcome, 0, n)
	for i := 0; len(numbers) < n; i++ {
		model := i % len(u.c.numbers)
		num := u.c.numbers[model]
		tail := fmt.Sprintf("%05d", i)
		num.National = num.National[:len(num.National)-len(tail)] + tail
		num.E164 = "+" + num.CountryCode + num.National
		if _, taken := u.as[num.National]; taken {
			continue
		}
		u.as[num.National] = model
		numbers = append(numbers, num)
		outcomes = append(outcomes, u.c.Outcomes[model])
	}
	return numbers, outcomes
}

// ServeHTTP implements http.Handler: it looks for the digits of known numbers in
// the request, wherever the provider writes them.
func (u *mimic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var entries []entry
	single := u.c.Response.Body
	for _, digits := range u.digits.FindAllString(r.URL.String()+" "+string(body), -1) {
		national, model, ok := u.known(digits)
		switch from := u.c.numbers[model].National; {
		case !ok:
		case u.entries != nil:
			entries = append(entries, renumber(u.entries[model], from, national))
		default:
			single = renumber(single, from, national)
		}
	}
	reply := []byte(single)
	if u.entries != nil {
		if u.arrange != nil {
			u.arrange(entries)
		}
		if reply, err = u.c.withEntries(entries); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
	}
	replayBody(u.c.Response, reply).ServeHTTP(w, r)
}

// known finds a number in a run of digits that may begin with its calling code.
func (u *mimic) known(digits string) (national string, model int, ok bool) {
	for cut := 0; cut <= 3 && cut < len(digits); cut++ {
		if model, ok = u.as[digits[cut:]]; ok {
			return digits[cut:], model, true
		}
	}
	return "", 0, false
}
