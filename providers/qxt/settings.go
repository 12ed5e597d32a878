package qxt

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/words"
)

// settings are what the type takes under `settings:`; the package comment
// documents them.
type settings struct {
	SingleCall    bool          `yaml:"single_call"`
	CodeActions   codeActions   `yaml:"code_actions"`
	ReasonActions reasonActions `yaml:"reason_actions"`
}

func readSettings(node *yaml.Node) (settings, error) {
	s := settings{SingleCall: true}
	err := setup.Join("settings", setup.Decode(node, &s))
	return s, err
}

// codeActions says what codes mean, before the built-in table.
type codeActions map[int]words.Verdict

// UnmarshalYAML reads {"-3": retry}, its codes quoted or not.
func (c *codeActions) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return setup.FieldError{Line: node.Line, Problem: "is not a mapping; write it like {\"-3\": retry}"}
	}
	*c = make(codeActions, len(node.Content)/2)
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		code, err := strconv.Atoi(strings.TrimSpace(key.Value))
		switch _, twice := (*c)[code]; {
		case err != nil:
			errs = append(errs, setup.FieldError{Line: key.Line, Path: key.Value, Problem: "is no code; codes are integers"})
		case code == codeSuccess:
			errs = append(errs, setup.FieldError{Line: key.Line, Path: key.Value, Problem: "is success and cannot mean anything else; remove it"})
		case twice:
			errs = append(errs, setup.FieldError{Line: key.Line, Path: key.Value, Problem: "is there twice; remove one"})
		default:
			v, err := words.Decode(value, words.Split)
			errs = append(errs, setup.Join(key.Value, err))
			(*c)[code] = v
		}
	}
	return setup.Join("", errs...)
}

// reasonActions says what words in a reason mean, before everything else. The
// first rule that matches counts.
type reasonActions []reasonAction

// reasonAction matches a reason that has every word of All and, unless Any is
// empty, one of Any, without regard to ASCII case.
type reasonAction struct {
	All    []string `yaml:"all"`
	Any    []string `yaml:"any"`
	Action *named   `yaml:"action"`
}

// named is a verdict by its name in the settings.
type named words.Verdict

// UnmarshalYAML reads one of those that a reply of this vendor can ask for.
func (n *named) UnmarshalYAML(node *yaml.Node) error {
	v, err := words.Decode(node, words.Split)
	*n = named(v)
	return err
}

func (r *reasonAction) matches(reason string) bool {
	for _, w := range r.All {
		if !strings.Contains(reason, w) {
			return false
		}
	}
	return len(r.Any) == 0 || words.Has(reason, r.Any...)
}

// UnmarshalYAML reads the list and checks each rule.
func (rs *reasonActions) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return setup.FieldError{Line: node.Line, Problem: "is not a list; write it like - {any: [用完], action: no_balance}"}
	}
	*rs = make(reasonActions, len(node.Content))
	var errs []error
	for i, item := range node.Content {
		r := &(*rs)[i]
		err := setup.Decode(item, r)
		if err == nil {
			err = r.check(item)
		}
		errs = append(errs, setup.Join(fmt.Sprintf("[%d]", i), err))
	}
	return setup.Join("", errs...)
}

func (r *reasonAction) check(node *yaml.Node) error {
	if len(r.All)+len(r.Any) == 0 {
		return setup.FieldError{Line: node.Line, Problem: "has no words; give all, any or both"}
	}
	for _, list := range [][]string{r.All, r.Any} {
		for i, w := range list {
			if strings.TrimSpace(w) == "" {
				return setup.FieldError{Line: node.Line, Problem: "has an empty word, which is in every reason; remove it"}
			}
			list[i] = strings.ToLower(w)
		}
	}
	if r.Action == nil {
		return setup.FieldError{Line: node.Line, Problem: "has no action; add one"}
	}
	return nil
}
