package portcheck

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/setup"
)

// words are what a product's own words mean.
type words struct {
	code     map[string]action
	transfer map[string]transferWord
	operator map[string]operatorID
}

func newWords(s *settings) words {
	w := words{code: s.CodeMap, transfer: make(map[string]transferWord), operator: make(map[string]operatorID)}
	for word, meaning := range s.TransferMap {
		w.transfer[tight(word)] = meaning
	}
	for word, id := range s.OperatorMap {
		w.operator[tight(word)] = id
	}
	return w
}

// tight drops blanks and case, which do not count in either map.
func tight(word string) string {
	return strings.ToLower(strings.Join(strings.Fields(word), ""))
}

// transferWord is what a word for porting means.
type transferWord providers.Tri

// UnmarshalYAML reads ported, not_ported or unknown.
func (w *transferWord) UnmarshalYAML(node *yaml.Node) error {
	return oneOf(node, "meaning", map[string]transferWord{
		"ported": transferWord(providers.Yes), "not_ported": transferWord(providers.No), "unknown": transferWord(providers.Unknown),
	}, w)
}

// operatorID is a canonical id; "" is a word for nobody.
type operatorID string

// UnmarshalYAML reads an id.
func (id *operatorID) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || !regexp.MustCompile(`^[a-z0-9_]{1,64}$`).MatchString(node.Value) {
		return setup.FieldError{Line: node.Line, Problem: "is no operator's id; write it like china_mobile, or virtual or unknown"}
	}
	if *id = operatorID(node.Value); *id == "unknown" {
		*id = ""
	}
	return nil
}

// stated is how an upstream speaks of a number's porting.
type stated uint8

const (
	// statedNothing: no word, or none that anybody has explained.
	statedNothing stated = iota
	// statedUnknown: a word for "cannot tell".
	statedUnknown
	statedNo
	statedYes
)

// ported is what the word says.
func (w *words) ported(word string) stated {
	t, known := providers.Unknown, false
	if mapped, ok := w.transfer[tight(word)]; ok {
		t, known = providers.Tri(mapped), true
	} else if word != "" {
		t, known = normal.Ported(word)
	}
	switch {
	case t == providers.Yes:
		return statedYes
	case t == providers.No:
		return statedNo
	case known:
		return statedUnknown
	}
	return statedNothing
}

// carrier is the operator that the upstream calls name, for a number of country.
func (w *words) carrier(country, name string) providers.Carrier {
	if id, ok := w.operator[tight(name)]; ok && name != "" {
		if id == "" {
			return providers.Carrier{}
		}
		return providers.Carrier{ID: string(id), Name: name}
	}
	return normal.Carrier(country, name)
}

// What Facts.PortedBasis can say.
const (
	derived      = "derived"
	inconsistent = "inconsistent"
)

// judge holds what was stated against the operators, if both are known networks.
func judge(s stated, original, current providers.Carrier) (ported providers.Tri, basis string) {
	switch {
	case !network(original) || !network(current):
		return s.tri(), ""
	case original.ID != current.ID:
		return judgeApart(s)
	}
	return judgeAlike(s)
}

// network reports whether the carrier is one that another can be told from: a
// virtual operator may run on any.
func network(c providers.Carrier) bool { return c.ID != "" && c.ID != normal.Virtual }

// judgeApart: two operators mean that the number was ported, whatever was stated.
func judgeApart(s stated) (ported providers.Tri, basis string) {
	switch s {
	case statedNo:
		return providers.Yes, inconsistent
	case statedNothing, statedUnknown:
		return providers.Yes, derived
	case statedYes:
	}
	return providers.Yes, ""
}

// judgeAlike: one operator does not mean the opposite of ported, for a number may
// have come back, or moved between brands. It proves nothing where the upstream
// says that it cannot tell: it may be read off the prefix twice.
func judgeAlike(s stated) (ported providers.Tri, basis string) {
	switch s {
	case statedYes:
		return providers.Yes, inconsistent
	case statedNothing:
		return providers.No, derived
	case statedNo, statedUnknown:
	}
	return s.tri(), ""
}

func (s stated) tri() providers.Tri {
	switch s {
	case statedYes:
		return providers.Yes
	case statedNo:
		return providers.No
	case statedNothing, statedUnknown:
	}
	return providers.Unknown
}
