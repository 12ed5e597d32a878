package telnyx

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
)

const (
	minDigits, maxDigits = 7, 15
	// maxWord cuts a name that is no such thing.
	maxWord = 256
)

// text is a JSON string or number as text. Anything else but null is odd: a value
// of a senseless type, which must not pass for "none".
type text struct {
	s   string
	odd bool
}

// UnmarshalJSON never fails on valid JSON.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = text{}
	switch {
	case string(b) == "null":
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		t.s = strings.TrimSpace(s)
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		t.s = string(b)
	default:
		t.odd = true
	}
	return nil
}

// word is the text, if it is no longer than a word may be.
func (t text) word() string {
	if len(t.s) <= maxWord {
		return t.s
	}
	return strings.ToValidUTF8(t.s[:maxWord], "")
}

// digits is a phone number without its '+', which Telnyx leaves out in places; ""
// if the text is none.
func (t text) digits() string {
	if s := strings.TrimPrefix(t.s, "+"); isE164("+" + s) {
		return s
	}
	return ""
}

// status is a state's name as the documents have them ("foc-date-confirmed",
// "Activate RDY"); whatever has another form is left out.
func (t text) status() string {
	if t.s == "" || len(t.s) > 40 || !letter(t.s[0]) {
		return ""
	}
	for i := range len(t.s) {
		if c := t.s[i]; !letter(c) && c != ' ' && c != '-' && c != '_' {
			return ""
		}
	}
	return t.s
}

// code is the code of an exception (OSP_IRRESPONSIVE), "" if it has another form.
func (t text) code() string {
	if t.s == "" || len(t.s) > 64 || strings.Trim(t.s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return ""
	}
	return t.s
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// time reads the forms in which Telnyx writes times: RFC 3339, a date, and the
// digits of the older lookup API. It is zero if there is none.
func (t text) time() time.Time {
	for _, form := range [...]string{time.RFC3339, time.DateOnly, "2006-01-02T15:04:05", time.DateTime, "20060102150405", "20060102"} {
		if v, err := time.Parse(form, t.s); err == nil && v.Year() >= 1970 {
			return v.UTC()
		}
	}
	return time.Time{}
}

// flag is true or false, also in quotes.
type flag struct{ providers.Tri }

// UnmarshalJSON never fails; what is neither is Unknown.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.Trim(string(b), `"`) {
	case "true":
		f.Tri = providers.Yes
	case "false":
		f.Tri = providers.No
	default:
		f.Tri = providers.Unknown
	}
	return nil
}

// count is a number of things; known is false if the reply does not say it.
type count struct {
	n     int
	known bool
}

// UnmarshalJSON never fails on valid JSON.
func (c *count) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*c = count{n: n, known: err == nil && n >= 0}
	return nil
}

// page is a list as Telnyx sends it.
type page struct {
	data []json.RawMessage
	// pages and results are how many there are in all.
	pages, results count
}

// readList reads {"data":[…],"meta":{…}}; false if there is no list in body.
func readList(body []byte) (page, bool) {
	var envelope struct {
		Data []json.RawMessage `json:"data"`
		Meta json.RawMessage   `json:"meta"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Data == nil {
		return page{}, false
	}
	var meta struct {
		TotalPages   count `json:"total_pages"`
		TotalResults count `json:"total_results"`
	}
	// A meta of another type only leaves open how much there is.
	_ = json.Unmarshal(envelope.Meta, &meta)
	return page{data: envelope.Data, pages: meta.TotalPages, results: meta.TotalResults}, true
}

// readObject reads {"data":{…}}; false if there is no object in body.
func readObject(body []byte) (json.RawMessage, bool) {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || len(envelope.Data) == 0 || envelope.Data[0] != '{' {
		return nil, false
	}
	return envelope.Data, true
}
