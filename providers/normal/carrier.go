// Package normal turns the words that upstreams use into the contract's terms,
// one place for all providers. What comes in is a word as some upstream spells
// it, what goes out is a canonical value or "not known". It is pure, safe in
// parallel, and holds no state.
package normal

import (
	"strings"

	"github.com/lookupq/lookupq/providers"
)

// The canonical ids of mainland China's operators. A virtual operator has the id
// of the network it runs on, Virtual if that is not said.
const (
	ChinaMobile   = "china_mobile"
	ChinaUnicom   = "china_unicom"
	ChinaTelecom  = "china_telecom"
	ChinaBroadnet = "china_broadnet"
	Virtual       = "virtual"
)

// Operator is what an upstream's name of an operator says.
type Operator struct {
	providers.Carrier
	// Virtual is an operator without a network of its own.
	Virtual bool
}

// Carrier is the operator that an upstream calls name, for a number of country
// (ISO 3166-1): its canonical id where there is one, and its name as given. A
// word for "unknown" is the zero Carrier. Called for every number.
func Carrier(country, name string) providers.Carrier {
	return OperatorOf(country, name).Carrier
}

// OperatorOf is Carrier, and says whether the operator is a virtual one.
func OperatorOf(country, name string) Operator {
	if country == "CN" {
		if id := commonCN(name); id != "" {
			return Operator{Carrier: providers.Carrier{ID: id, Name: name}}
		}
	}
	name = strings.TrimSpace(name)
	word := fold(name)
	if unknown(word) {
		return Operator{}
	}
	op := Operator{Carrier: providers.Carrier{Name: name}}
	if country == "CN" {
		op.ID, op.Virtual = operatorCN(word)
	}
	return op
}

// commonCN knows the spellings that make up nearly all replies, without folding.
func commonCN(name string) string {
	switch name {
	case "移动", "中国移动", "China Mobile":
		return ChinaMobile
	case "联通", "中国联通", "China Unicom":
		return ChinaUnicom
	case "电信", "中国电信", "China Telecom":
		return ChinaTelecom
	case "广电", "中国广电", "China Broadnet":
		return ChinaBroadnet
	}
	return ""
}

// operatorCN reads a folded name; the id is empty if the table has none.
func operatorCN(word string) (id string, virtual bool) {
	rest := word
	for _, mark := range [...]string{"虚拟运营商", "虚拟商", "虚商", "虚拟", "转售", "mvno", "virtual"} {
		rest = strings.ReplaceAll(rest, mark, "")
	}
	virtual = rest != word
	if virtual {
		rest = strings.Trim(rest, "()（）[]/·:：")
	}
	switch rest {
	case "移动", "cmcc", "chinamobile":
		return ChinaMobile, virtual
	case "联通", "cucc", "chinaunicom", "chinaunion":
		return ChinaUnicom, virtual
	case "电信", "ctcc", "chinatelecom":
		return ChinaTelecom, virtual
	case "广电", "cbn", "cbcc", "chinabroadnet", "chinabroadcastingnetwork":
		return ChinaBroadnet, virtual
	}
	if virtual {
		return Virtual, true
	}
	return "", false
}

// unknown reports whether a folded word is an upstream's way of saying nothing.
func unknown(word string) bool {
	switch word {
	case "", "未知", "其他", "其它", "无", "other", "others", "unknown", "null", "none", "n/a":
		return true
	}
	return false
}

// fold drops what differs between spellings of one name: case, blanks, hyphens,
// underscores and the leading 中国.
func fold(name string) string {
	name = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '-', '_', '\u00A0', '\u3000':
			return -1
		}
		return r
	}, strings.ToLower(name))
	return strings.ReplaceAll(name, "中国", "")
}
