package nxcloud

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// maxCode bounds a code, so that no phone number passes for one.
const maxCode = 99999

// object is a JSON object of a reply, its values unread: three generations of the
// document disagree about their types.
type object map[string]json.RawMessage

// readObject is false for anything but an object.
func readObject(raw []byte) (object, bool) {
	var o object
	if len(bytes.TrimSpace(raw)) == 0 || json.Unmarshal(raw, &o) != nil || o == nil {
		return nil, false
	}
	return o, true
}

// field is the first of names that o has, and whether its value is anything.
func (o object) field(names ...string) (json.RawMessage, bool) {
	for _, name := range names {
		if raw, ok := o[name]; ok && string(raw) != "null" {
			return raw, true
		}
	}
	return nil, false
}

// text is the first of names that has one: a string's content without blanks
// around it, a number as written. wrong says that there was only a value of a
// senseless type.
func (o object) text(names ...string) (text string, wrong bool) {
	for _, name := range names {
		raw, ok := o.field(name)
		if !ok {
			continue
		}
		s, ok := scalar(raw)
		if ok && s != "" {
			return s, false
		}
		wrong = wrong || !ok
	}
	return "", wrong
}

// word is text without more.
func (o object) word(names ...string) string {
	s, _ := o.text(names...)
	return s
}

func scalar(raw json.RawMessage) (string, bool) {
	switch c := raw[0]; {
	case c == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return strings.TrimSpace(s), err == nil
	case c == '-' || c >= '0' && c <= '9':
		return string(raw), true
	}
	return "", false
}

// int is a whole number, also in a string.
func (o object) int(names ...string) (int, bool) {
	n, err := strconv.Atoi(o.word(names...))
	return n, err == nil
}

// code is the object's code; false if there is none, or it cannot be one.
func (o object) code() (int, bool) {
	code, ok := o.int("code")
	if !ok || code < -maxCode || code > maxCode {
		return 0, false
	}
	return code, true
}

// nested is the object under name, an empty one if there is none; false if
// something else stands there.
func (o object) nested(name string) (object, bool) {
	raw, ok := o.field(name)
	if !ok {
		return object{}, true
	}
	return readObject(raw)
}

// list is the list under name, nil if there is none; false if something else
// stands there.
func (o object) list(name string) ([]json.RawMessage, bool) {
	raw, ok := o.field(name)
	if !ok {
		return nil, true
	}
	var list []json.RawMessage
	return list, json.Unmarshal(raw, &list) == nil
}

// words are what o says in words. The message is called msg or message by the
// generation.
func (o object) words() string { return o.word("message", "msg") }

// digits is a phone number without what may stand around its digits; false if it
// cannot be one.
func digits(phone string) (string, bool) {
	phone = strings.TrimPrefix(strings.TrimPrefix(phone, "+"), "00")
	return phone, isDigits(phone) && len(phone) >= 4 && len(phone) <= 15 // E.164
}
