package providertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// entry is what a reply says of one number, as it stands there.
type entry = json.RawMessage

// entries is the recorded list of the numbers' entries.
func (c *Case) entries() ([]entry, error) {
	at, err := valueAt(c.answer().Body, pointer(*c.answer().Entries))
	if err != nil {
		return nil, fmt.Errorf("%s: entries: %w", c.file, err)
	}
	var list []entry
	if err := json.Unmarshal(at, &list); err != nil {
		return nil, fmt.Errorf("%s: entries points at no list: %w", c.file, err)
	}
	return list, nil
}

// valueAt is the value at path in body, nil if there is none.
func valueAt(body json.RawMessage, path []string) (json.RawMessage, error) {
	for _, name := range path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return nil, err
		}
		body = fields[name]
	}
	return body, nil
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
	return replaceAt(c.answer().Body, pointer(*c.answer().Entries), inner)
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
