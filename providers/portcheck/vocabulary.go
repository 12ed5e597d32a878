package portcheck

import (
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/words"
)

// vocabulary is what a product's own words mean.
type vocabulary struct {
	code     map[string]codeMeaning
	transfer map[string]transferWord
	operator map[string]operatorID
}

func newVocabulary(s *settings) vocabulary {
	w := vocabulary{code: s.CodeMap, transfer: make(map[string]transferWord), operator: make(map[string]operatorID)}
	for word, meaning := range s.TransferMap {
		w.transfer[normal.Tight(word)] = meaning
	}
	for word, id := range s.OperatorMap {
		w.operator[normal.Tight(word)] = id
	}
	return w
}

// transferWord is what a word for porting means.
type transferWord providers.Tri

// UnmarshalYAML reads ported, not_ported or unknown.
func (w *transferWord) UnmarshalYAML(node *yaml.Node) error {
	t, err := words.OneOf(node, "meaning", map[string]transferWord{
		"ported": transferWord(providers.Yes), "not_ported": transferWord(providers.No), "unknown": transferWord(providers.Undetermined),
	})
	*w = t
	return err
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

// ported is what the word says, Undetermined where it says "cannot tell".
func (v *vocabulary) ported(word string) providers.Tri {
	if mapped, ok := v.transfer[normal.Tight(word)]; ok {
		return providers.Tri(mapped)
	}
	return normal.Ported(word)
}

// carrier is the operator that the upstream calls name, for a number of country.
func (v *vocabulary) carrier(country, name string) providers.Carrier {
	if id, ok := v.operator[normal.Tight(name)]; ok && name != "" {
		if id == "" {
			return providers.Carrier{}
		}
		return providers.Carrier{ID: string(id), Name: name}
	}
	return normal.Carrier(country, name)
}
