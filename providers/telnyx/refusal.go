package telnyx

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Codes of Telnyx's error catalogue. They are strings there.
const (
	codeBadNumber    = "10002" // invalid phone number
	codeNoParameter  = "10004"
	codeNotThere     = "10005" // not found
	codeBadID        = "10006"
	codeUnexpected   = "10007"
	codeTheirTimeout = "10008"
	codeNoAuth       = "10009" // authentication failed
	codeNoRight      = "10010" // authorization failed
	codeTooOften     = "10011"
	codeBadRequest   = "10015" // malformed
	codeNotE164      = "10016" // number must be +E.164
	codeTooMany      = "80401" // more than 1000 numbers
)

// triesConflict is how often a number may be in a call that ends in a conflict (409).
const triesConflict = 2

// refusal is why a request brought nothing, with what Telnyx said of it.
type refusal struct {
	failure  *providers.Failure
	status   int // 0 if there was no reply
	problems []problem
	secret   providers.Secret
}

// problem is one of the errors of a reply.
type problem struct {
	code  string
	words string
	// at is the element of the request that is at fault, as a JSON pointer or the
	// name of a parameter.
	at string
}

// readProblems reads {"errors":[{code,title,detail|description,source}]}; what
// has another form is left out.
func readProblems(body []byte) []problem {
	var envelope struct {
		Errors []json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return nil
	}
	var all []problem
	for _, raw := range envelope.Errors {
		var e struct {
			Code        text            `json:"code"`
			Title       text            `json:"title"`
			Detail      text            `json:"detail"`
			Description text            `json:"description"`
			Source      json.RawMessage `json:"source"`
		}
		if json.Unmarshal(raw, &e) != nil {
			continue
		}
		var source struct {
			Pointer   text `json:"pointer"`
			Parameter text `json:"parameter"`
		}
		_ = json.Unmarshal(e.Source, &source) // an error without a place is one, too
		p := problem{words: e.Title.s, at: first(source.Pointer.s, source.Parameter.s)}
		if more := first(e.Detail.s, e.Description.s); more != "" && more != p.words {
			p.words = strings.TrimPrefix(p.words+": "+more, ": ")
		}
		if isDigits(e.Code.s) && len(e.Code.s) <= 6 { // what is longer is no code and may be a number
			p.code = e.Code.s
		}
		if p != (problem{}) {
			all = append(all, p)
		}
	}
	return all
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// judge refines what the status means by what the body and the headers say.
func judge(res upstream.Response, f *providers.Failure, secret providers.Secret) *refusal {
	r := &refusal{failure: f, status: res.Status, secret: secret}
	if res.Status < http.StatusBadRequest {
		return r // no reply, or a redirect
	}
	r.problems = readProblems(res.Body)
	if len(r.problems) > 0 {
		leading := r.problems[0]
		for _, p := range r.problems {
			if kind := p.callKind(res.Status); kind != f.Kind {
				f.Kind, leading = kind, p
				break
			}
		}
		r.quote(f, leading)
	}
	if res.Status == http.StatusConflict {
		f.Tries = triesConflict
	}
	if f.Kind == providers.KindThrottled && f.RetryAfter == 0 {
		f.RetryAfter = seconds(res.Header.Get("X-Ratelimit-Reset"))
	}
	override(f, res.Header.Get("X-Should-Retry"))
	return r
}

// quote gives f the upstream's code and words.
func (r *refusal) quote(f *providers.Failure, p problem) {
	if p.code != "" {
		f.Code = p.code
	}
	if p.words != "" {
		f.Message = upstream.Clean(p.words, r.secret)
	}
}

// callKind is what a problem means for the whole call; where it adds nothing, it
// is what the status means.
func (p problem) callKind(status int) providers.Kind {
	kind := upstream.StatusKind(status)
	switch {
	case p.code == codeTooOften, status == http.StatusTooManyRequests:
		return providers.KindThrottled
	case p.passing() && !p.ofElement(status):
		return providers.KindUnavailable
	case status >= http.StatusInternalServerError:
		return kind // a server that fails is no judge of keys and requests
	case p.code == codeNoAuth:
		return providers.KindUnauthorized
	case status == http.StatusPaymentRequired, kind != providers.KindUnauthorized && p.spent():
		return providers.KindNoBalance
	case p.code == codeNoRight:
		return providers.KindForbidden
	case p.code == codeTooMany:
		return providers.KindTooMany
	case status == http.StatusBadRequest && p.ourFault():
		return providers.KindInternal
	}
	return kind
}

// passing problems are gone by themselves.
func (p problem) passing() bool { return p.code == codeUnexpected || p.code == codeTheirTimeout }

// ofElement reports whether the problem is one number's by where it is.
func (p problem) ofElement(status int) bool {
	_, ok := element(p.at)
	return ok && status == http.StatusUnprocessableEntity
}

func (p problem) ourFault() bool {
	return p.code == codeBadRequest || p.code == codeNoParameter || p.code == codeBadID
}

// spent knows the ways to say that there is no money left.
func (p problem) spent() bool {
	words := strings.ToLower(p.words)
	for _, s := range [...]string{
		"sufficient fund", "sufficient balance", "sufficient credit", // insufficient, no sufficient …
		"not enough fund", "not enough balance", "not enough credit", "balance is too low", "account balance",
	} {
		if strings.Contains(words, s) {
			return true
		}
	}
	return false
}

// override does what the header x-should-retry says. What accuses the key is left
// as it is: the key rests, which is no retry of the request. So is a batch that is
// too large: it is split. "false" matters where the call would be made again as it is.
func override(f *providers.Failure, header string) {
	again := f.Kind == providers.KindUnavailable || f.Kind == providers.KindUndocumented
	final := f.Kind == providers.KindRefused || f.Kind == providers.KindInternal || f.Kind == providers.KindMisconfigured
	switch {
	case header == "true" && (again || final):
		f.Kind = providers.KindUnavailable
	case header == "false" && again:
		f.Tries, f.RetryAfter = 1, 0
	}
}

// seconds reads how long it is until a limit is reset. What is longer than a day
// is something else, such as the time of day.
func seconds(header string) time.Duration {
	v, err := strconv.ParseFloat(strings.TrimSpace(header), 64)
	if err != nil || v <= 0 || v > (24*time.Hour).Seconds() {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// notThere reports whether what was asked for by its id does not exist. A 404
// without the code is a wrong address.
func (r *refusal) notThere() bool {
	if r.status != http.StatusNotFound || r.failure.Kind != providers.KindMisconfigured {
		return false
	}
	for _, p := range r.problems {
		if p.code == codeNotThere {
			return true
		}
	}
	return false
}

// aboutNumber reports whether the problem is one number's by its code.
func (p problem) aboutNumber() bool { return p.code == codeBadNumber || p.code == codeNotE164 }

// reply is the refused call's: numbers that Telnyx points at have their outcomes
// and the others are to be asked again; a refusal that points at none is the call's.
func (r *refusal) reply(numbers []providers.Number) providers.Reply {
	switch {
	case r.failure.Kind != providers.KindRefused:
		return providers.Reply{Failure: r.failure}
	case len(r.problems) == 0 && len(numbers) == 1 && r.status == http.StatusUnprocessableEntity:
		invalid := r.outcome(problem{}) // it can mean no other
		invalid.Failure.Message = r.failure.Message
		return one(invalid)
	case len(r.problems) == 0:
		return providers.Reply{Failure: r.failure}
	}
	outcomes := make([]providers.Outcome, len(numbers))
	again := &providers.Failure{
		Kind: providers.KindRetryable, Code: r.failure.Code, Message: "another number of the call was refused, and this one not looked up",
		Innocent: true,
	}
	for i := range outcomes {
		outcomes[i] = providers.Outcome{Kind: providers.Failed, Failure: again}
	}
	pointed := false
	for _, p := range r.problems {
		if i, ok := p.which(numbers, r.status); ok {
			outcomes[i], pointed = r.outcome(p), true
		}
	}
	if !pointed {
		return providers.Reply{Failure: r.failure}
	}
	return providers.Reply{Outcomes: outcomes}
}

// outcome is that of the number that a problem is about: it is none, unless the
// code says something milder.
func (r *refusal) outcome(p problem) providers.Outcome {
	f := &providers.Failure{Kind: providers.KindRejected, Code: r.failure.Code}
	r.quote(f, p)
	switch {
	case p.code == codeNotThere:
		return providers.Outcome{Kind: providers.NotFound}
	case p.passing():
		f.Kind = providers.KindRetryable
		return providers.Outcome{Kind: providers.Failed, Failure: f}
	}
	return providers.Outcome{Kind: providers.Invalid, Failure: f}
}

// which finds the number that a problem is about: the only one, the one that the
// pointer names, or the one that the words quote.
func (p problem) which(numbers []providers.Number, status int) (int, bool) {
	if status != http.StatusUnprocessableEntity && !p.aboutNumber() {
		return 0, false
	}
	if len(numbers) == 1 {
		return 0, true
	}
	if i, ok := element(p.at); ok && i < len(numbers) {
		return i, true
	}
	if !p.aboutNumber() {
		return 0, false
	}
	for _, run := range strings.FieldsFunc(p.words, func(c rune) bool { return c < '0' || c > '9' }) {
		for i, n := range numbers {
			if n.E164[1:] == run {
				return i, true
			}
		}
	}
	return 0, false
}

// element is the index in /phone_numbers/2, phone_numbers[2] or phone_numbers.2.
func element(at string) (int, bool) {
	_, rest, ok := strings.Cut(at, "phone_numbers")
	if !ok || len(rest) < 2 || !strings.ContainsRune("/[.", rune(rest[0])) {
		return 0, false
	}
	rest = rest[1:]
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	i, err := strconv.Atoi(rest[:end])
	return i, err == nil
}
