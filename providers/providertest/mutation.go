package providertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mutation is a body in which one value is of another type.
type mutation struct {
	what string
	body []byte
	// entry is in which entry of the list it is, -1 if outside of all.
	entry int
	// none: the value is now null, or a list or object is now empty and the other
	// of the two, which some upstreams write for "none".
	none bool
}

// mutations replaces each value of body, one at a time, by values of every other
// type. entries is where its list of entries is, nil if it has none.
func mutations(body []byte, entries *string) ([]mutation, error) {
	var root any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	var list []string
	if entries != nil {
		list = pointer(*entries)
	}
	var all []mutation
	var failed error
	visit(root, nil, func(path []string, value any, set func(any)) {
		for _, other := range []any{json.Number("7"), "x", true, nil, []any{}, map[string]any{}, []any{[]any{}}} {
			if sameType(value, other) {
				continue
			}
			set(other)
			m := mutation{what: fmt.Sprintf("/%s = %v", strings.Join(path, "/"), other), entry: -1, none: none(value, other)}
			if entries != nil && len(path) > len(list) && slices.Equal(path[:len(list)], list) {
				_, failed = fmt.Sscan(path[len(list)], &m.entry)
			}
			if len(path) == 0 {
				m.body, _ = json.Marshal(other)
			} else {
				m.body, _ = json.Marshal(root)
			}
			set(value)
			all = append(all, m)
		}
	})
	return all, failed
}

// none reports whether other may be another way to write that there is no value.
func none(value, other any) bool {
	switch other := other.(type) {
	case nil:
		return true
	case []any:
		_, was := value.(map[string]any)
		return was && len(other) == 0
	case map[string]any:
		_, was := value.([]any)
		return was && len(other) == 0
	}
	return false
}

// visit calls f for each value in v, with the way to it and a way to replace it.
func visit(v any, path []string, f func(path []string, value any, set func(any))) {
	if len(path) == 0 {
		f(nil, v, func(any) {})
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			at := slices.Concat(path, []string{name})
			f(at, value, func(other any) { v[name] = other })
			visit(value, at, f)
		}
	case []any:
		for i, value := range v {
			at := slices.Concat(path, []string{strconv.Itoa(i)})
			f(at, value, func(other any) { v[i] = other })
			visit(value, at, f)
		}
	}
}

func sameType(a, b any) bool { return fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) }
