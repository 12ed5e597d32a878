package normal

import "github.com/lookupq/lookupq/providers"

// What Facts.PortedBasis can say.
const (
	Derived      = "derived"
	Inconsistent = "inconsistent"
)

// Ported is what an upstream's word for a number's porting means. A word for
// "cannot tell" is Undetermined; Unknown is no word, or one that nobody has
// explained. Blanks and case do not count, and words are compared whole: 未携转
// contains 携转.
func Ported(word string) providers.Tri {
	switch Tight(word) {
	case "未携转", "未转网", "未携号转网", "非携转", "非携号转网", "否", "0", "false", "n", "no":
		return providers.No
	case "已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "y", "yes":
		return providers.Yes
	case "未知", "空号", "查无", "null", "unknown":
		return providers.Undetermined
	}
	return providers.Unknown
}

// Judge holds what an upstream stated of a number's porting, as Ported reads it,
// against the operators that it names: if both are known networks they may prove
// it, or contradict it. The verdict is Yes, No or Unknown; basis is what goes
// into Facts.PortedBasis.
func Judge(stated providers.Tri, original, current providers.Carrier) (ported providers.Tri, basis string) {
	switch {
	case !network(original) || !network(current):
		return told(stated), ""
	case original.ID != current.ID:
		return judgeApart(stated)
	}
	return judgeAlike(stated)
}

// network reports whether the carrier is one that another can be told from: a
// virtual operator may run on any.
func network(c providers.Carrier) bool { return c.ID != "" && c.ID != Virtual }

// judgeApart: two operators mean that the number was ported, whatever was stated.
func judgeApart(stated providers.Tri) (ported providers.Tri, basis string) {
	switch stated {
	case providers.No:
		return providers.Yes, Inconsistent
	case providers.Unknown, providers.Undetermined:
		return providers.Yes, Derived
	case providers.Yes:
	}
	return providers.Yes, ""
}

// judgeAlike: one operator does not mean the opposite of ported, for a number may
// have come back, or moved between brands. It proves nothing where the upstream
// says that it cannot tell: it may be read off the prefix twice.
func judgeAlike(stated providers.Tri) (ported providers.Tri, basis string) {
	switch stated {
	case providers.Yes:
		return providers.Yes, Inconsistent
	case providers.Unknown:
		return providers.No, Derived
	case providers.No, providers.Undetermined:
	}
	return told(stated), ""
}

// told is what was stated, without the difference between silence and "cannot
// tell", which is none to a reader.
func told(stated providers.Tri) providers.Tri {
	if stated == providers.Undetermined {
		return providers.Unknown
	}
	return stated
}
