package providertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// entry is what a reply says of one number, as it stands there.
type entry = json.RawMessage

// entries is the recorded list of the numbers' entries.
func (c *Case) entries() ([]entry, error) {
	at := c.Response.Body
	for _, name := range pointer(*c.Response.Entries) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(at, &fields); err != nil {
			return nil, fmt.Errorf("%s: response.entries: %w", c.file, err)
		}
		at = fields[name]
	}
	var list []entry
	if err := json.Unmarshal(at, &list); err != nil {
		return nil, fmt.Errorf("%s: response.entries points at no list: %w", c.file, err)
	}
	return list, nil
}

// entriesByNumber is entries in the order of the numbers that were asked.
func (c *Case) entriesByNumber() ([]entry, error) {
	list, err := c.entries()
	if err != nil {
		return nil, err
	}
	sorted := make([]entry, 0, len(c.numbers))
	for _, n := range c.numbers {
		for _, e := range list {
			if bytes.Contains(e, []byte(n.National)) {
				sorted = append(sorted, e)
				break
			}
		}
	}
	if len(sorted) != len(c.numbers) || len(list) != len(sorted) {
		return nil, fmt.Errorf("%s: every number needs one entry in the response", c.file)
	}
	return sorted, nil
}

// withEntries is the recorded body with another list.
func (c *Case) withEntries(list []entry) ([]byte, error) {
	if list == nil {
		list = []entry{}
	}
	inner, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return replaceAt(c.Response.Body, pointer(*c.Response.Entries), inner)
}

func replaceAt(body json.RawMessage, path []string, with json.RawMessage) ([]byte, error) {
	if len(path) == 0 {
		return with, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	inner, err := replaceAt(fields[path[0]], path[1:], with)
	if err != nil {
		return nil, err
	}
	fields[path[0]] = inner
	return json.Marshal(fields)
}

func pointer(p string) []string {
	if p == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(p, "/"), "/")
}

// renumber makes an entry speak of another number.
func renumber(e entry, from, to string) entry {
	return bytes.ReplaceAll(e, []byte(from), []byte(to))
}

// mutation is a body in which one value is of another type.
type mutation struct {
	what string
	body []byte
	// entry is in which entry of the list it is, -1 if outside of all.
	entry int
	// null: the value is now null, which some upstreams write for "none".
	null bool
}

// mutations replaces each value of the recorded body, one at a time, by values of
// every other type.
func (c *Case) mutations() ([]mutation, error) {
	var root any
	d := json.NewDecoder(bytes.NewReader(c.Response.Body))
	d.UseNumber()
	if err := d.Decode(&root); err != nil {
		return nil, fmt.Errorf("%s: %w", c.file, err)
	}
	var list []string
	if c.Response.Entries != nil {
		list = pointer(*c.Response.Entries)
	}
	var all []mutation
	var failed error
	visit(root, nil, func(path []string, value any, set func(any)) {
		for _, other := range []any{json.Number("7"), "x", true, nil, []any{}, map[string]any{}, []any{[]any{}}} {
			if sameType(value, other) {
				continue
			}
			set(other)
			m := mutation{what: fmt.Sprintf("/%s = %v", strings.Join(path, "/"), other), entry: -1, null: other == nil}
			if c.Response.Entries != nil && len(path) > len(list) {
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
