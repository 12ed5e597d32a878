package nxcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// level is how much is asked about a number, and paid for it. The newest document
// has 1 and 5 only; an account of its generation answers 207 to 4.
type level int

// The levels that any generation documents.
const (
	levelBasic level = 1 // country, type, operator
	levelCall  level = 4 // a call is placed
	levelHLR   level = 5 // the home network is asked
)

// optionLevel is the one option that a job or route may set.
const optionLevel = "check_level"

var errLevel = errors.New("check_level must be 1 (basic), 4 (call) or 5 (HLR)")

func levelOf(v int64) (level, error) {
	switch l := level(v); l {
	case levelBasic, levelCall, levelHLR:
		return l, nil
	}
	return 0, errLevel
}

// UnmarshalYAML reads the level for jobs that choose none.
func (l *level) UnmarshalYAML(node *yaml.Node) error {
	v, err := strconv.ParseInt(node.Value, 10, 64)
	if err == nil {
		*l, err = levelOf(v)
	}
	if err != nil {
		return setup.FieldError{Line: node.Line, Problem: "is none of 1 (basic), 4 (call), 5 (HLR)"}
	}
	return nil
}

// chosenLevel is the level that opts ask for, or the configured one.
func (p *Provider) chosenLevel(opts providers.Options) (level, error) {
	v, ok := opts[optionLevel]
	if !ok {
		return p.settings.CheckLevel, nil
	}
	n, ok := integer(v)
	if !ok {
		return 0, errLevel
	}
	return levelOf(n)
}

// integer is v if it is a whole number, in any of the forms in which decoders
// leave one.
func integer(v any) (int64, bool) {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	switch r := reflect.ValueOf(v); {
	case r.IsValid() && r.CanInt():
		return r.Int(), true
	case r.IsValid() && r.CanFloat():
		f := r.Float()
		return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	return 0, false
}

// ValidateOptions says what is wrong with opts.
func (p *Provider) ValidateOptions(opts providers.Options) error {
	for _, name := range slices.Sorted(maps.Keys(opts)) {
		if name != optionLevel {
			return fmt.Errorf("%.40q is no option of nxcloud; it takes %s", name, optionLevel)
		}
	}
	_, err := p.chosenLevel(opts)
	return err
}
