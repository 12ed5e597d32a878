package jobs

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Shared is what all items of a job have in common, as it stands in the JSON;
// empty fields are left out.
type Shared struct {
	Region, Callback, MaxAge, ExpiresAt string
}

// Draft collects the items of a job that is not published yet. The zero value is
// empty. It belongs to one goroutine.
type Draft struct {
	items []byte
	n     int
}

// Len is the number of items, Size about the length of the job's JSON.
func (d *Draft) Len() int { return d.n }

// Size is about how long the job will be, in bytes.
func (d *Draft) Size() int { return len(d.items) + 256 }

// Add appends an item. number and ref (nil: none) must be valid UTF-8; a ref is
// written as a JSON integer if refInt says that it is one.
func (d *Draft) Add(number, ref []byte, refInt bool) {
	if d.n > 0 {
		d.items = append(d.items, ',')
	}
	d.n++
	d.items = append(d.items, `{"number":`...)
	d.items = appendString(d.items, number)
	switch {
	case ref == nil:
	case refInt:
		d.items = append(append(d.items, `,"ref":`...), ref...)
	default:
		d.items = appendString(append(d.items, `,"ref":`...), ref)
	}
	d.items = append(d.items, '}')
}

// Cut returns the job's body and empties d.
func (d *Draft) Cut(id string, s Shared) []byte {
	b := make([]byte, 0, len(d.items)+len(id)+len(s.Region)+len(s.Callback)+128)
	b = appendString(append(b, `{"id":`...), []byte(id))
	b = append(append(append(b, `,"items":[`...), d.items...), ']')
	if s.Region != "" {
		b = appendString(append(b, `,"region":`...), []byte(s.Region))
	}
	if s.Callback != "" {
		b = append(appendString(append(b, `,"callback":{"url":`...), []byte(s.Callback)), '}')
	}
	if s.MaxAge != "" {
		b = appendString(append(b, `,"max_age":`...), []byte(s.MaxAge))
	}
	if s.ExpiresAt != "" {
		b = appendString(append(b, `,"expires_at":`...), []byte(s.ExpiresAt))
	}
	d.items, d.n = d.items[:0], 0
	return append(b, '}')
}

// appendString appends s as a JSON string.
func appendString(dst, s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendQuoted(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendQuoted is appendString for text that needs a closer look.
func appendQuoted(dst, s []byte) []byte {
	b, err := json.Marshal(string(s))
	if err != nil { // not possible for a string
		return strconv.AppendQuote(dst, string(s))
	}
	return append(dst, b...)
}
