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

// Carrier is the operator that an upstream calls name, for a number of country
// (ISO 3166-1): its canonical id where there is one, and its name as given. A
// word for "unknown" is the zero Carrier. Called for every number.
func Carrier(country, name string) providers.Carrier {
	if country == "CN" {
		if id := commonCN(name); id != "" {
			return providers.Carrier{ID: id, Name: name}
		}
	}
	name = strings.TrimSpace(name)
	word := fold(name)
	if unknown(word) {
		return providers.Carrier{}
	}
	c := providers.Carrier{Name: name}
	if country == "CN" {
		c.ID = operatorCN(word)
	}
	return c
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

// operatorCN is the id of a folded name; empty if the table has none. A virtual
// operator runs on the network that its name says.
func operatorCN(word string) string {
	rest := word
	for _, mark := range [...]string{"虚拟运营商", "虚拟商", "虚商", "虚拟", "转售", "mvno", "virtual"} {
		rest = strings.ReplaceAll(rest, mark, "")
	}
	virtual := rest != word
	if virtual {
		rest = strings.Trim(rest, "()（）[]/·:：")
	}
	switch rest {
	case "移动", "移动通信", "cmcc", "chinamobile":
		return ChinaMobile
	case "联通", "联合网络通信", "cucc", "chinaunicom", "chinaunion":
		return ChinaUnicom
	case "电信", "ctcc", "chinatelecom":
		return ChinaTelecom
	case "广电", "广电网络", "广播电视网络", "cbn", "cbcc", "chinabroadnet", "chinabroadcastingnetwork":
		return ChinaBroadnet
	case "阿里通信": // of no network of its own, and on more than one
		return Virtual
	}
	if virtual {
		return Virtual
	}
	return ""
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
