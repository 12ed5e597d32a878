package simulator

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Ask is a question about numbers, as a worker's route and options put it.
type Ask struct {
	Upstream Upstream
	// Operation is telnyx's: OpPortability (default), OpNumberLookup or OpPortingOrder.
	Operation string
	// CheckLevel is nxcloud's: 1 (default), 4 or 5.
	CheckLevel int
}

// The telnyx operations of an Ask.
const (
	OpPortability  = "portability"
	OpNumberLookup = "number_lookup"
	OpPortingOrder = "porting_status"
)

// Status is how asking for a number must end.
type Status string

// The statuses.
const (
	StatusOK       Status = "ok"
	StatusNotFound Status = "not_found"
	StatusInvalid  Status = "invalid"
	// StatusPoison numbers have their whole call refused, each time.
	StatusPoison Status = "poison"
	// StatusUnsupported numbers are outside the upstream's scope.
	StatusUnsupported Status = "unsupported"
	// StatusFailed numbers get a code that asks to try again, each time.
	StatusFailed Status = "failed"
)

// Truth is what a client must find out about a number, whatever happens on the
// way, in the terms of the results' contract. Errors that do not stick are no
// part of it.
type Truth struct {
	Number string `json:"number"`
	Status Status `json:"status"`
	// Code is the upstream's own code for a number that it does not answer.
	Code string `json:"code,omitempty"`
	// Lookup is set for StatusOK; it holds what the upstream says, and what follows
	// from it, but nothing that a client may add from elsewhere.
	Lookup *Lookup `json:"lookup,omitempty"`
	// Price is what the upstream says that the answer costs.
	Price *Price `json:"cost,omitempty"`
}

// Price is an amount as the upstream says it.
type Price struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Carrier is an operator: its canonical id where there is one, and its name as said.
type Carrier struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Lookup has the fields of the contract's `lookup` that the upstreams speak of.
type Lookup struct {
	Country           string   `json:"country,omitempty"`
	Area              string   `json:"area,omitempty"`
	LineType          string   `json:"line_type,omitempty"`
	Valid             *bool    `json:"valid,omitempty"`
	Ported            *bool    `json:"ported,omitempty"`
	PortedAt          string   `json:"ported_at,omitempty"`
	Portable          *bool    `json:"portable,omitempty"`
	FastPortable      *bool    `json:"fast_portable,omitempty"`
	NotPortableReason string   `json:"not_portable_reason,omitempty"`
	OriginalCarrier   *Carrier `json:"original_carrier,omitempty"`
	CurrentCarrier    *Carrier `json:"current_carrier,omitempty"`
	MCC               string   `json:"mcc,omitempty"`
	MNC               string   `json:"mnc,omitempty"`
	Reachable         string   `json:"reachable,omitempty"`
	Roaming           string   `json:"roaming,omitempty"`
	Ringing           string   `json:"ringing,omitempty"`
	Answered          string   `json:"answered,omitempty"`
	CallResponse      string   `json:"call_response,omitempty"`
	Porting           *Porting `json:"porting,omitempty"`
}

// Porting is the number's porting order.
type Porting struct {
	OrderID          string   `json:"order_id"`
	OrderStatus      string   `json:"order_status"`
	ActivationStatus string   `json:"activation_status,omitempty"`
	FOCAt            string   `json:"foc_at,omitempty"`
	Exceptions       []string `json:"exceptions,omitempty"`
}

// Truth tells what asking for a number in E.164 must bring.
func (p *Profile) Truth(ask Ask, e164 string) Truth {
	switch ask.Upstream {
	case UpstreamQXT:
		return p.qxtTruth(e164)
	case UpstreamPortcheck:
		return p.portcheckTruth(e164)
	case UpstreamTelnyx:
		return p.telnyxTruth(ask.Operation, e164)
	case UpstreamNXCloud:
		return p.nxcloudTruth(max(ask.CheckLevel, levelBasic), e164)
	}
	return Truth{Number: e164, Status: StatusUnsupported}
}

// Salts keep the draws about one number independent of each other.
const (
	saltPoison byte = iota
	saltArea
	saltIsp
	saltPorted
	saltItem         // + index of the error in the profile
	saltUnknown byte = iota + 128
	saltInvalid
	saltKind
	saltSpelling
	saltAnswer
	saltReason
	saltGeneration
	saltOrder
)

// portedShare and unknownShare of all numbers are ported or in a segment
// without a verdict; the rest stayed with its first operator.
const (
	portedShare  = 0.08
	unknownShare = 0.01
)

// fate is what the profile says of a number before the upstream is asked.
type fate uint8

const (
	fateSound fate = iota
	fatePoison
	fateInvalid
	fateUnknown
	fateCode // the error that sticks to it
)

// fateOf tells the fate of a number of u in its form upstream.
func (p *Profile) fateOf(u Upstream, wire string) (fate, CodeError) {
	c := p.common(u)
	if p.poisonous(u, wire) {
		return fatePoison, CodeError{}
	}
	d := p.dice(u)
	if c.Invalid > 0 && d.share(saltInvalid, wire) < c.Invalid {
		return fateInvalid, CodeError{}
	}
	if c.Unknown > 0 && d.share(saltUnknown, wire) < c.Unknown {
		return fateUnknown, CodeError{}
	}
	for i, e := range c.ItemErrors {
		if e.Sticky && d.share(saltItem+byte(i), wire) < e.Share {
			return fateCode, e
		}
	}
	return fateSound, CodeError{}
}

func (p *Profile) poisonous(u Upstream, wire string) bool {
	c := p.common(u)
	if c.Poison.Share > 0 && p.dice(u).share(saltPoison, wire) < c.Poison.Share {
		return true
	}
	return len(c.Poison.Numbers) > 0 &&
		(slices.Contains(c.Poison.Numbers, wire) || slices.Contains(c.Poison.Numbers, prefixOf(u)+wire))
}

// prefixOf makes E.164 of a number in u's form.
func prefixOf(u Upstream) string {
	switch u {
	case UpstreamQXT, UpstreamPortcheck:
		return "+86"
	case UpstreamNXCloud:
		return "+"
	case UpstreamTelnyx:
	}
	return ""
}

// dice draws what is fixed for a number.
type dice uint64

// dice of u; that of qxt is also the world's, which all upstreams speak of.
func (p *Profile) dice(u Upstream) dice {
	var other uint64
	switch u {
	case UpstreamQXT:
	case UpstreamPortcheck:
		other = 1
	case UpstreamTelnyx:
		other = 2
	case UpstreamNXCloud:
		other = 3
	}
	return dice(p.Seed + other<<32)
}

func (p *Profile) world() dice { return p.dice(UpstreamQXT) }

// share is in [0,1).
func (d dice) share(salt byte, number string) float64 {
	return float64(d.hash(salt, number)>>11) / (1 << 53)
}

// pick is one of n.
func (d dice) pick(salt byte, number string, n int) int {
	return int(d.hash(salt, number) % uint64(n))
}

// hash is a fixed hash (FNV-1a with a final mix): hash/maphash would tell
// another truth in each process.
func (d dice) hash(salt byte, number string) uint64 {
	h := 14695981039346656037 ^ uint64(d)*0x9e3779b97f4a7c15 ^ uint64(salt)<<56
	for i := range len(number) {
		h = (h ^ uint64(number[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// mobileCN is the 11-digit form of a mainland Chinese mobile in E.164; false if it is none.
func mobileCN(e164 string) (string, bool) {
	n, found := strings.CutPrefix(e164, "+86")
	return n, found && isMobileCN(n)
}

// isMobileCN reports whether n is an 11-digit mobile.
func isMobileCN(n string) bool {
	const length = 11
	return len(n) == length && n[0] == '1' && digits(n)
}

func digits(n string) bool {
	for i := range len(n) {
		if n[i] < '0' || n[i] > '9' {
			return false
		}
	}
	return n != ""
}

// place is a number's ISO country and calling code; empty where it is of none.
type place struct{ country, code string }

// placeOf finds the place of a number in E.164. Only calling codes that countries
// share need the numbering plans, which take their time.
func placeOf(e164 string) place {
	const longestCode = 3
	for n := 1; n <= longestCode && n < len(e164); n++ {
		code := e164[1 : n+1]
		regions := phonenumbers.GetRegionCodesForCountryCode(atoi(code))
		switch {
		case len(regions) == 0 || regions[0] == "ZZ":
			continue
		case regions[0] == "001": // of no country
			return place{}
		case len(regions) == 1:
			return place{regions[0], code}
		}
		country := regions[0]
		if number, err := phonenumbers.Parse(e164, ""); err == nil {
			if r := phonenumbers.GetRegionCodeForNumber(number); r != "" && r != "ZZ" {
				country = r
			}
		}
		return place{country, code}
	}
	return place{}
}
