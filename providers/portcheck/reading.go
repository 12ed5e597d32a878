package portcheck

import (
	"net/http"
	"slices"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/upstream"
	"github.com/lookupq/lookupq/providers/words"
)

// reading turns one reply into the outcome of one number.
type reading struct {
	p       *Provider
	q       *providers.Query
	res     *upstream.Response
	secrets []providers.Secret
	root    any
	// code and message are the upstream's own, hasCode false if its code is
	// missing or no scalar.
	code, message string
	hasCode       bool
}

// open decodes the body; false if it is no reply at all.
func (r *reading) open() bool {
	root, ok := decode(r.res.Body)
	if !ok {
		return false
	}
	r.root = root
	r.message, _ = r.text(r.p.fields.Message)
	r.code, r.hasCode = r.text(r.p.fields.Code)
	r.hasCode = r.hasCode && r.code != "" && r.p.fields.Code != ""
	return true
}

// text is the scalar at p, "" where p leads nowhere; false for a list or object.
func (r *reading) text(p path) (string, bool) {
	if p == "" {
		return "", true
	}
	v, _ := p.find(r.root)
	return scalar(v)
}

// read is the reply with a status of success.
func (r *reading) read() providers.Reply {
	switch {
	case !r.open():
		return r.garbled(upstream.Unreadable(*r.res).Message)
	case r.p.fields.Code == "":
		return r.data()
	case !r.hasCode:
		return r.garbled("the reply has no code where fields.code says")
	case slices.Contains(r.p.asking.success, r.code):
		return r.data()
	}
	if m, mapped := r.p.words.code[r.code]; mapped {
		return r.act(words.Verdict(m))
	}
	return r.act(byWords(r.message))
}

// data is a reply of success.
func (r *reading) data() providers.Reply {
	f := &r.p.fields
	data, there := f.Data.find(r.root)
	switch _, single := scalar(data); {
	case !there:
		return r.without("the reply has no data where fields.data says")
	case nothing(data) && f.Data != "":
		return upstream.One(providers.Outcome{Kind: providers.NotFound})
	case single && f.Transfer != f.Data:
		return r.garbled("the reply's data is a single value")
	case !r.has(f.Transfer, f.Original, f.Current):
		return r.without("the data has none of the configured fields")
	}
	return r.found()
}

// without is a reply of success that lacks what it should have. Its message may
// say why; where a code says that all is well only that nothing was found.
func (r *reading) without(problem string) providers.Reply {
	v := byWords(r.message)
	if v == words.NotFound || v != words.Unknown && r.p.fields.Code == "" {
		return r.act(v)
	}
	return r.garbled(problem)
}

// found takes the facts out of the data. Without any the upstream cannot tell.
func (r *reading) found() providers.Reply {
	f := &r.p.fields
	texts := make(map[path]string, 10)
	for _, p := range []path{f.Transfer, f.Original, f.Current, f.Number, f.Area, f.Province, f.City, f.LineType, f.MCC, f.MNC} {
		text, ok := r.text(p)
		if !ok {
			return r.garbled("a field of the data is a list or an object")
		}
		texts[p] = text
	}
	if !r.sameNumber(texts[f.Number]) {
		return r.garbled("the reply is of another number")
	}
	out := providers.Outcome{Kind: providers.Found}
	r.facts(&out.Facts, texts)
	if r.q.Raw {
		out.Raw = f.Data.raw(r.res.Body)
	}
	if empty(&out.Facts) {
		out.Kind = providers.NotFound // but what it says that nobody reads is kept
		return upstream.One(out)
	}
	r.scope(&out.Facts, texts[f.Transfer])
	return upstream.One(out)
}

// has reports whether any of the paths leads to something, be it null.
func (r *reading) has(paths ...path) bool {
	return slices.ContainsFunc(paths, func(p path) bool {
		_, there := p.find(r.root)
		return p != "" && there
	})
}

// sameNumber compares a repeated number by its last digits: it may come without
// its calling code, and masked ("138****8000").
func (r *reading) sameNumber(text string) bool {
	seen := text[strings.LastIndexByte(text, '*')+1:]
	seen = strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, seen)
	asked := strings.TrimPrefix(r.q.Numbers[0].E164, "+")
	return strings.HasSuffix(asked, seen) || strings.HasSuffix(seen, r.q.Numbers[0].National)
}

// facts are what the data says of the number.
func (r *reading) facts(out *providers.Facts, texts map[path]string) {
	f := &r.p.fields
	country := r.p.countries[r.q.Numbers[0].CountryCode]
	out.OriginalCarrier = r.p.words.carrier(country, texts[f.Original])
	out.CurrentCarrier = r.p.words.carrier(country, texts[f.Current])
	out.Ported, out.PortedBasis = normal.Judge(r.p.words.ported(texts[f.Transfer]), out.OriginalCarrier, out.CurrentCarrier)
	out.Area = area(country, texts[f.Area], texts[f.Province], texts[f.City])
	out.LineType, _ = normal.LineType(texts[f.LineType])
	if mcc, mnc := texts[f.MCC], texts[f.MNC]; normal.Digits(mcc) && len(mcc) == 3 {
		out.MCC = mcc
		if len(mnc) == 1 {
			mnc = "0" + mnc // as a JSON number it has lost its zero
		}
		if normal.Digits(mnc) && (len(mnc) == 2 || len(mnc) == 3) {
			out.MNC = mnc
		}
	}
}

// area is what is said in one text, else what is said in two.
func area(country, whole, province, city string) string {
	switch {
	case whole == "":
		return normal.Area(province, city)
	case country == isoCN:
		return normal.SplitArea(whole)
	}
	return whole
}

// empty reports whether nothing is known of the number.
func empty(f *providers.Facts) bool {
	return f.Ported == providers.Unknown && f.OriginalCarrier == providers.Carrier{} && f.CurrentCarrier == providers.Carrier{} &&
		f.Area == "" && f.LineType == "" && f.MCC == ""
}

// scope adds what follows from the number's being served. 空号 is a number that
// nobody has.
func (r *reading) scope(f *providers.Facts, transfer string) {
	n := r.q.Numbers[0]
	f.Country = r.p.countries[n.CountryCode]
	if n.CountryCode == callingCodeCN && f.LineType == "" {
		f.LineType = providers.LineMobile
	}
	if f.Valid = providers.Yes; normal.Tight(transfer) == "空号" {
		f.Valid = providers.Unknown
	}
}

// refused is the meaning of a failed call. What the body says counts before a
// status of 4xx, except 404 and 405, which no number and no key explains, and 429.
func (r *reading) refused(failure *providers.Failure) providers.Reply {
	if r.res.Status == 0 || !r.open() {
		return providers.Reply{Failure: capped(failure)}
	}
	if m, mapped := r.p.words.code[r.code]; mapped && r.hasCode {
		return r.act(words.Verdict(m))
	}
	if v := byWords(r.message); refines(v, r.res.Status) {
		if !r.hasCode {
			r.code = failure.Code
		}
		return r.act(v)
	}
	return providers.Reply{Failure: capped(failure)}
}

// refines reports whether words that ask for v may say more than the status does.
func refines(v words.Verdict, status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests:
		return false
	case http.StatusBadRequest, http.StatusUnprocessableEntity: // of any part of the request
		return v != words.Unknown
	case http.StatusUnauthorized, http.StatusPaymentRequired:
		return v == words.NoBalance
	}
	return status/100 == 4 && (v == words.DisableKey || v == words.NoBalance || v == words.PauseKey)
}

// act is the reply that a verdict asks for, in the upstream's own words.
func (r *reading) act(v words.Verdict) providers.Reply {
	f := &providers.Failure{
		Kind: v.Kind(), Code: upstream.Clean(r.code, r.secrets...), Message: upstream.Clean(r.message, r.secrets...),
		RetryAfter: upstream.RetryAfter(r.res.Header, r.p.clock()),
	}
	switch v {
	case words.NotFound:
		return upstream.One(providers.Outcome{Kind: providers.NotFound})
	case words.Invalid:
		return upstream.One(providers.Outcome{Kind: providers.Invalid, Failure: f})
	case words.Reject, words.RetryNumber:
		return upstream.One(providers.Outcome{Kind: providers.Failed, Failure: capped(f)})
	case words.Unknown, words.Refused, words.Retry, words.PauseKey, words.NoBalance, words.DisableKey, words.Forbidden,
		words.Bug, words.Split, words.Misconfigured:
	}
	return providers.Reply{Failure: capped(f)}
}

func (r *reading) garbled(message string) providers.Reply {
	return providers.Reply{Failure: capped(&providers.Failure{Kind: providers.KindGarbled, Message: message})}
}

// capped bounds the tries of what is the upstream's fault.
func capped(f *providers.Failure) *providers.Failure {
	if f.Kind == providers.KindUnavailable || f.Kind == providers.KindRetryable || f.Kind.Unsure() {
		f.Tries = maxTries
	}
	return f
}
