package input

import "strings"

// isoCodes are the ISO 3166-1 codes, and XK, which everybody uses for Kosovo.
const isoCodes = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"

// regions finds ISO codes in cells without allocating.
type regions struct {
	code [26 * 26]string
}

func newRegions() *regions {
	var r regions
	for c := range strings.FieldsSeq(isoCodes) {
		r.code[int(c[0]-'A')*26+int(c[1]-'A')] = c
	}
	r.code[int('U'-'A')*26+int('K'-'A')] = "GB" // what people write
	return &r
}

// of returns the region that a cell names, "" if it is no code.
func (r *regions) of(cell []byte) string {
	cell = trim(cell)
	if len(cell) != 2 {
		return ""
	}
	a, b := cell[0]&^0x20, cell[1]&^0x20
	if a < 'A' || a > 'Z' || b < 'A' || b > 'Z' {
		return ""
	}
	return r.code[int(a-'A')*26+int(b-'A')]
}

// ValidRegion reports whether s is a region code in capitals.
func ValidRegion(s string) bool {
	return len(s) == 2 && s != "UK" && newRegions().of([]byte(s)) == s
}
