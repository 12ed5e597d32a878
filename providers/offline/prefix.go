package offline

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
)

const (
	// prefixDigits is how much of a number the prefix lists look at.
	prefixDigits = 9
	// noCallingCode is a length that no calling code has.
	noCallingCode = 5
	// unknownZone is the library's word for no time zone.
	unknownZone = phonenumbers.UNKNOWN_TIMEZONE
)

// addPrefixFacts adds what the first digits of a valid number tell. f has country
// and line type already.
func (p *Provider) addPrefixFacts(n providers.Number, f *providers.Facts) {
	placed := f.LineType == providers.LineFixed || f.LineType == providers.LineFixedOrMobile
	mobile := f.LineType == providers.LineMobile || f.LineType == providers.LineFixedOrMobile
	if placed || mobile {
		f.TimeZones = timeZones(n.E164)
	}
	prefix := prefixOf(n.E164)
	if prefix == nil {
		return
	}
	if placed || mobile && placedMobiles(n.CountryCode) {
		// Neither of the two errors can come: the lists are part of the program.
		f.Area, _ = phonenumbers.GetGeocodingForNumber(prefix, p.language)
	}
	if mobile || f.LineType == providers.LinePager {
		name, _ := phonenumbers.GetCarrierForNumber(prefix, p.language)
		f.OriginalCarrier = normal.Carrier(f.Country, name)
	}
}

// placedMobiles: in these countries a mobile number's prefix belongs to a place.
func placedMobiles(callingCode string) bool {
	switch callingCode {
	case "52", "54", "55", "62", "86":
		return true
	}
	return false
}

// timeZones are those the number may be in. The list is the library's own and is
// never written to.
func timeZones(e164 string) []string {
	zones, err := phonenumbers.GetTimezonesForPrefix(e164)
	if err != nil || len(zones) == 1 && zones[0] == unknownZone {
		return nil
	}
	return zones
}

// prefixOf is the beginning of the number, dressed as a number of a calling code
// that nobody has. The lists go by the digits of the E.164 form and do not mind;
// but without a country the library cannot put the country's name in the place
// of an area it does not know, which costs it ten times the lookup and is no area.
func prefixOf(e164 string) *phonenumbers.PhoneNumber {
	digits := strings.TrimPrefix(e164, "+")
	digits = digits[:min(len(digits), prefixDigits)]
	if len(digits) <= noCallingCode {
		return nil
	}
	code, err := strconv.ParseUint(digits[:noCallingCode], 10, 31)
	if err != nil || digits[0] == '0' {
		return nil
	}
	rest := digits[noCallingCode:]
	national, err := strconv.ParseUint(rest, 10, 64)
	if err != nil {
		return nil
	}
	callingCode := int32(code)
	number := &phonenumbers.PhoneNumber{CountryCode: &callingCode, NationalNumber: &national}
	if zeros := len(rest) - len(strconv.FormatUint(national, 10)); zeros > 0 {
		leading, count := true, int32(zeros)
		number.ItalianLeadingZero, number.NumberOfLeadingZeros = &leading, &count
	}
	return number
}

// languages are those of the area lists; fewer have carrier names of their own.
func languages() []string {
	return []string{
		"ar", "be", "bg", "bs", "de", "el", "en", "es", "fa", "fi", "fr", "hr", "hu", "hy", "id", "it", "iw", "ja",
		"kk", "ko", "nl", "pl", "pt", "ro", "ru", "sq", "sr", "sv", "th", "tr", "uk", "vi", "zh", "zh_Hant",
	}
}
