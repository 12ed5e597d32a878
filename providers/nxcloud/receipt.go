package nxcloud

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Why a body is no receipt. Nothing of the body stands in the words: anybody may
// send one.
var (
	errNoObject = errors.New("the receipt is no JSON object")
	errNoPhone  = errors.New("the receipt names no number")
	errNoBatch  = errors.New("the receipt's batchNo is none")
	errDamaged  = errors.New("the receipt has fields of senseless types")
	errNoAnswer = errors.New("the entry has no answer yet")
)

// Receipt reads a pushed receipt or an entry of a query's list, of any of the
// three generations of the document.
func (p *Provider) Receipt(body []byte, raw bool) (providers.Receipt, error) {
	o, ok := readObject(body)
	if !ok {
		return providers.Receipt{}, errNoObject
	}
	r := newReading(o)
	number, ok := digits(r.phone())
	if !ok {
		return providers.Receipt{}, errNoPhone
	}
	ticket, wrong := o.text("batchNo")
	if wrong || len(ticket) > maxTicket {
		return providers.Receipt{}, errNoBatch
	}
	out, err := r.outcome(p.known)
	if err != nil {
		return providers.Receipt{}, err
	}
	if raw {
		out.Raw = bytes.Clone(body)
	}
	return providers.Receipt{Ticket: ticket, Number: "+" + number, Outcome: out}, nil
}

// reading looks for what is said of a number wherever a generation puts it: in
// the object itself (query), in its data (newer receipts), or in the data's basic,
// live and dial (the oldest receipts).
type reading struct {
	top   object
	parts []object
	// damaged: something was looked for and had a value of a senseless type.
	damaged bool
}

func newReading(top object) *reading {
	r := &reading{top: top}
	data := r.part(top, "data")
	r.parts = []object{top, data, r.part(data, "basic"), r.part(data, "live"), r.part(data, "dial")}
	return r
}

func (r *reading) part(o object, name string) object {
	part, ok := o.nested(name)
	r.damaged = r.damaged || !ok
	return part
}

// text is the first of names, in the first part that has a text for it.
func (r *reading) text(names ...string) string {
	for _, o := range r.parts {
		text, wrong := o.text(names...)
		r.damaged = r.damaged || wrong
		if text != "" {
			return text
		}
	}
	return ""
}

func (r *reading) phone() string { return r.text("phone", "standNumber") }

// outcome is what the reading says of its number.
func (r *reading) outcome(secrets []providers.Secret) (providers.Outcome, error) {
	code, hasCode := r.top.code()
	_, present := r.top.field("code")
	switch {
	case present && !hasCode:
		return providers.Outcome{}, errDamaged
	case code != codeSuccess:
		return outcomeOf(code, upstream.Clean(r.top.words(), secrets...)), nil
	}
	f := r.facts()
	out := providers.Outcome{Kind: providers.Found, Facts: f, Cost: r.cost()}
	switch nothing := !r.has(); {
	case r.damaged && nothing:
		return providers.Outcome{}, errDamaged
	case !hasCode && (nothing || r.unfinished(out.Cost)):
		return providers.Outcome{}, errNoAnswer
	case f.Valid == providers.No && f.LineType == "" && f.OriginalCarrier == (providers.Carrier{}) && tri(r.text("preCheck")) == providers.No:
		// What a receipt says with code 114.
		out.Kind, out.Facts = providers.Invalid, providers.Facts{}
		out.Failure = &providers.Failure{Kind: providers.KindRejected, Message: "the number did not pass the vendor's check of formats"}
	case nothing:
		out.Kind, out.Facts = providers.NotFound, providers.Facts{}
	}
	return out, nil
}

// has reports whether any fact is said, be it unknown to us.
func (r *reading) has() bool {
	return r.text("country", "regionCode", "numberType", "operator", "carrier", "preCheck") != "" || r.hasHLR() || r.hasCall()
}

func (r *reading) hasHLR() bool {
	return r.text("validity", "reachable", "roaming", "active", "ported", "mcc", "mnc") != ""
}

func (r *reading) hasCall() bool {
	return r.text("early", "ring", "answered", "answer", "response", "responseStatus") != ""
}

// unfinished: a query's entry, which has no code, says nothing of what its level
// asks for and was not paid. The document knows no other sign of work in progress.
func (r *reading) unfinished(cost providers.Cost) bool {
	if paid := strings.Trim(cost.Amount, "0.") != ""; paid {
		return false
	}
	l, _ := r.top.int("checkLevel")
	return level(l) == levelHLR && !r.hasHLR() || level(l) == levelCall && !r.hasCall()
}

// cost is the price as written, only asked for where the code is success: the
// vendor repeats the price of checks that it could not charge.
func (r *reading) cost() providers.Cost {
	for _, o := range r.parts {
		for _, c := range []object{o, r.part(o, "cost")} {
			amount, currency := decimal(c.word("price")), strings.ToUpper(c.word("currency"))
			if amount != "" && len(currency) == 3 {
				return providers.Cost{Amount: amount, Currency: currency}
			}
		}
	}
	return providers.Cost{}
}

// maxAmount is the longest price that is taken for one.
const maxAmount = 32

// decimal is text if it is a plain decimal, and a number with an exponent written
// out; "" if it is neither, or below zero.
func decimal(text string) string {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 0 || strings.Trim(text, "0123456789.eE+-") != "" {
		return "" // ParseFloat takes more than decimals
	}
	whole, fraction, hasPoint := strings.Cut(text, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) {
		text = strconv.FormatFloat(math.Abs(v), 'f', -1, 64)
	}
	if len(text) > maxAmount {
		return ""
	}
	return text
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
