package portcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/setup"
)

// fields say where things are in a reply.
type fields struct {
	Code     path `yaml:"code"`
	Message  path `yaml:"message"`
	Data     path `yaml:"data"`
	Transfer path `yaml:"transfer"`
	Original path `yaml:"original"`
	Current  path `yaml:"current"`
	Number   path `yaml:"number"`
	Area     path `yaml:"area"`
	Province path `yaml:"province"`
	City     path `yaml:"city"`
	LineType path `yaml:"line_type"`
	MCC      path `yaml:"mcc"`
	MNC      path `yaml:"mnc"`
}

// UnmarshalYAML is strict, and keeps the defaults of what is not named.
func (f *fields) UnmarshalYAML(node *yaml.Node) error {
	type plain fields // or Decode would come back here
	return setup.Decode(node, (*plain)(f))
}

// check: without a word for porting or both operators there is nothing to ask for.
func (f *fields) check() error {
	if f.Transfer == "" && (f.Original == "" || f.Current == "") {
		return setup.FieldError{Path: "fields", Problem: "names neither transfer nor both of original and current; one of them is what the product is asked for"}
	}
	return nil
}

// path is the way to a value in a reply: names and list indexes with dots.
type path string

// UnmarshalYAML reads "data.0.transfer".
func (p *path) UnmarshalYAML(node *yaml.Node) error {
	var text string
	if err := node.Decode(&text); err != nil {
		return setup.FieldError{Line: node.Line, Problem: "is no path; write it like data.transfer"}
	}
	text = strings.TrimSpace(text)
	if strings.Contains("."+text+".", "..") && text != "" {
		return setup.FieldError{Line: node.Line, Problem: "has an empty name between its dots; write it like data.transfer"}
	}
	*p = path(text)
	return nil
}

// find is the value at p in v; false if there is none. The path "" is v itself.
func (p path) find(v any) (any, bool) {
	if p == "" {
		return v, true
	}
	for name := range strings.SplitSeq(string(p), ".") {
		switch at := v.(type) {
		case map[string]any:
			inner, ok := at[name]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// raw is the value at p in body as it stands there; nil if there is none.
func (p path) raw(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if p == "" {
		return body
	}
	for name := range strings.SplitSeq(string(p), ".") {
		if len(body) > 0 && body[0] == '[' {
			var list []json.RawMessage
			i, err := strconv.Atoi(name)
			if json.Unmarshal(body, &list) != nil || err != nil || i < 0 || i >= len(list) {
				return nil
			}
			body = list[i]
			continue
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil {
			return nil
		}
		body = object[name]
	}
	return body
}

// decode reads a reply, which has to be an object or a list; numbers keep their
// digits.
func decode(body []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var root any
	if d.Decode(&root) != nil {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false // More would not see a bracket too many
	}
	switch root.(type) {
	case map[string]any, []any:
		return root, true
	}
	return nil, false
}

// scalar is the text of a value that stands alone; null is "". It is false for
// lists and objects.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return normal.Word(strings.TrimSpace(v)), true
	case json.Number:
		return normal.Word(v.String()), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// nothing reports whether a value is an upstream's way to write that there is none.
func nothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
