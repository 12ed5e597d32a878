package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// maxKeys is how many different keys a sample may show before the rest is ignored.
const maxKeys = 200

// jsonRecords reads one JSON object a line: which keys to look at, and the
// values found in the current line.
type jsonRecords struct {
	keys   [3][]byte // number, ref, region; nil is none
	values [3]jsonValue
}

// jsonValue is a scalar as text; kind is its first byte in JSON, 0 if absent.
type jsonValue struct {
	text []byte
	kind byte
}

// isJSON reports whether the sample begins like a JSON object or array.
func isJSON(sample []byte) bool {
	s := trim(sample[:min(len(sample), 4096)])
	return len(s) > 0 && (s[0] == '{' || s[0] == '[')
}

// openJSON finds the keys that hold number, ref and region.
func (r *Reader) openJSON(sample []byte, opt Options) error {
	if trim(sample)[0] == '[' {
		return errors.New("this is a JSON array, not NDJSON: put one object on each line (jq -c '.[]' FILE)")
	}
	r.layout.Format = formatJSON
	r.recs.raw, r.recs.term = true, '\n'
	keys, rows := sampleJSON(sample)
	if len(keys) == 0 {
		return errors.New("no line of the beginning is a JSON object")
	}
	f := &finder{opt: opt, iso: r.iso, other: otherNumbers(), first: keys, rows: rows, header: true}
	for _, k := range keys {
		f.names = append(f.names, heading(k))
	}
	f.scores = f.columnScores()
	cols, err := f.columns()
	if err != nil {
		return err
	}
	r.json = &jsonRecords{}
	for i, c := range []int{cols.number, cols.ref, cols.region} {
		if c >= 0 {
			r.json.keys[i] = keys[c]
		}
	}
	name := func(key []byte) string {
		if key == nil {
			return ""
		}
		return strconv.Quote(string(key))
	}
	r.layout.Number, r.layout.Ref, r.layout.Region = name(r.json.keys[0]), name(r.json.keys[1]), name(r.json.keys[2])
	return nil
}

// sampleJSON makes a table of the scalar values of the sample's objects.
func sampleJSON(sample []byte) (keys [][]byte, rows [][][]byte) {
	for line := range bytes.Lines(sample) {
		if len(rows) >= sampleRows {
			break
		}
		if !json.Valid(line) {
			continue
		}
		var row [][]byte
		scanObject(line, func(key []byte, v jsonValue) {
			i := slices.IndexFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
			if i < 0 && len(keys) < maxKeys {
				i = len(keys)
				keys = append(keys, bytes.Clone(key))
			}
			if i >= 0 {
				row = append(row, make([][]byte, max(0, i+1-len(row)))...)
				row[i] = bytes.Clone(v.text)
			}
		})
		rows = append(rows, row)
	}
	return keys, rows
}

// nextJSON is Next for NDJSON.
func (r *Reader) nextJSON(row *Row) error {
	for {
		rec, err := r.recs.next(1)
		if err != nil {
			return err
		}
		if rec.blank {
			continue
		}
		*row = Row{Line: rec.line, Text: rec.text, Problem: rec.problem}
		if row.Problem == "" {
			r.fillJSON(row, rec.text)
		}
		return nil
	}
}

// fillJSON takes the row's values out of one line.
func (r *Reader) fillJSON(row *Row, line []byte) {
	line = bytes.TrimPrefix(line, []byte("\ufeff"))
	if !json.Valid(line) {
		row.Problem = "not JSON"
		return
	}
	j := r.json
	j.values = [3]jsonValue{}
	isObject := scanObject(line, func(key []byte, v jsonValue) {
		for i, k := range j.keys {
			if k != nil && bytes.Equal(k, key) {
				j.values[i] = v
			}
		}
	})
	if !isObject {
		row.Problem = "not a JSON object"
		return
	}
	number, ref := j.values[0], j.values[1]
	row.Region = r.iso.of(j.values[2].text)
	if text := trim(ref.text); len(text) > 0 {
		row.RefInt = isInteger(ref)
		row.Ref, r.ref = repair(text, r.ref)
	}
	switch number.kind {
	case 0:
		row.Problem = "the object has no key " + strconv.Quote(string(j.keys[0]))
		return
	case '{', '[', 't', 'f':
		row.Problem = strconv.Quote(string(j.keys[0])) + " is neither text nor a number"
		return
	}
	row.Number, r.valid = repair(trim(number.text), r.valid)
	row.Problem = judge(row.Number, row.Ref)
}

// isInteger reports whether v is a JSON number without fraction and exponent.
func isInteger(v jsonValue) bool {
	if v.kind != '-' && (v.kind < '0' || v.kind > '9') {
		return false
	}
	return !bytes.ContainsAny(v.text, ".eE")
}

// scanObject visits the members of the JSON object in line, which must be valid
// JSON; it reports whether it is an object. What visit gets is valid until the
// line changes. Of a key that stands twice the last counts, as everywhere.
func scanObject(line []byte, visit func(key []byte, v jsonValue)) bool {
	i := skipBlank(line, 0)
	if i >= len(line) || line[i] != '{' {
		return false
	}
	for i = skipBlank(line, i+1); i < len(line) && line[i] == '"'; {
		end := skipString(line, i)
		key := unquote(line[i:end])
		i = skipBlank(line, skipBlank(line, end)+1) // the colon
		end = skipValue(line, i)
		v := jsonValue{kind: line[i]}
		switch line[i] {
		case '"':
			v.text = unquote(line[i:end])
		case '{', '[', 't', 'f':
		case 'n':
			v.kind = '"' // null is an empty value
		default:
			v.text = line[i:end]
		}
		visit(key, v)
		if i = skipBlank(line, end); i < len(line) && line[i] == ',' {
			i = skipBlank(line, i+1)
		}
	}
	return true
}

func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipString returns the index behind the string that starts at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(b))
}

// skipValue returns the index behind the value that starts at b[i].
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// unquote decodes a JSON string; without escapes it is a part of b.
func unquote(b []byte) []byte {
	inner := b[1 : len(b)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return inner
	}
	return []byte(s)
}
