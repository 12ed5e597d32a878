package telnyx

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/upstream"
)

// lookup asks who serves the one number of the call. The number is part of the
// address because Telnyx has it there; no text of ours shows it.
func (s *session) lookup(ctx context.Context) providers.Reply {
	if len(s.q.Numbers) != 1 {
		return providers.Reply{Failure: &providers.Failure{
			Kind: providers.KindTooMany, Message: "number_lookup takes one number a call",
		}}
	}
	res, no := s.send(ctx, ask{
		route: numberLookup, free: s.q.Numbers[0].E164, query: url.Values{"type": {"carrier"}},
	})
	switch {
	case no == nil:
		return readLookup(s.q, res)
	case no.notThere():
		return one(providers.Outcome{Kind: providers.NotFound})
	case no.canadian():
		return one(providers.Outcome{Kind: providers.Failed, Failure: &providers.Failure{
			Kind: providers.KindUnsupported, Code: no.failure.Code, Message: no.failure.Message,
		}})
	}
	return no.lookupReply()
}

// lookupReply is the refused lookup's: of the number only if it is named as what is
// wrong. A 422 may as well be about the account, or the type of lookup.
func (r *refusal) lookupReply() providers.Reply {
	if r.failure.Kind == providers.KindRefused {
		for _, p := range r.problems {
			if p.aboutNumber() || r.status == http.StatusUnprocessableEntity && p.atNumber() {
				return one(r.outcome(p))
			}
		}
	}
	return providers.Reply{Failure: r.failure}
}

// atNumber reports whether the problem points at the number of a lookup.
func (p problem) atNumber() bool {
	at := p.at[strings.LastIndexAny(p.at, "/.")+1:]
	_, listed := element(p.at)
	return at == "phone_number" || at == "number" || listed
}

func one(o providers.Outcome) providers.Reply {
	return providers.Reply{Outcomes: []providers.Outcome{o}}
}

// canadian: accounts that are not enabled for Canadian data get a 422 ("… is a
// Canadian number") for numbers that are perfectly valid.
func (r *refusal) canadian() bool {
	if r.status != http.StatusUnprocessableEntity || r.failure.Kind != providers.KindRefused {
		return false
	}
	for _, p := range r.problems {
		if strings.Contains(strings.ToLower(p.words), "canadian number") {
			return true
		}
	}
	return false
}

// lookupResult is what Telnyx knows of a number.
type lookupResult struct {
	PhoneNumber text            `json:"phone_number"`
	CountryCode text            `json:"country_code"`
	ValidNumber flag            `json:"valid_number"`
	Carrier     json.RawMessage `json:"carrier"`
	Portability json.RawMessage `json:"portability"`
}

type lookupCarrier struct {
	Name              text `json:"name"`
	NormalizedCarrier text `json:"normalized_carrier"`
	Type              text `json:"type"`
	// MobileCountryCode is a region ("US") for accounts without MCC data, and
	// MobileNetworkCode an area code then.
	MobileCountryCode text `json:"mobile_country_code"`
	MobileNetworkCode text `json:"mobile_network_code"`
}

type lookupPortability struct {
	PortedStatus    text `json:"ported_status"` // Y, N or ""
	PortedDate      text `json:"ported_date"`
	LineType        text `json:"line_type"`
	SPIDCarrierName text `json:"spid_carrier_name"`
}

// readLookup reads the reply to one number.
func readLookup(q providers.Query, res upstream.Response) providers.Reply {
	data, ok := readObject(res.Body)
	var r lookupResult
	if !ok || json.Unmarshal(data, &r) != nil {
		return providers.Reply{Failure: upstream.Unreadable(res)}
	}
	join := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164[1:] })
	out := join.Place([]byte(r.PhoneNumber.digits()))
	if out == nil {
		return join.Reply() // it speaks of another number, or of none
	}
	facts, ok := r.facts()
	switch {
	case !ok:
		*out = providers.Outcome{Kind: providers.Failed, Failure: &providers.Failure{
			Kind: providers.KindGarbled, Message: "carrier or portability is not the documented object",
		}}
		return join.Reply()
	case silent(facts):
		*out = providers.Outcome{Kind: providers.NotFound}
	default:
		*out = providers.Outcome{Kind: providers.Found, Facts: facts}
	}
	if q.Raw {
		out.Raw = data
	}
	return join.Reply()
}

// silent: beyond the country, which the calling code says, nothing is known.
func silent(f providers.Facts) bool {
	return f.CurrentCarrier == (providers.Carrier{}) && f.LineType == "" && f.Ported == providers.Unknown &&
		f.Valid == providers.Unknown && f.MCC == ""
}

// facts is what the result says; false if a part of it cannot be read.
func (r *lookupResult) facts() (providers.Facts, bool) {
	var c lookupCarrier
	var p lookupPortability
	if !part(r.Carrier, &c) || !part(r.Portability, &p) {
		return providers.Facts{}, false
	}
	f := providers.Facts{Country: country(r.CountryCode.s), Valid: r.ValidNumber.Tri}
	if f.LineType, _ = normal.LineType(c.Type.s); f.LineType == "" {
		f.LineType, _ = normal.LineType(p.LineType.s)
	}
	name := first(first(c.NormalizedCarrier.word(), c.Name.word()), p.SPIDCarrierName.word())
	f.CurrentCarrier = normal.Carrier(f.Country, name)
	switch p.PortedStatus.s {
	case "Y", "y":
		f.Ported, f.PortedAt = providers.Yes, p.PortedDate.time()
	case "N", "n":
		f.Ported = providers.No
		f.OriginalCarrier = f.CurrentCarrier // the block's owner still serves it
	}
	if mcc, mnc := c.MobileCountryCode.s, c.MobileNetworkCode.s; isDigits(mcc) && len(mcc) == 3 {
		f.MCC = mcc
		if isDigits(mnc) && (len(mnc) == 2 || len(mnc) == 3) { // a single digit has lost its zeros
			f.MNC = mnc
		}
	}
	return f, true
}

// part reads an object that may be absent or null; false if it is something else.
func part(raw json.RawMessage, into any) bool {
	if len(raw) == 0 || string(raw) == "null" {
		return true
	}
	return json.Unmarshal(raw, into) == nil
}

func country(code string) string {
	if len(code) != 2 || !letter(code[0]) || !letter(code[1]) {
		return ""
	}
	return strings.ToUpper(code)
}
