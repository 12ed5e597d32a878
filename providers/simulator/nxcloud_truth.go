package simulator

import (
	"fmt"
	"strconv"
	"strings"
)

// generation of the vendor's document.
type generation uint8

// The generations: the English document, the drafts of autumn 2023, the newest one.
const (
	g1 generation = 1 + iota
	g2
	g3
)

// nxGeneration is what is spoken about a number or batch. The newest document
// has no calls, so those are told as before where generations are mixed.
func (p *Profile) nxGeneration(of string, level int) generation {
	switch p.NXCloud.Generation {
	case "g1":
		return g1
	case "g2":
		return g2
	case "mixed":
		all := [...]generation{g1, g2, g3}
		if level == levelCall {
			return all[p.dice(UpstreamNXCloud).pick(saltGeneration, of, 2)]
		}
		return all[p.dice(UpstreamNXCloud).pick(saltGeneration, of, len(all))]
	}
	return g3
}

// nxFacts is what the vendor knows of a number.
type nxFacts struct {
	place

	phone string
	// invalid is a number whose type is "invalid", which the newer documents answer
	// with success.
	invalid bool
	// kind is the numberType of the oldest document, 2 is mobile.
	kind int
	// carrierID is set for China's operators; name is empty where the vendor says others.
	carrierID, name, brand string
	mcc, mnc               string
	ported                 bool
	validity, reachable    string
	roaming                string
	ring, answer, response string
}

const kindMobile = 2

// nxFacts are fixed for the number.
func (p *Profile) nxFacts(level int, phone string, at place) nxFacts {
	d := p.dice(UpstreamNXCloud)
	f := nxFacts{phone: phone, place: at, kind: kindMobile}
	if p.typedInvalid(level, phone) {
		f.invalid, f.brand = true, "others"
		return f
	}
	const odd = 0.03
	if v := d.share(saltKind, phone); v < odd {
		f.kind = [...]int{1, 1, 3, 4, 7, 0}[int(v/odd*6)]
	}
	f.operators(p, d)
	if level == levelHLR {
		f.ported = f.ported || f.carrierID == "" && d.share(saltPorted, phone) < portedShare
		tri := [...]string{"YES", "YES", "NO", "UNKNOWN"}
		f.validity = [...]string{"YES", "YES", "YES", "NO"}[d.pick(saltAnswer, phone, 4)]
		f.reachable = tri[d.pick(saltReason, phone, len(tri))]
		f.roaming = [...]string{"NO", "NO", "NO", "YES", "UNKNOWN"}[d.pick(saltArea, phone, 5)]
	}
	if level == levelCall {
		responses := [...]string{
			"bell", "music", "busy", "no_response", "invalid_number", "not_available", "number_paused",
			"power_off", "power_off_or_out_of_service", "voicemail", "others",
		}
		i := d.pick(saltAnswer, phone, len(responses))
		f.response = responses[i]
		f.ring, f.answer = "NO", "NO"
		if i < 4 {
			f.ring = "YES"
			f.answer = [...]string{"YES", "NO", "UNKNOWN"}[d.pick(saltReason, phone, 3)]
		}
	}
	return f
}

// operators finds out who serves the number: for China as all upstreams say it.
func (f *nxFacts) operators(p *Profile, d dice) {
	if f.country == "CN" {
		h := p.homeCN(strings.TrimPrefix(f.phone, "86"))
		f.carrierID, f.ported = idCN(h.now), h.ported
		f.name = [operatorsCN]string{"China Mobile", "China Unicom", "China Telecom", "China Broadnet"}[h.now]
		f.brand = [operatorsCN]string{"china mobile", "china union", "china telecom", "china broadnet"}[h.now]
		f.mcc, f.mnc = "460", [operatorsCN]string{"00", "01", "03", "15"}[h.now]
		return
	}
	const others = 0.03
	if d.share(saltSpelling, f.phone) < others {
		f.brand = "others"
		return
	}
	names := [...]string{"Viettel", "Vodafone", "Orange", "Airtel", "T-Mobile", "MTN"}
	i := d.pick(saltIsp, f.phone, len(names))
	f.name, f.brand = names[i], names[i]
	f.mcc, f.mnc = strconv.Itoa(200+d.pick(saltOrder, f.country, 550)), fmt.Sprintf("%02d", i+1)
}

// operator is its name in a document.
func (f *nxFacts) operator(g generation) string {
	if g == g1 && f.name != "" {
		return f.name
	}
	return f.brand
}

// typedInvalid reports whether the number is refused by its type, not by a code.
func (p *Profile) typedInvalid(level int, phone string) bool {
	f, _ := p.fateOf(UpstreamNXCloud, phone)
	return f == fateInvalid && p.nxGeneration(phone, level) != g1 && p.dice(UpstreamNXCloud).pick(saltAnswer, phone, 2) == 0
}

// word is the number's type in the newer documents.
func (f *nxFacts) word() string {
	if f.invalid {
		return "invalid"
	}
	if f.kind == kindMobile {
		return "mobile"
	}
	return "others"
}

// The codes of receipts.
const (
	nxInvalidValue = 108
	nxBadFormat    = 114
	nxNotMobile    = 120
	nxNothing      = 122
)

// nxCode is the receipt code that a number gets each time; 0 for an answer.
func (p *Profile) nxCode(level int, phone string, at place) int {
	if at.country == "" {
		return nxBadFormat
	}
	if p.typedInvalid(level, phone) {
		return 0
	}
	switch f, e := p.fateOf(UpstreamNXCloud, phone); f {
	case fateInvalid, fatePoison:
		return nxInvalidValue
	case fateUnknown:
		return nxNothing
	case fateCode:
		return atoi(e.Code)
	case fateSound:
	}
	if facts := p.nxFacts(level, phone, at); level != levelBasic && facts.kind != kindMobile {
		return nxNotMobile
	}
	return 0
}

// nxcloudTruth is what receipts about the number mean.
func (p *Profile) nxcloudTruth(level int, number string) Truth {
	phone := strings.TrimPrefix(number, "+")
	t := Truth{Number: number, Status: StatusOK}
	if p.poisonous(UpstreamNXCloud, phone) {
		t.Status = StatusPoison
		return t
	}
	if level == levelCall && (p.NXCloud.Generation == "" || p.NXCloud.Generation == "g3") {
		t.Status, t.Code = StatusUnsupported, "207"
		return t
	}
	at := nxPlace(phone)
	if code := p.nxCode(level, phone, at); code != 0 {
		t.Status, t.Code = nxStatus(code), strconv.Itoa(code)
		return t
	}
	t.Lookup = p.nxLookup(level, phone, at)
	price, currency := p.NXCloud.price(level)
	t.Price = &Price{Amount: strconv.FormatFloat(price, 'f', -1, 64), Currency: currency}
	return t
}

func nxStatus(code int) Status {
	switch code {
	case nxInvalidValue, nxBadFormat:
		return StatusInvalid
	case nxNotMobile:
		return StatusUnsupported
	case nxNothing:
		return StatusNotFound
	}
	return StatusFailed
}

// nxLookup is the answer in the contract's terms. Only the newer documents' HLR
// check asks the network, so only there the operator is the one of now.
func (p *Profile) nxLookup(level int, phone string, at place) *Lookup {
	f, g := p.nxFacts(level, phone, at), p.nxGeneration(phone, level)
	l := &Lookup{Country: f.country}
	if f.invalid {
		valid := false
		l.Valid = &valid
		return l
	}
	switch {
	case g != g1 && f.kind != kindMobile:
		l.LineType = "other"
	default:
		l.LineType = map[int]string{0: "other", 1: "fixed_line", kindMobile: "mobile", 3: "toll_free", 4: "voip", 7: "voicemail"}[f.kind]
	}
	if f.name != "" {
		carrier := &Carrier{ID: f.carrierID, Name: f.operator(g)}
		if level == levelHLR && g != g1 {
			l.CurrentCarrier = carrier
			if !f.ported { // then it was issued by who serves it
				l.OriginalCarrier = carrier
			}
		} else {
			l.OriginalCarrier = carrier
		}
	}
	switch {
	case level == levelHLR && g == g1:
		if f.validity != "UNKNOWN" {
			valid := f.validity == "YES"
			l.Valid = &valid
		}
		l.Reachable, l.Roaming = strings.ToLower(f.reachable), strings.ToLower(f.roaming)
	case level == levelHLR:
		l.MCC, l.MNC, l.Ported, l.Reachable = f.mcc, f.mnc, &f.ported, strings.ToLower(f.active())
	case level == levelCall:
		l.Ringing, l.Answered, l.CallResponse = strings.ToLower(f.ring), strings.ToLower(f.answer), f.response
	}
	return l
}

// active is how the newer documents say that the number is reachable.
func (f *nxFacts) active() string {
	if f.reachable == "UNKNOWN" {
		return "NO"
	}
	return f.reachable
}
