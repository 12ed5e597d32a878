package numbers

import (
	"errors"

	"github.com/nyaruka/phonenumbers"
)

// Resolver turns text into numbers. It never changes after NewResolver and may
// be used in parallel.
type Resolver struct{ plan *plan }

// NewResolver reads the numbering plans (some milliseconds, once a process). It
// fails only if libphonenumber's embedded metadata cannot be read.
func NewResolver() (*Resolver, error) {
	p, err := newPlan()
	if err != nil {
		return nil, err
	}
	return &Resolver{plan: p}, nil
}

// KnownRegion reports whether region is an ISO 3166-1 code, in capitals, that
// has a numbering plan.
func (r *Resolver) KnownRegion(region string) bool { return r.region(region) != nil }

// Resolve reads text as Clean does and decides by libphonenumber's rule of
// possible numbers: right calling code, right length; whether anybody has the
// number is for the upstream to say. region (ISO 3166-1, capitals, "" for none)
// gives numbers without a calling code their country.
//
// It is stricter than libphonenumber in one thing: a number that can be dialled
// only inside its area is NoAreaCode, as it has no E.164 form. It is laxer in
// three: a leading 00 means '+' where the region's own dialling prefix leads to
// no valid number, the "(0)" of "+34 (0)612 ..." is dropped where it must be, and
// a second national prefix goes like the first, so that an E164 always resolves
// to itself.
//
// It needs about 150 ns and one allocation for most numbers, 20 to 30 us where
// only libphonenumber knows.
func (r *Resolver) Resolve(text, region string) (Number, Problem) {
	var d dial
	if why := d.read(text); why != OK {
		return Number{}, why
	}
	home := r.region(region)
	if rl, rest := r.quick(&d, home); rl != nil {
		return newNumber(rl, rest), OK
	}
	if home == nil {
		region = ""
	}
	return r.slow(&d, region)
}

func (r *Resolver) region(id string) *rules {
	if len(id) != 2 {
		return nil
	}
	return r.plan.regions[[2]byte{id[0], id[1]}]
}

func newNumber(rl *rules, national []byte) Number {
	e164 := make([]byte, 0, 1+3+maxDigits)
	e164 = append(append(append(e164, '+'), rl.code...), national...)
	s := string(e164)
	return Number{E164: s, CountryCode: s[1 : 1+len(rl.code)], National: s[1+len(rl.code):], Region: rl.region}
}

// quick answers where the tables are certain of what libphonenumber would
// answer, with the rules of the calling code and the national number; else nil.
func (r *Resolver) quick(d *dial, home *rules) (*rules, []byte) {
	digits := d.digits()
	switch {
	case d.plus:
		return r.international(digits)
	case home == nil:
		return nil, nil
	case home.idd00 && digits[0] == '0' && digits[1] == '0' && digits[2] != '0':
		return r.international(digits[2:])
	case home.idd.has(digits):
		return nil, nil
	case string(digits[:len(home.code)]) == home.code:
		return withoutPlus(digits, home)
	}
	return national(digits, home)
}

// international reads a calling code and a national number.
func (r *Resolver) international(digits []byte) (*rules, []byte) {
	code := 0
	for i, c := range digits[:min(3, len(digits))] {
		code = code*10 + int(c-'0')
		if code == 0 {
			return nil, nil
		}
		if rl := r.plan.codes[code]; rl != nil {
			return rl.take(digits[i+1:])
		}
	}
	return nil, nil
}

// withoutPlus reads "8613800138000" at home in China: too long for a national
// number, so the calling code at its front is one.
func withoutPlus(digits []byte, home *rules) (*rules, []byte) {
	rest := digits[len(home.code):]
	tooLong := len(digits) > home.longest && home.local&(1<<len(digits)) == 0
	if !tooLong || len(rest) < minDigits || home.trunk.has(rest) {
		return nil, nil
	}
	return home.main.take(rest)
}

func national(digits []byte, home *rules) (*rules, []byte) {
	rest, sure := home.strip(digits)
	if !sure || !home.main.isFinal(rest) {
		return nil, nil
	}
	return home.main, rest
}

// take accepts what follows a calling code, or is not certain.
func (rl *rules) take(digits []byte) (*rules, []byte) {
	if len(digits) < minDigits {
		return nil, nil
	}
	rest, sure := rl.strip(digits)
	if !sure || !rl.isFinal(rest) {
		return nil, nil
	}
	return rl, rest
}

// slow asks libphonenumber, which tries hard and takes its time.
func (r *Resolver) slow(d *dial, region string) (Number, Problem) {
	text := string(d.text())
	p, why := r.parse(text, region)
	switch {
	case !d.plus && d.n > 2 && text[:2] == "00" && text[2] != '0' && (why != OK || !phonenumbers.IsValidNumber(p)):
		if q, fault := r.parse("+"+text[2:], region); fault == OK && (why != OK || phonenumbers.IsValidNumber(q)) {
			p, why = q, OK
		}
	case why != OK && d.trunk > 0:
		if q, fault := r.parse(text[:d.trunk]+text[d.trunk+1:], region); fault == OK {
			p, why = q, OK
		}
	}
	if why != OK {
		return Number{}, why
	}
	return r.settle(p), OK
}

// settle makes a Number of p. Where p might still begin with a national prefix
// it is read again, as anybody who is given its E164 would.
func (r *Resolver) settle(p *phonenumbers.PhoneNumber) Number {
	for range maxDigits { // each reading is shorter
		rl, national := r.plan.codes[p.GetCountryCode()], phonenumbers.GetNationalSignificantNumber(p)
		if rl.isFinal([]byte(national)) {
			break
		}
		q, why := r.parse("+"+rl.code+national, "")
		if why != OK || q.GetCountryCode() == p.GetCountryCode() && phonenumbers.GetNationalSignificantNumber(q) == national {
			break
		}
		p = q
	}
	return newNumber(r.plan.codes[p.GetCountryCode()], []byte(phonenumbers.GetNationalSignificantNumber(p)))
}

// parse is libphonenumber's word on a dial string.
func (r *Resolver) parse(text, region string) (*phonenumbers.PhoneNumber, Problem) {
	p, err := phonenumbers.Parse(text, region)
	if err != nil {
		return nil, parseProblem(err, text, region)
	}
	if r.plan.codes[p.GetCountryCode()] == nil {
		return nil, UnknownCountry
	}
	return p, lengthProblem(phonenumbers.IsPossibleNumberWithReason(p))
}

func parseProblem(err error, text, region string) Problem {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		if region == "" && text[0] != '+' {
			return NoCountry
		}
		return UnknownCountry
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return TooLong
	case errors.Is(err, phonenumbers.ErrTooShortAfterIDD), errors.Is(err, phonenumbers.ErrTooShortNSN):
		return TooShort
	}
	return Unreadable
}

func lengthProblem(v phonenumbers.ValidationResult) Problem {
	switch v {
	case phonenumbers.IS_POSSIBLE:
		return OK
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return NoAreaCode
	case phonenumbers.INVALID_COUNTRY_CODE:
		return UnknownCountry
	case phonenumbers.TOO_SHORT:
		return TooShort
	case phonenumbers.TOO_LONG:
		return TooLong
	case phonenumbers.INVALID_LENGTH:
	}
	return WrongLength
}
