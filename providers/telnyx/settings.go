package telnyx

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/internal/dur"
	"github.com/lookupq/lookupq/providers/setup"
)

// settings are what the type takes under `settings:`; the package comment
// documents them.
type settings struct {
	Operation   operation `yaml:"operation"`
	ReadTimeout age       `yaml:"read_timeout"`
	Direct      int       `yaml:"porting_direct"`
	MaxAge      age       `yaml:"porting_max_age"`
	MaxNumbers  int       `yaml:"porting_max_numbers"`
	PageSize    int       `yaml:"porting_page_size"`
}

const (
	// maxDirect: each of them is a call of its own.
	maxDirect = 20
	// mostNumbers bounds the memory of a list to some hundred megabytes.
	mostNumbers = 5_000_000
	// mostPageSize is no document's: what the server does not want it cuts.
	mostPageSize = 1000
)

func readSettings(node *yaml.Node) (settings, error) {
	s := settings{
		Operation: opPortability, ReadTimeout: age(10 * time.Second),
		Direct: 3, MaxAge: age(5 * time.Minute), MaxNumbers: 200_000, PageSize: 100,
	}
	err := setup.Decode(node, &s)
	return s, setup.Join("settings", err,
		within(node, "porting_direct", s.Direct, 0, maxDirect),
		within(node, "porting_max_numbers", s.MaxNumbers, 1, mostNumbers),
		within(node, "porting_page_size", s.PageSize, 1, mostPageSize),
	)
}

// within checks an integer setting and finds its line.
func within(node *yaml.Node, name string, value, low, high int) error {
	if value >= low && value <= high {
		return nil
	}
	return setup.FieldError{Line: lineOf(node, name), Path: name, Problem: fmt.Sprintf("%d is not between %d and %d", value, low, high)}
}

// lineOf is where a setting stands, 0 if that cannot be told.
func lineOf(node *yaml.Node, name string) int {
	for node != nil && (node.Kind == yaml.AliasNode || node.Kind == yaml.DocumentNode) {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
			continue
		}
		if len(node.Content) == 0 {
			return 0
		}
		node = node.Content[0]
	}
	for i := 0; node != nil && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1].Line
		}
	}
	return 0
}

// age is a duration of the contract above zero: "5m", "1h".
type age time.Duration

// UnmarshalYAML reads it.
func (a *age) UnmarshalYAML(node *yaml.Node) error {
	d, err := dur.Parse(node.Value)
	switch {
	case err != nil:
		return setup.FieldError{Line: node.Line, Problem: err.Error()}
	case d <= 0:
		return setup.FieldError{Line: node.Line, Problem: "must be above 0"}
	}
	*a = age(d)
	return nil
}
