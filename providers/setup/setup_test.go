package setup_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/setup"
)

type inner struct {
	Depth int `yaml:"depth"`
}

// UnmarshalYAML is strict below the top, too.
func (i *inner) UnmarshalYAML(node *yaml.Node) error {
	type plain inner // or Decode would come back here
	return setup.Decode(node, (*plain)(i))
}

type example struct {
	Name    string        `yaml:"name"`
	Count   int           `yaml:"count"`
	Every   time.Duration `yaml:"every"`
	Inner   inner         `yaml:"inner"`
	Ignored string        `yaml:"-"`
}

func decode(t *testing.T, text string) (example, error) {
	t.Helper()
	var doc struct {
		Settings yaml.Node `yaml:"settings"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	e := example{Name: "default", Count: 1}
	err := setup.Join("settings", setup.Decode(&doc.Settings, &e))
	return e, err
}

func TestDecode(t *testing.T) {
	t.Parallel()
	def := example{Name: "default", Count: 1}
	for text, want := range map[string]example{
		"x: 1":                           def, // no settings at all
		"settings:":                      def,
		"settings: ~":                    def,
		"settings: {}":                   def,
		"settings: {name: ~}":            def,
		"settings: {count: 7}":           {Name: "default", Count: 7},
		"settings: {every: 3s}":          {Name: "default", Count: 1, Every: 3 * time.Second},
		"settings: {inner: {depth: 2}}":  {Name: "default", Count: 1, Inner: inner{Depth: 2}},
		"a: &a {count: 3}\nsettings: *a": {Name: "default", Count: 3},
	} {
		got, err := decode(t, text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestDecodeReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := decode(t, "settings:\n  nme: x\n  count: many\n  inner:\n    depht: 1\n    depth: [1]\n  count: 2\n  Ignored: x\n")
	all, ok := errors.AsType[setup.FieldErrors](err)
	require.True(t, ok)
	require.Equal(t, []string{
		"settings.nme (line 2): is no setting of this type; known are count, every, inner, name",
		"settings.count (line 3): cannot unmarshal !!str `many` into int",
		"settings.inner.depht (line 5): is no setting of this type; known are depth",
		"settings.inner.depth (line 6): cannot unmarshal !!seq into int",
		"settings.count (line 7): is already set in line 3; remove one",
		"settings.Ignored (line 8): is no setting of this type; known are count, every, inner, name",
	}, texts(all))
	_, err = decode(t, "settings: [x]")
	require.EqualError(t, err, "settings (line 1): is not a mapping; write `name: value` below it")
	err = setup.Decode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Value: "x", Line: 1}, {}}}, &struct{}{})
	require.ErrorContains(t, err, "known are none")
}

func texts(all setup.FieldErrors) []string {
	out := make([]string, len(all))
	for i, e := range all {
		out[i] = e.Error()
	}
	return out
}

func TestJoin(t *testing.T) {
	t.Parallel()
	require.NoError(t, setup.Join("a", nil, nil))
	err := setup.Join("a", nil,
		fmt.Errorf("wrapped: %w", setup.FieldError{Path: "b", Line: 3, Problem: "p"}),
		setup.FieldErrors{{Path: "[2]", Problem: "q"}, {Problem: "r"}}, errors.New("s"))
	require.EqualError(t, err, "a.b (line 3): p\na[2]: q\na: r\na: s")
	require.EqualError(t, setup.FieldError{Line: 4, Problem: "p"}, "(line 4): p")
	require.EqualError(t, setup.FieldError{Problem: "p"}, "p")
}
