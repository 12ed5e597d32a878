package nxcloud

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/lookupq/lookupq/providers"
)

// Partition takes numbers of any country. Only numbers of one country and check
// level share a batch: the oldest generation of the API demands it, no other
// minds, and prices go by country. A country is its calling code; where several
// share one (the United States and Canada, Russia and Kazakhstan), it is the
// region that libphonenumber gives the number, or the code where it gives none.
func (p *Provider) Partition(n providers.Number, opts providers.Options) (string, *providers.Failure) {
	if n.CountryCode == "" || n.National == "" {
		return "", p.noNumber
	}
	l, err := p.chosenLevel(opts)
	if err != nil {
		return "", &providers.Failure{Kind: providers.KindUnsupported, Message: err.Error()}
	}
	return country(n) + "|" + strconv.Itoa(int(l)), nil
}

// country is a region ("CA") where the calling code is shared, else the code.
func country(n providers.Number) string {
	if !sharedCode(n.CountryCode) {
		return n.CountryCode
	}
	number, ok := parsed(n)
	if !ok {
		return n.CountryCode
	}
	return or(phonenumbers.GetRegionCodeForNumber(number), n.CountryCode)
}

// parsed is n as libphonenumber takes it, without the parsing that costs twice as
// much as the rest: n is in parts already.
func parsed(n providers.Number) (*phonenumbers.PhoneNumber, bool) {
	code, err := strconv.ParseInt(n.CountryCode, 10, 32)
	national, errNational := strconv.ParseUint(n.National, 10, 64)
	if err != nil || errNational != nil {
		return nil, false
	}
	code32, zeros := int32(code), int32(len(n.National)-len(strings.TrimLeft(n.National, "0")))
	leading := zeros > 0 // Italy's belong to the number
	return &phonenumbers.PhoneNumber{
		CountryCode: &code32, NationalNumber: &national, ItalianLeadingZero: &leading, NumberOfLeadingZeros: &zeros,
	}, true
}

// sharedCode: the calling codes that libphonenumber has several regions for. To
// find the region costs microseconds, so no other code is looked at.
func sharedCode(code string) bool {
	switch code {
	case "1", "7", "39", "44", "47", "61", "212", "262", "290", "358", "590", "599":
		return true
	}
	return false
}
