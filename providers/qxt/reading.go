package qxt

import (
	"bytes"
	"strconv"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/upstream"
	"github.com/lookupq/lookupq/providers/words"
)

// reading turns one reply into outcomes. It belongs to one call.
type reading struct {
	p    *Provider
	q    providers.Query
	join *upstream.Join
	// keyFits: the key has the documented length.
	keyFits bool
	// names and areas hold texts that come again and again, so that a thousand
	// outcomes share them.
	names, areas map[string]string

	// last is what the last error means, kept because errors come in series.
	last *judged
	// nameless counts entries that name no number, and are errors or say nothing;
	// namelessAlike: all of them as namelessOne.
	nameless      int
	namelessAlike bool
	namelessOne   providers.Outcome
	// aboutNumbers counts entries that answer a number or blame it, aboutCall
	// those that blame key or call; callAlike: all of them as callOne.
	aboutNumbers, aboutCall int
	callAlike               bool
	callOne                 *judged
}

// judged is what an error entry means, made once for equal entries.
type judged struct {
	code    int
	hasCode bool
	reason  string
	verdict words.Verdict
	// outcome is its meaning for one number of several, call for the whole call.
	outcome providers.Outcome
	call    *providers.Failure
}

func (p *Provider) newReading(q providers.Query) *reading {
	return &reading{
		p: p, q: q, keyFits: len(q.Key.Secret.Reveal()) == apikeyLength,
		join:  upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.National }),
		names: make(map[string]string), areas: make(map[string]string),
	}
}

// read is the reply to numbers asked: a list, or one object that answers a
// single number or refuses the whole call.
func (p *Provider) read(q providers.Query, res upstream.Response) providers.Reply {
	r := p.newReading(q)
	var whole providers.Reply
	list, stray, ok := readReply(res.Body, r.entry, func(e *entry) { whole = r.whole(e) })
	switch {
	case !ok:
		return providers.Reply{Failure: upstream.Unreadable(res)}
	case !list:
		return whole
	}
	r.join.Extra(stray)
	return r.reply()
}

// readError reads the body beside an error status; false if it says nothing
// that is understood.
func (p *Provider) readError(q providers.Query, body []byte) (providers.Reply, bool) {
	r := p.newReading(q)
	var reply providers.Reply
	understood := false
	list, _, ok := readReply(body, func(*entry) {}, func(e *entry) {
		if e.hasCode && e.code != codeSuccess && r.judge(e).verdict != words.Unknown {
			understood, reply = true, r.whole(e)
		}
	})
	return reply, ok && !list && understood
}

// whole is the reply made of one object.
func (r *reading) whole(e *entry) providers.Reply {
	single := len(r.q.Numbers) == 1
	switch {
	case e.hasCode && e.code == codeSuccess && (single || len(e.mobile) > 0):
		if single && len(e.mobile) == 0 {
			e.mobile = []byte(r.q.Numbers[0].National) // there is no other it can mean
		}
		r.success(e)
		return r.join.Reply()
	case e.hasCode && e.code == codeSuccess, !e.hasCode && len(e.reason) == 0:
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindGarbled, Message: "the reply has no code and no numbers"}}
	}
	v := r.judge(e)
	switch {
	case single && v.vague():
		refused := *v.call
		refused.Kind = providers.KindRefused
		return providers.Reply{Failure: &refused}
	case single && v.verdict.AboutNumber():
		r.join.Rest(v.outcome)
		return r.join.Reply()
	}
	return providers.Reply{Failure: v.call}
}

// vague: the code of wrong parameters, and not a word about the number. Said of a
// lone number, it may as well be said of every call.
func (v *judged) vague() bool {
	return v.hasCode && v.code == codeParameter && v.verdict.AboutNumber() && !words.Number(v.reason)
}

// entry takes one element of a list.
func (r *reading) entry(e *entry) {
	if e.hasCode && e.code == codeSuccess {
		r.success(e)
		return
	}
	v := r.judge(e)
	if v.verdict.AboutNumber() {
		r.aboutNumbers++
	} else {
		r.callAlike = r.aboutCall == 0 || r.callAlike && r.callOne.verdict == v.verdict
		r.callOne = v
		r.aboutCall++
	}
	r.place(e, v.outcome)
}

// success takes an entry with code 0. Without any fact the vendor cannot tell.
func (r *reading) success(e *entry) {
	if e.empty() {
		r.aboutNumbers++
		r.place(e, providers.Outcome{Kind: providers.NotFound})
		return
	}
	if len(e.mobile) == 0 && len(r.q.Numbers) > 1 {
		r.join.Extra(1) // facts of whom?
		return
	}
	r.aboutNumbers++
	number := e.mobile
	if len(number) == 0 {
		number = []byte(r.q.Numbers[0].National)
	}
	if out := r.join.Place(national(number)); out != nil {
		r.found(e, out)
	}
}

// place fills the outcome of the number that the entry names.
func (r *reading) place(e *entry, out providers.Outcome) {
	if len(e.mobile) == 0 {
		r.namelessAlike = r.nameless == 0 || r.namelessAlike && same(r.namelessOne, out)
		r.namelessOne = out
		r.nameless++
		return
	}
	if dst := r.join.Place(national(e.mobile)); dst != nil {
		*dst = out
		r.raw(e, dst)
	}
}

// same: equal errors share their Failure, so its address tells.
func same(a, b providers.Outcome) bool { return a.Kind == b.Kind && a.Failure == b.Failure }

func (r *reading) raw(e *entry, out *providers.Outcome) {
	if r.q.Raw {
		out.Raw = bytes.Clone(e.raw)
	}
}

// reply ends the reading of a list. If nothing in it answers a number and all
// blame key or call alike, that is the call's failure. Entries without a number
// are brought to the numbers that are left only where there is one meaning:
// as many of them as numbers, and all alike. By position never.
func (r *reading) reply() providers.Reply {
	if r.aboutNumbers == 0 && r.aboutCall > 0 && r.callAlike && (r.aboutCall > 1 || r.callOne.verdict.AboutCall()) {
		return providers.Reply{Failure: r.callOne.call}
	}
	if r.nameless > 0 {
		if r.namelessAlike && r.nameless == r.join.Left() {
			r.join.Rest(r.namelessOne)
		} else {
			r.join.Extra(r.nameless)
		}
	}
	return r.join.Reply()
}

// found fills in the facts. Country and line type follow from the scope.
func (r *reading) found(e *entry, out *providers.Outcome) {
	out.Kind = providers.Found
	f := &out.Facts
	f.Country, f.LineType, f.Valid = countryISO, providers.LineMobile, providers.Yes
	f.Area = shared(r.areas, e.area, normal.SplitArea)
	f.OriginalCarrier = r.carrier(e.initISP)
	if bytes.Equal(e.nowISP, e.initISP) {
		f.CurrentCarrier = f.OriginalCarrier
	} else {
		f.CurrentCarrier = r.carrier(e.nowISP)
	}
	if stated, ok := ported(e.res); ok {
		f.Ported, f.PortedBasis = normal.Judge(stated, f.OriginalCarrier, f.CurrentCarrier)
	}
	r.raw(e, out)
}

// ported is what res states. It is false for 3, a segment of virtual or unknown
// operators, and for what the vendor may come up with next: there is no verdict
// then, nor do the operators give one.
func ported(res []byte) (providers.Tri, bool) {
	switch string(res) {
	case "":
		return providers.Unknown, true
	case "0":
		return providers.No, true
	case "1":
		return providers.Yes, true
	}
	return providers.Unknown, false
}

func (r *reading) carrier(name []byte) providers.Carrier {
	return normal.Carrier(countryISO, shared(r.names, name, normal.Word))
}

// shared is what text is made into, made once a reply.
func shared(made map[string]string, text []byte, into func(string) string) string {
	if s, ok := made[string(text)]; ok {
		return s
	}
	s := into(normal.Word(string(text)))
	made[string(text)] = s
	return s
}

// judge classifies an error entry.
func (r *reading) judge(e *entry) *judged {
	if v := r.last; v != nil && v.code == e.code && v.hasCode == e.hasCode && v.reason == string(e.reason) {
		return v
	}
	v := &judged{code: e.code, hasCode: e.hasCode, reason: string(e.reason)}
	v.verdict = r.p.classifier.verdict(e, r.keyFits)
	f := providers.Failure{Message: upstream.Clean(v.reason, r.q.Key.Secret)}
	if v.hasCode {
		f.Code = strconv.Itoa(v.code)
	}
	call := f
	call.Kind = v.callKind()
	v.call = &call
	v.outcome = v.numberOutcome(f)
	r.last = v
	return v
}

func (v *judged) callKind() providers.Kind {
	if v.verdict == words.Unknown && !v.hasCode {
		return providers.KindGarbled
	}
	return v.verdict.CallKind()
}

func (v *judged) numberOutcome(f providers.Failure) providers.Outcome {
	f.Kind = v.verdict.NumberKind()
	switch {
	case v.verdict == words.NotFound:
		return providers.Outcome{Kind: providers.NotFound}
	case v.verdict == words.Invalid, v.verdict == words.DisableKey && v.code == codeParameter:
		// Beside numbers that were answered, code 1 cannot mean the key.
		f.Kind = providers.KindRejected
		return providers.Outcome{Kind: providers.Invalid, Failure: &f}
	case v.verdict == words.Unknown && !v.hasCode:
		f.Kind = providers.KindGarbled
	}
	return providers.Outcome{Kind: providers.Failed, Failure: &f}
}

// national cuts the country code that the vendor may have put before a number.
func national(mobile []byte) []byte {
	if len(mobile) > mobileDigits {
		mobile = bytes.TrimPrefix(mobile, []byte("+"))
		mobile = bytes.TrimPrefix(mobile, []byte("00"))
	}
	if len(mobile) == mobileDigits+len(countryCodeCN) {
		mobile = bytes.TrimPrefix(mobile, []byte(countryCodeCN))
	}
	return mobile
}
