package normal

import "github.com/lookupq/lookupq/providers"

// LineType is the kind of line that an upstream's word means; false if the word
// says nothing ("invalid"). Codes that only one upstream uses stay with that
// provider. Telnyx's national numbers belong to no place and no kind of line, and
// NXCloud's special ones to none of the contract's.
func LineType(word string) (providers.LineType, bool) {
	switch fold(word) {
	case "mobile", "cellular", "cell", "wireless", "手机", "移动电话":
		return providers.LineMobile, true
	case "fixed", "fixedline", "landline", "local", "geographic", "固话", "固定电话", "座机":
		return providers.LineFixed, true
	case "fixedlineormobile", "fixedormobile":
		return providers.LineFixedOrMobile, true
	case "tollfree", "freephone", "freecall":
		return providers.LineTollFree, true
	case "premium", "premiumrate":
		return providers.LinePremiumRate, true
	case "sharedcost":
		return providers.LineSharedCost, true
	case "voip", "fixedvoip", "nonfixedvoip":
		return providers.LineVoIP, true
	case "personal", "personalnumber":
		return providers.LinePersonal, true
	case "pager":
		return providers.LinePager, true
	case "uan", "organisation", "organization":
		return providers.LineUAN, true
	case "voicemail":
		return providers.LineVoicemail, true
	case "other", "others", "national", "specialprivate", "specialrestricted":
		return providers.LineOther, true
	}
	return "", false
}
