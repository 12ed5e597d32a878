package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// readChecks finds the numbers of a portability check; what is wrong with the
// body is said once the key is known to be good.
func readChecks(c *telnyxCall) bool {
	body, ok := c.body()
	if !ok {
		return false
	}
	var ask struct {
		PhoneNumbers *[]string `json:"phone_numbers"`
	}
	switch {
	case !c.isJSON():
		c.problem = "415"
	case json.Unmarshal(body, &ask) != nil:
		c.problem = telnyxBadRequest
	case ask.PhoneNumbers == nil || len(*ask.PhoneNumbers) == 0:
		c.problem = telnyxMissing
	default:
		c.numbers = *ask.PhoneNumbers
	}
	return true
}

func readNumber(c *telnyxCall) bool {
	c.numbers = []string{c.r.PathValue("number")}
	return true
}

// portability says which numbers could be ported to the vendor.
func (c *telnyxCall) portability() bool {
	switch c.problem {
	case "415":
		c.fail(telnyxBadRequest, "The content type must be application/json.")
		c.status = http.StatusUnsupportedMediaType
		return false
	case telnyxMissing:
		c.failAll(fault(telnyxMissing, "phone_numbers is required.", "/phone_numbers"))
		return false
	case telnyxBadRequest:
		c.fail(telnyxBadRequest, "The body is not valid JSON.")
		return false
	}
	if len(c.numbers) > telnyxMaxBatch {
		c.fail(telnyxTooLarge, "A maximum of 1000 phone numbers is allowed.")
		return false
	}
	if faults := c.elements(); len(faults) > 0 {
		c.failAll(faults...)
		return false
	}
	results := make([]map[string]any, 0, len(c.numbers))
	for _, n := range c.said(func(string) string { return "+12025550100" }) {
		v := c.profile.portability(n)
		results = append(results, map[string]any{
			"record_type": "portability_check_result", "phone_number": n, "portable": v.portable,
			"fast_portable": v.fast, "not_portable_reason": v.reason,
		})
	}
	c.paid = c.numbers
	c.data(http.StatusCreated, results)
	return true
}

// elements are the faults of single numbers, one a number. A poison number spoils
// the check without being named.
func (c *telnyxCall) elements() []telnyxError {
	var faults []telnyxError
	for i, n := range c.numbers {
		pointer := "/phone_numbers/" + strconv.Itoa(i)
		if !isE164(n) {
			faults = append(faults, fault(telnyxNotE164, "", pointer))
			continue
		}
		f, e := c.profile.fateOf(UpstreamTelnyx, n)
		switch f {
		case fatePoison:
			return []telnyxError{fault(telnyxInvalid, "One or more phone numbers could not be processed.", "")}
		case fateInvalid:
			faults = append(faults, fault(telnyxInvalid, "", pointer))
		case fateCode:
			faults = append(faults, fault(e.Code, e.Reason, pointer))
		case fateSound, fateUnknown:
			if e, ok := c.passingError(); ok {
				faults = append(faults, fault(e.Code, e.Reason, pointer))
			}
		}
	}
	return faults
}

// portable is the verdict about one number.
type portable struct {
	portable, fast bool
	reason         string
}

// portability is fixed for the number. Numbers that the vendor does not know are
// out of its coverage.
func (p *Profile) portability(e164 string) portable {
	const shareOfPortable, shareOfFast = 0.75, 0.6
	d := p.dice(UpstreamTelnyx)
	f, _ := p.fateOf(UpstreamTelnyx, e164)
	if f == fateUnknown || !covered(e164) {
		return portable{reason: "No coverage"}
	}
	v := d.share(saltAnswer, e164)
	if v < shareOfPortable {
		return portable{portable: true, fast: strings.HasPrefix(e164, "+1") && v < shareOfPortable*shareOfFast}
	}
	reasons := [...]string{"No coverage", "Rate center not portable", "Number is not active", "invalid_phone_number"}
	return portable{reason: reasons[d.pick(saltReason, e164, len(reasons))]}
}

// covered reports whether the vendor ports numbers of the country.
func covered(e164 string) bool {
	for _, code := range [...]string{"+1", "+44", "+49", "+33", "+34", "+31", "+39", "+353", "+61"} {
		if strings.HasPrefix(e164, code) {
			return true
		}
	}
	return false
}

// numberLookup says who serves a number now.
func (c *telnyxCall) numberLookup() bool {
	n := c.numbers[0]
	if !isE164(n) {
		c.failAll(fault(telnyxNotE164, "", ""))
		return false
	}
	if !c.up.charge(c.key, 1, false) {
		c.fail("20100", "Your balance is insufficient.")
		return false
	}
	switch f, e := c.profile.fateOf(UpstreamTelnyx, n); f {
	case fatePoison:
		c.fail(telnyxInvalid, "The request could not be processed.")
		return false
	case fateInvalid:
		c.fail(telnyxInvalid, "")
		return false
	case fateUnknown:
		c.fail(telnyxNotFound, "")
		return false
	case fateCode:
		c.fail(e.Code, e.Reason)
		return false
	case fateSound:
	}
	if e, ok := c.passingError(); ok {
		c.fail(e.Code, e.Reason)
		return false
	}
	c.paid = c.numbers
	if c.up.happens(c.common.Missing) {
		return true
	}
	c.data(http.StatusOK, c.profile.lookupReply(n, c.r.URL.Query().Get("type") == "carrier"))
	return true
}

// served is who serves a number, as number_lookup says it.
type served struct {
	country, kind, carrier, mcc, mnc, status, date string
}

// served is fixed for the number.
func (p *Profile) served(e164 string) served {
	const mobile, fixed, voip = "mobile", "fixed line", "voip"
	d := p.dice(UpstreamTelnyx)
	s := served{kind: [...]string{mobile, mobile, mobile, fixed, voip}[d.pick(saltKind, e164, 5)], status: "N"}
	s.country = placeOf(e164).country
	carriers := [...]string{"AT&T", "Verizon", "T-Mobile USA", "Lumen", "Bandwidth"}
	i := d.pick(saltIsp, e164, len(carriers))
	s.carrier = carriers[i]
	if s.kind == mobile {
		s.mcc, s.mnc = "310", [...]string{"410", "012", "260", "020", "030"}[i]
	}
	switch v := d.share(saltPorted, e164); {
	case v < portedShare:
		s.status = "Y"
		s.date = fmt.Sprintf("20%02d-%02d-%02d", 12+d.pick(saltOrder, e164, 12), 1+d.pick(saltArea, e164, 12), 1+d.pick(saltReason, e164, 28))
	case v < portedShare+unknownShare:
		s.status = ""
	}
	return s
}

func (p *Profile) lookupReply(e164 string, carrier bool) map[string]any {
	s := p.served(e164)
	data := map[string]any{
		"record_type": "number_lookup", "phone_number": e164, "country_code": s.country,
		"national_format": strings.TrimPrefix(e164, "+"), "fraud": nil, "caller_name": nil, "carrier": nil, "portability": nil,
	}
	if !carrier {
		return data
	}
	line := s.kind
	if line == "fixed line" {
		line = "landline"
	}
	data["carrier"] = map[string]any{
		"mobile_country_code": s.mcc, "mobile_network_code": s.mnc, "name": s.carrier, "type": s.kind,
		"error_code": "", "normalized_carrier": s.carrier,
	}
	data["portability"] = map[string]any{
		"lrn": "", "ported_status": s.status, "ported_date": s.date, "ocn": "", "line_type": line,
		"spid": "", "spid_carrier_name": s.carrier, "spid_carrier_type": "", "altspid": "", "altspid_carrier_name": "",
		"city": "", "state": "",
	}
	return data
}

// telnyxTruth is what the operation's reply about the number means.
func (p *Profile) telnyxTruth(operation, e164 string) Truth {
	t := Truth{Number: e164, Status: StatusOK}
	if operation == OpPortingOrder {
		return p.orderTruth(e164)
	}
	switch f, e := p.fateOf(UpstreamTelnyx, e164); f {
	case fatePoison:
		t.Status = StatusPoison
		return t
	case fateInvalid:
		t.Status, t.Code = StatusInvalid, telnyxInvalid
		return t
	case fateCode:
		t.Status, t.Code = telnyxStatus(e.Code), e.Code
		return t
	case fateUnknown:
		if operation == OpNumberLookup {
			t.Status, t.Code = StatusNotFound, telnyxNotFound
			return t
		}
	case fateSound:
	}
	switch operation {
	case OpNumberLookup:
		t.Lookup = p.servedTruth(e164)
	case OpPortability, "":
		v := p.portability(e164)
		t.Lookup = &Lookup{Portable: &v.portable, FastPortable: &v.fast, NotPortableReason: v.reason}
	default:
		t.Status = StatusUnsupported
	}
	return t
}

func telnyxStatus(code string) Status {
	switch code {
	case telnyxInvalid, telnyxNotE164:
		return StatusInvalid
	case telnyxNotFound:
		return StatusNotFound
	}
	return StatusFailed
}

func (p *Profile) servedTruth(e164 string) *Lookup {
	s := p.served(e164)
	l := &Lookup{Country: s.country, CurrentCarrier: &Carrier{Name: s.carrier}, MCC: s.mcc, MNC: s.mnc, PortedAt: s.date}
	l.LineType = map[string]string{"mobile": "mobile", "fixed line": "fixed_line", "voip": "voip"}[s.kind]
	if s.status != "" {
		ported := s.status == "Y"
		l.Ported = &ported
		if !ported { // then the owner of the block serves it still
			l.OriginalCarrier = l.CurrentCarrier
		}
	}
	if l.PortedAt != "" {
		l.PortedAt += "T00:00:00Z"
	}
	return l
}
