package input

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

const (
	// sampleSize is how far the layout is looked for.
	sampleSize = 256 << 10
	// maxRecord bounds a record and with it the memory of a reader.
	maxRecord = 1 << 20
	// keptText is how much of a longer record is shown.
	keptText = 256
)

const problemLong = "the line is longer than 1 MiB"

// record is one line, or several where a quoted field holds line ends.
type record struct {
	fields  [][]byte
	text    []byte // without the line end
	line    int64
	blank   bool
	problem string
}

// records cuts a stream into records and fields. Fields are as RFC 4180 says;
// a line that breaks its rules (a quote never closed, text after a closing quote)
// is cut at its delimiters with the quotes taken literally, so that one damaged
// line never swallows others.
type records struct {
	src        io.Reader
	buf        []byte
	start, end int
	eof        bool
	delim      byte // 0: the whole line is one field
	term       byte // '\n', or '\r' in files of old
	raw        bool // quotes mean nothing: NDJSON
	line       int64
	// hopeless is how many bytes from start are known to hold no closing quote.
	hopeless int
	fields   [][]byte
	scratch  []byte // unescaped quoted fields of the current record
}

func newRecords(src io.Reader) *records {
	return &records{src: src, buf: make([]byte, sampleSize), term: '\n', line: 1}
}

// peek returns the first n bytes without consuming them; less only at the end.
func (r *records) peek(n int) ([]byte, error) {
	for r.end-r.start < n && !r.eof {
		if err := r.more(); err != nil {
			return nil, err
		}
	}
	return r.buf[r.start:min(r.end, r.start+n)], nil
}

// more reads on; it moves the unread rest to the front of the buffer and lets the
// buffer grow up to maxRecord.
func (r *records) more() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.buf = slices.Grow(r.buf, len(r.buf))
		r.buf = r.buf[:min(cap(r.buf), maxRecord)]
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if errors.Is(err, io.EOF) {
			r.eof = true
			return nil
		}
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// next returns the next record with its first want fields (all, if a field is
// quoted), or io.EOF. The record is valid until the next call.
func (r *records) next(want int) (record, error) {
	for {
		data := r.buf[r.start:r.end]
		if i := bytes.IndexByte(data, r.term); i >= 0 {
			if rec, ok := r.cut(data, i, want); ok {
				return rec, nil
			}
		} else if r.eof {
			if len(data) == 0 {
				return record{}, io.EOF
			}
			rec, _ := r.cut(data, len(data), want)
			return rec, nil
		} else if len(data) >= maxRecord {
			return r.skipLong()
		}
		if err := r.more(); err != nil {
			return record{}, err
		}
	}
}

// cut makes a record of the line that ends at data[i]. It reports false if a
// quoted field goes on beyond data and there is more to read.
func (r *records) cut(data []byte, i, want int) (record, bool) {
	line := data[:i]
	if !r.raw && bytes.IndexByte(line, '"') >= 0 && r.hopeless < i {
		n, verdict := r.quoted(data)
		switch verdict {
		case quotedOK:
			rec := record{fields: r.fields, text: chomp(data[:n]), line: r.line}
			r.advance(data, n)
			return rec, true
		case quotedOpen:
			if !r.eof && len(data) < maxRecord {
				return record{}, false
			}
			r.hopeless = len(data)
		case quotedBroken:
		}
	}
	line = chomp(line)
	rec := record{fields: r.plain(line, want), text: line, line: r.line}
	rec.blank = r.isBlank(line)
	r.line++
	r.consume(min(i+1, len(data)))
	return rec, true
}

// isBlank reports whether a line holds nothing but blanks and delimiters, as
// spreadsheets append them.
func (r *records) isBlank(line []byte) bool {
	if len(line) > 0 && line[0] > ' ' && line[0] != r.delim && line[0] != 0xef {
		return false
	}
	if r.delim != 0 {
		line = bytes.Trim(line, string(rune(r.delim))+" \t")
	}
	return len(trim(line)) == 0
}

// advance consumes n bytes of data and counts their lines.
func (r *records) advance(data []byte, n int) {
	r.line += int64(bytes.Count(data[:n], []byte{r.term}))
	r.consume(n)
}

func (r *records) consume(n int) {
	r.start += n
	r.hopeless = max(0, r.hopeless-n)
}

// plain splits a line without regard to quotes.
func (r *records) plain(line []byte, want int) [][]byte {
	r.fields = r.fields[:0]
	if r.delim != 0 {
		for len(r.fields) < want-1 {
			i := bytes.IndexByte(line, r.delim)
			if i < 0 {
				break
			}
			r.fields = append(r.fields, line[:i])
			line = line[i+1:]
		}
		if i := bytes.IndexByte(line, r.delim); i >= 0 {
			line = line[:i]
		}
	}
	r.fields = append(r.fields, line)
	return r.fields
}

type quotedVerdict uint8

const (
	quotedOK     quotedVerdict = iota
	quotedOpen                 // a quoted field has no end in the data
	quotedBroken               // text behind a closing quote
)

// quoted splits the record at the start of data by the rules of RFC 4180 and
// returns its length with the line end.
func (r *records) quoted(data []byte) (n int, v quotedVerdict) {
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	for {
		var f []byte
		if n < len(data) && data[n] == '"' {
			var used int
			if f, used, v = r.quotedField(data[n:]); v != quotedOK {
				return 0, v
			}
			n += used
		} else {
			used := r.fieldEnd(data[n:])
			f = data[n : n+used]
			n += used
		}
		r.fields = append(r.fields, f)
		switch {
		case n >= len(data):
			return n, r.atEnd()
		case data[n] == r.term:
			last := len(r.fields) - 1
			r.fields[last] = bytes.TrimSuffix(r.fields[last], []byte{'\r'})
			return n + 1, quotedOK
		case data[n] == '\r': // before the line end; quotedField stops here
			n++
			if n >= len(data) {
				return n, r.atEnd()
			}
			if data[n] != r.term {
				return 0, quotedBroken
			}
			return n + 1, quotedOK
		}
		n++ // the delimiter
	}
}

// atEnd is the verdict on a record that the data ends in.
func (r *records) atEnd() quotedVerdict {
	if r.eof {
		return quotedOK
	}
	return quotedOpen
}

// fieldEnd is the length of the unquoted field at the start of b.
func (r *records) fieldEnd(b []byte) int {
	for i, c := range b {
		if c == r.term || c == r.delim && r.delim != 0 {
			return i
		}
	}
	return len(b)
}

// quotedField reads the quoted field at the start of b and returns its content
// and length.
func (r *records) quotedField(b []byte) (content []byte, used int, v quotedVerdict) {
	from, mark := 1, len(r.scratch)
	for {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 {
			return nil, 0, quotedOpen
		}
		end := from + i
		if end+1 < len(b) && b[end+1] == '"' { // doubled: one quote of the content
			r.scratch = append(r.scratch, b[from:end+1]...)
			from = end + 2
			continue
		}
		if end+1 == len(b) && !r.eof {
			return nil, 0, quotedOpen
		}
		if end+1 < len(b) && !r.endsField(b[end+1]) {
			return nil, 0, quotedBroken
		}
		if len(r.scratch) == mark {
			return b[from:end], end + 1, quotedOK
		}
		r.scratch = append(r.scratch, b[from:end]...)
		return r.scratch[mark:len(r.scratch):len(r.scratch)], end + 1, quotedOK
	}
}

// endsField reports whether c may follow a closing quote.
func (r *records) endsField(c byte) bool {
	return c == r.term || c == '\r' || c == r.delim && r.delim != 0
}

// skipLong consumes a line that does not fit and reports it as one record.
func (r *records) skipLong() (record, error) {
	rec := record{line: r.line, text: bytes.Clone(r.buf[r.start : r.start+keptText]), problem: problemLong}
	r.hopeless = 0
	for {
		data := r.buf[r.start:r.end]
		if i := bytes.IndexByte(data, r.term); i >= 0 {
			r.start += i + 1
			r.line++
			return rec, nil
		}
		r.start = r.end
		if r.eof {
			return rec, nil
		}
		if err := r.more(); err != nil {
			return record{}, err
		}
	}
}

// chomp removes the line end.
func chomp(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// trim removes blanks and byte order marks around a field.
func trim(b []byte) []byte {
	if len(b) > 0 && b[0] > ' ' && b[0] < 0x7f && b[len(b)-1] > ' ' && b[len(b)-1] < 0x7f {
		return b
	}
	b = bytes.TrimSpace(b)
	return bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
}

// terminator is '\r' for text that knows no '\n' (old Mac exports), else '\n'.
func terminator(sample []byte) byte {
	if bytes.IndexByte(sample, '\n') < 0 && bytes.IndexByte(sample, '\r') >= 0 {
		return '\r'
	}
	return '\n'
}
