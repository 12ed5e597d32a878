package telnyx

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// operation is what is asked of a number; the package comment describes each.
type operation string

// The operations, by the names that options and settings use.
const (
	opPortability operation = "portability"
	opLookup      operation = "number_lookup"
	opPorting     operation = "porting_status"
)

// optionOperation is the one option there is.
const optionOperation = "operation"

func operations() []operation { return []operation{opPortability, opLookup, opPorting} }

// named returns the operation of that name, or an error that lists them all.
func named(name string) (operation, error) {
	all := operations()
	if op := operation(name); slices.Contains(all, op) {
		return op, nil
	}
	names := make([]string, len(all))
	for i, op := range all {
		names[i] = string(op)
	}
	return "", fmt.Errorf("%.40q is no operation of Telnyx; use one of %s", name, strings.Join(names, ", "))
}

// operationOf is the operation that opts ask for, the configured one if they do not.
func (p *Provider) operationOf(opts providers.Options) (operation, error) {
	v, ok := opts[optionOperation]
	if !ok {
		return p.settings.Operation, nil
	}
	name, ok := v.(string)
	if !ok {
		name = fmt.Sprint(v)
	}
	op, err := named(name)
	if err != nil {
		return "", fmt.Errorf("option %s: %w", optionOperation, err)
	}
	return op, nil
}

func errUnknownOption(name string) error {
	return fmt.Errorf("option %.40q: Telnyx knows no such option, only %s", name, optionOperation)
}

// UnmarshalYAML reads an operation by its name.
func (o *operation) UnmarshalYAML(node *yaml.Node) error {
	op, err := named(node.Value)
	if err != nil {
		return setup.FieldError{Line: node.Line, Problem: err.Error()}
	}
	*o = op
	return nil
}
