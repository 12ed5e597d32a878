package portcheck

import (
	"net/http"
	"slices"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/upstream"
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
	if a, mapped := r.p.words.code[r.code]; mapped {
		return r.act(a)
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
		return one(providers.Outcome{Kind: providers.NotFound})
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
	a := byWords(r.message)
	if a == actNotFound || a != actUnknown && r.p.fields.Code == "" {
		return r.act(a)
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
	if empty(&out.Facts) {
		return one(providers.Outcome{Kind: providers.NotFound})
	}
	r.scope(&out.Facts, texts[f.Transfer])
	if r.q.Raw {
		out.Raw = f.Data.raw(r.res.Body)
	}
	return one(out)
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
	out.Ported, out.PortedBasis = judge(r.p.words.ported(texts[f.Transfer]), out.OriginalCarrier, out.CurrentCarrier)
	if out.Area = texts[f.Area]; out.Area == "" {
		out.Area = normal.Area(texts[f.Province], texts[f.City])
	}
	out.LineType, _ = normal.LineType(texts[f.LineType])
	if mcc, mnc := texts[f.MCC], texts[f.MNC]; digits(mcc, 3, 3) {
		out.MCC = mcc
		if len(mnc) == 1 {
			mnc = "0" + mnc // as a JSON number it has lost its zero
		}
		if digits(mnc, 2, 3) {
			out.MNC = mnc
		}
	}
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
	if f.Valid = providers.Yes; tight(transfer) == "空号" {
		f.Valid = providers.Unknown
	}
}

func digits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// refused is the meaning of a failed call. What the body says counts before a
// status of 4xx, except 404 and 405, which no number and no key explains, and 429.
func (r *reading) refused(failure *providers.Failure) providers.Reply {
	if r.res.Status == 0 || !r.open() {
		return providers.Reply{Failure: capped(failure)}
	}
	if a, mapped := r.p.words.code[r.code]; mapped && r.hasCode {
		return r.act(a)
	}
	if a := byWords(r.message); refines(a, r.res.Status) {
		if !r.hasCode {
			r.code = failure.Code
		}
		return r.act(a)
	}
	return providers.Reply{Failure: capped(failure)}
}

// refines reports whether words that ask for a may say more than the status does.
func refines(a action, status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests:
		return false
	case http.StatusBadRequest, http.StatusUnprocessableEntity: // of any part of the request
		return a != actUnknown
	case http.StatusUnauthorized, http.StatusPaymentRequired:
		return a == actNoBalance
	}
	return status/100 == 4 && (a == actDisableKey || a == actNoBalance || a == actPauseKey)
}

// act is the reply that an action asks for, in the upstream's own words.
func (r *reading) act(a action) providers.Reply {
	f := &providers.Failure{
		Kind: a.kind(), Code: upstream.Clean(r.code, r.secrets...), Message: upstream.Clean(r.message, r.secrets...),
		RetryAfter: upstream.RetryAfter(r.res.Header, r.p.clock()),
	}
	if a == actNotFound {
		return one(providers.Outcome{Kind: providers.NotFound})
	}
	if a == actInvalid {
		return one(providers.Outcome{Kind: providers.Invalid, Failure: f})
	}
	if a == actReject || a == actRetryNumber {
		return one(providers.Outcome{Kind: providers.Failed, Failure: f})
	}
	return providers.Reply{Failure: capped(f)}
}

func (r *reading) garbled(message string) providers.Reply {
	return providers.Reply{Failure: capped(&providers.Failure{Kind: providers.KindGarbled, Message: message})}
}

func one(out providers.Outcome) providers.Reply {
	return providers.Reply{Outcomes: []providers.Outcome{out}}
}

// capped bounds the tries of what is the upstream's fault.
func capped(f *providers.Failure) *providers.Failure {
	if f.Kind == providers.KindUnavailable || f.Kind.Unsure() {
		f.Tries = maxTries
	}
	return f
}
