package simulator

import "slices"

// Truth is what the simulated upstream knows of a number. It depends on the
// number and the profile alone, so a test can tell a mixed-up answer.
type Truth struct {
	// Code is 0 for an answer, else the vendor's code for this number, every time.
	Code int
	// Poison numbers have their batch refused.
	Poison bool
	// Res is the vendor's verdict: "0" not ported, "1" ported, "3" neither.
	Res, Area, Init, Now string
}

// Salts keep the draws about one number independent of each other.
const (
	saltPoison byte = iota
	saltArea
	saltIsp
	saltPorted
	saltItem // + index of the error in the profile; last
)

// portedShare and unknownShare of all numbers are ported or in a segment
// without a verdict; the rest stayed with its first operator.
const (
	portedShare  = 0.08
	unknownShare = 0.01
)

// QXTTruth tells what the simulated QXT answers for an 11-digit mobile.
func (p *Profile) QXTTruth(number string) Truth {
	q := &p.QXT
	if p.poisonous(number) {
		return Truth{Poison: true, Code: 1}
	}
	for i, e := range q.ItemErrors {
		if e.Sticky && p.draw(saltItem+byte(i), number) < e.Share {
			return Truth{Code: e.Code}
		}
	}
	isp := p.hash(saltIsp, number)
	t := Truth{Res: "0", Area: areaOf(p.hash(saltArea, number)), Init: ispOf(isp)}
	t.Now = t.Init
	switch d := p.draw(saltPorted, number); {
	case d < portedShare:
		t.Res, t.Now = "1", ispOf(isp+1)
	case d < portedShare+unknownShare:
		t.Res = "3"
	}
	return t
}

func (p *Profile) poisonous(number string) bool {
	return slices.Contains(p.QXT.Poison.Numbers, number) ||
		p.QXT.Poison.Share > 0 && p.draw(saltPoison, number) < p.QXT.Poison.Share
}

// draw is a share in [0,1) fixed for the number.
func (p *Profile) draw(salt byte, number string) float64 {
	return float64(p.hash(salt, number)>>11) / (1 << 53)
}

// hash is a fixed hash (FNV-1a with a final mix): hash/maphash would tell
// another truth in each process.
func (p *Profile) hash(salt byte, number string) uint64 {
	h := 14695981039346656037 ^ p.Seed*0x9e3779b97f4a7c15 ^ uint64(salt)<<56
	for i := range len(number) {
		h = (h ^ uint64(number[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func areaOf(h uint64) string {
	areas := [...]string{"北京", "上海", "广东-深圳", "湖北-武汉", "湖北-恩施", "四川-成都", "浙江-杭州", "江苏-南京", "福建-厦门", "云南-昆明"}
	return areas[h%uint64(len(areas))]
}

func ispOf(h uint64) string {
	isps := [...]string{"移动", "联通", "电信", "广电"}
	return isps[h%uint64(len(isps))]
}
