package nxcloud

import (
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
)

// maxWord bounds a name or word of the vendor's.
const maxWord = 128

// facts are those of the reading, in the contract's terms.
func (r *reading) facts() providers.Facts {
	f := providers.Facts{
		Country: country2(r.text("country", "regionCode")),
		Ported:  tri(r.word("ported")),
		MCC:     networkCode(r.text("mcc")),
		MNC:     networkCode(r.text("mnc")),
		// The newer documents say "active" where the oldest says "reachable": in
		// use on its network.
		Reachable:    tri(r.word("reachable", "active")),
		Roaming:      tri(r.word("roaming")),
		Ringing:      tri(r.word("early", "ring")),
		Answered:     tri(r.word("answered", "answer")),
		CallResponse: r.word("response", "responseStatus"),
	}
	kind := r.word("numberType")
	f.LineType = lineType(kind)
	f.Valid = r.valid(kind)
	r.carrier(&f)
	return f
}

// word is a text in lower case, bounded.
func (r *reading) word(names ...string) string { return strings.ToLower(bounded(r.text(names...))) }

func bounded(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxWord)], "\uFFFD") }

// valid is what the network says, else what the vendor's check of formats says.
func (r *reading) valid(kind string) providers.Tri {
	if v := tri(r.word("validity")); v != providers.Unknown {
		return v
	}
	if kind == "invalid" {
		return providers.No
	}
	return tri(r.word("preCheck"))
}

// carrier is who serves the number now where the home network was asked, which
// shows in what only it can know, and else who the number was issued by. The
// oldest generation has the operator among the basic facts whatever was asked.
func (r *reading) carrier(f *providers.Facts) {
	c := normal.Carrier(f.Country, bounded(r.text("operator", "carrier")))
	if f.MCC == "" && f.MNC == "" && f.Ported == providers.Unknown {
		f.OriginalCarrier = c
		return
	}
	f.CurrentCarrier = c
	if f.Ported == providers.No {
		f.OriginalCarrier = c
	}
}

// tri reads YES, NO and UNKNOWN; anything else says nothing.
func tri(word string) providers.Tri {
	v, _ := normal.YesNo(word)
	return v
}

// lineType reads the oldest generation's numbers and the words of the others.
func lineType(kind string) providers.LineType {
	switch kind {
	case "1":
		return providers.LineFixed
	case "2":
		return providers.LineMobile
	case "3":
		return providers.LineTollFree
	case "4":
		return providers.LineVoIP
	case "5": // organisation
		return providers.LineUAN
	case "7":
		return providers.LineVoicemail
	case "0", "6", "8": // other, special private, special restricted
		return providers.LineOther
	}
	t, _ := normal.LineType(kind)
	return t
}

// country2 is an ISO 3166-1 code, or nothing.
func country2(s string) string {
	s = strings.ToUpper(s)
	if len(s) != 2 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return s
}

// networkCode is an MCC or MNC, three digits at most, or nothing.
func networkCode(s string) string {
	if len(s) > 3 || !isDigits(s) {
		return ""
	}
	return s
}
