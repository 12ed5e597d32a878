package offline

import (
	"regexp"
	"strconv"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"github.com/lookupq/lookupq/providers"
)

// worldRegion is the region of calling codes that belong to no country.
const worldRegion = "001"

// lineUnknown is the line type of a number that no pattern of its plan fits.
const lineUnknown providers.LineType = ""

// plan is the numbering plan of a calling code: the rules of each region that
// shares it, the main one first.
type plan []*rules

// rules are the patterns of one region. phonenumbers has the same logic, but
// joins each pattern anew, looks it up under a lock and matches it twice: four
// times the time of a number's whole lookup here. A test holds both together.
type rules struct {
	region  string
	leading *pattern // nil if the region is not told by its first digits
	general *pattern
	kinds   []kind // in the order of precedence
	fixed   *pattern
	mobile  *pattern
	// sameMobile: the region does not tell mobile from fixed lines.
	sameMobile bool
}

type kind struct {
	line providers.LineType
	*pattern
}

// pattern is a regular expression, compiled when first used: a process rarely
// meets more than a few of the 250 regions.
type pattern struct {
	lengths []int32
	compile func() *regexp.Regexp
}

// newPattern is nil where the metadata has none, which fits nothing.
func newPattern(d *phonenumbers.PhoneNumberDesc) *pattern {
	text := d.GetNationalNumberPattern()
	if text == "" {
		return nil
	}
	return &pattern{lengths: d.GetPossibleLength(), compile: lazily("^(?:" + text + ")$")}
}

func lazily(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func (p *pattern) fits(national string) bool {
	return p != nil && p.rightLength(len(national)) && p.compile().MatchString(national)
}

func (p *pattern) rightLength(n int) bool {
	if len(p.lengths) == 0 {
		return true // as the general pattern, which has been tried
	}
	for _, l := range p.lengths {
		if int(l) == n {
			return true
		}
	}
	return false
}

// loadPlans arranges the metadata by calling code. It shares the strings that
// phonenumbers holds anyway and compiles nothing.
func loadPlans() map[string]plan {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic("libphonenumber's metadata is part of the program and cannot be read: " + err.Error())
	}
	byRegion := make(map[string]*rules)
	world := make(map[int]*rules)
	for _, m := range all.GetMetadata() {
		if r := newRules(m); r.region == worldRegion {
			world[int(m.GetCountryCode())] = r
		} else {
			byRegion[r.region] = r
		}
	}
	plans := make(map[string]plan)
	for code := range phonenumbers.GetSupportedCallingCodes() {
		var p plan
		for _, region := range phonenumbers.GetRegionCodesForCountryCode(code) {
			r := byRegion[region]
			if region == worldRegion {
				r = world[code]
			}
			if r != nil {
				p = append(p, r)
			}
		}
		plans[strconv.Itoa(code)] = p
	}
	return plans
}

func newRules(m *phonenumbers.PhoneMetadata) *rules {
	r := &rules{
		region: m.GetId(), general: newPattern(m.GetGeneralDesc()), fixed: newPattern(m.GetFixedLine()),
		mobile: newPattern(m.GetMobile()), sameMobile: m.GetSameMobileAndFixedLinePattern(),
		kinds: []kind{
			{providers.LinePremiumRate, newPattern(m.GetPremiumRate())},
			{providers.LineTollFree, newPattern(m.GetTollFree())},
			{providers.LineSharedCost, newPattern(m.GetSharedCost())},
			{providers.LineVoIP, newPattern(m.GetVoip())},
			{providers.LinePersonal, newPattern(m.GetPersonalNumber())},
			{providers.LinePager, newPattern(m.GetPager())},
			{providers.LineUAN, newPattern(m.GetUan())},
			{providers.LineVoicemail, newPattern(m.GetVoicemail())},
		},
	}
	if digits := m.GetLeadingDigits(); digits != "" {
		r.leading = &pattern{compile: lazily("^(?:" + digits + ")")}
	}
	return r
}

// find says in which region a number is and what kind of line it has. Without a
// kind it is no valid number; without a region it fits none that shares the code.
func (p plan) find(national string) (region string, line providers.LineType) {
	if len(p) == 1 {
		return p[0].region, p[0].lineOf(national)
	}
	for _, r := range p {
		switch {
		case r.leading == nil:
			if line = r.lineOf(national); line != lineUnknown {
				return r.region, line
			}
		case r.leading.fits(national):
			return r.region, r.lineOf(national)
		}
	}
	return "", lineUnknown
}

func (r *rules) lineOf(national string) providers.LineType {
	if !r.general.fits(national) {
		return lineUnknown
	}
	for _, k := range r.kinds {
		if k.fits(national) {
			return k.line
		}
	}
	switch {
	case r.fixed.fits(national):
		if r.sameMobile || r.mobile.fits(national) {
			return providers.LineFixedOrMobile
		}
		return providers.LineFixed
	case !r.sameMobile && r.mobile.fits(national):
		return providers.LineMobile
	}
	return lineUnknown
}
