package normal

import "github.com/lookupq/lookupq/providers"

// LineType is the kind of line that an upstream's word means; false if the word
// says nothing. Codes that only one upstream uses stay with that provider.
func LineType(word string) (providers.LineType, bool) {
	switch fold(word) {
	case "mobile", "cellular", "cell", "wireless":
		return providers.LineMobile, true
	case "fixed", "fixedline", "landline", "local", "geographic":
		return providers.LineFixed, true
	case "fixedlineormobile", "fixedormobile":
		return providers.LineFixedOrMobile, true
	case "tollfree", "freephone":
		return providers.LineTollFree, true
	case "premium", "premiumrate":
		return providers.LinePremiumRate, true
	case "sharedcost":
		return providers.LineSharedCost, true
	case "voip":
		return providers.LineVoIP, true
	case "personal", "personalnumber":
		return providers.LinePersonal, true
	case "pager":
		return providers.LinePager, true
	case "uan":
		return providers.LineUAN, true
	case "voicemail":
		return providers.LineVoicemail, true
	case "other", "others":
		return providers.LineOther, true
	}
	return "", false
}
