package setup

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads the mapping node into dst, a pointer to a struct with yaml tags.
// It is strict: a name that dst does not have, a name given twice and a value of
// the wrong type are FieldErrors, all of them reported. A nil or empty node leaves dst
// as it is, so that defaults are set before.
func Decode(node *yaml.Node, dst any) error {
	node = resolve(node)
	if node == nil {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return FieldErrors{{Line: node.Line, Problem: "is not a mapping; write `name: value` below it"}}
	}
	fields := fieldsOf(dst)
	seen := make(map[string]int, len(node.Content)/2)
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if at := seen[key.Value]; at > 0 {
			errs = append(errs, FieldError{Line: key.Line, Path: key.Value, Problem: fmt.Sprintf("is already set in line %d; remove one", at)})
			continue
		}
		seen[key.Value] = key.Line
		field, ok := fields[key.Value]
		if !ok {
			errs = append(errs, FieldError{Line: key.Line, Path: key.Value, Problem: "is no setting of this type; known are " + known(fields)})
			continue
		}
		errs = append(errs, Join(key.Value, decodeValue(value, field.Addr().Interface())))
	}
	return Join("", errs...)
}

// resolve follows aliases and documents to the node that has the value.
func resolve(node *yaml.Node) *yaml.Node {
	for node != nil {
		switch {
		case node.Kind == yaml.AliasNode:
			node = node.Alias
		case node.Kind == yaml.DocumentNode && len(node.Content) == 1:
			node = node.Content[0]
		case node.IsZero() || node.Tag == "!!null":
			return nil
		default:
			return node
		}
	}
	return nil
}

// decodeValue turns yaml's own errors, whose text starts with a line, into FieldErrors.
func decodeValue(node *yaml.Node, dst any) error {
	err := node.Decode(dst)
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		return err
	}
	var all FieldErrors
	for _, text := range types.Errors {
		f := FieldError{Line: node.Line, Problem: text}
		var line int
		if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
			_, text, _ = strings.Cut(text, ": ")
			f = FieldError{Line: line, Problem: text}
		}
		all = append(all, f)
	}
	return all
}

// fieldsOf lists the fields of the struct behind dst by their yaml names.
func fieldsOf(dst any) map[string]reflect.Value {
	v := reflect.ValueOf(dst).Elem()
	fields := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = v.Field(i)
		}
	}
	return fields
}

func known(fields map[string]reflect.Value) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
