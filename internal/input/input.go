// Package input reads phone numbers from what people export from their CRM.
// In comes a byte stream: CSV with any usual delimiter, NDJSON or plain lines,
// perhaps gzipped, in UTF-8, UTF-16, GB18030 or Windows-1252. Out goes one Row a
// record, each with a usable number or the reason why there is none. The layout
// (encoding, delimiter, header, columns) is found from the beginning of the
// stream. Memory is bounded by the longest record (1 MiB). Nothing runs in the
// background: the reader is stopped by not calling Next again, and whoever
// opened the stream closes it.
package input

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxRef is the longest ref of the contract, in bytes.
const maxRef = 256

// None as a column name switches that column off.
const None = "none"

// Options say what the reader shall not find out by itself.
type Options struct {
	// Column, RefColumn and RegionColumn name a column by its header, by its
	// JSON key, or by its position counted from 1. Empty is guessed; None turns
	// refs or regions off.
	Column, RefColumn, RegionColumn string
}

// Row is one record. Its slices are valid until the next call of Next.
type Row struct {
	// Line is the line on which the record starts, counted from 1.
	Line int64
	// Number is what stands in the number column, trimmed, in valid UTF-8.
	Number []byte
	// Ref is the record's own key, nil if it has none; RefInt marks a JSON integer.
	Ref    []byte
	RefInt bool
	// Region is the record's country (ISO 3166-1), "" if it names none.
	Region string
	// Problem says why the record has no usable number; "" if it has one.
	Problem string
	// Text is the whole record as read (cut if longer than a line may be).
	Text []byte
}

// Reader yields the rows of one stream. It is not safe for parallel use.
type Reader struct {
	layout Layout
	recs   *records
	json   *jsonRecords
	iso    *regions
	cols   columns
	valid  []byte // scratch for repaired UTF-8
	ref    []byte // likewise
}

// Open looks at the beginning of src and finds its layout. It reads up to
// 256 KiB ahead. The errors say what is wrong with the stream or the options and
// what to do.
func Open(src io.Reader, opt Options) (*Reader, error) {
	dec, layout, err := decode(src)
	if err != nil {
		return nil, err
	}
	r := &Reader{layout: layout, iso: newRegions(), recs: newRecords(dec)}
	sample, err := r.recs.peek(sampleSize)
	if err != nil {
		return nil, fmt.Errorf("reading the beginning: %w", err)
	}
	r.layout.Encoding = dec.name()
	if len(sample) == 0 {
		return nil, ErrEmpty
	}
	r.recs.term = terminator(sample)
	if isJSON(sample) {
		err = r.openJSON(sample, opt)
	} else {
		err = r.openCSV(sample, opt)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Layout tells what Open found.
func (r *Reader) Layout() Layout { return r.layout }

// Next fills row with the next record that is not blank. It returns io.EOF after
// the last, and any other error when the stream cannot be read on (a broken gzip
// file, a failing disk).
func (r *Reader) Next(row *Row) error {
	if r.json != nil {
		return r.nextJSON(row)
	}
	for {
		rec, err := r.recs.next(r.cols.last + 1)
		if err != nil {
			return err
		}
		if rec.blank {
			continue
		}
		r.fill(row, &rec)
		return nil
	}
}

// fill makes a row of a record's fields.
func (r *Reader) fill(row *Row, rec *record) {
	*row = Row{Line: rec.line, Text: rec.text}
	if rec.problem != "" {
		row.Problem = rec.problem
		return
	}
	f := rec.fields
	if r.cols.region >= 0 && r.cols.region < len(f) {
		row.Region = r.iso.of(f[r.cols.region])
	}
	if r.cols.ref >= 0 && r.cols.ref < len(f) {
		if ref := trim(f[r.cols.ref]); len(ref) > 0 {
			row.Ref, r.ref = repair(ref, r.ref)
		}
	}
	if r.cols.number >= len(f) {
		row.Problem = fmt.Sprintf("the line has only %d columns", len(f))
		return
	}
	if row.Number = f[r.cols.number]; plainNumber(row.Number) && len(row.Ref) <= maxRef {
		return
	}
	row.Number, r.valid = repair(trim(row.Number), r.valid)
	row.Problem = judge(row.Number, row.Ref)
}

// judge says why number or ref cannot be sent, "" if they can.
func judge(number, ref []byte) string {
	if p := problem(number); p != "" {
		return p
	}
	if len(ref) > maxRef {
		return "the ref is longer than 256 bytes"
	}
	return ""
}

// repair returns b if it is valid UTF-8, else a copy in scratch with U+FFFD for
// each bad sequence. It returns scratch for the next call.
func repair(b, scratch []byte) (fixed, next []byte) {
	if utf8.Valid(b) {
		return b, scratch
	}
	scratch = scratch[:0]
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		scratch = utf8.AppendRune(scratch, c)
		b = b[n:]
	}
	return scratch, scratch
}

// Layout is what Open found out about a stream.
type Layout struct {
	// Format is "csv", "ndjson" or "lines".
	Format string
	// Encoding is the character encoding's name, Gzip whether it was compressed.
	Encoding string
	Gzip     bool
	// Delimiter separates the columns of a CSV file; 0 otherwise.
	Delimiter byte
	// Header is whether the first record names the columns.
	Header bool
	// Number, Ref and Region describe the columns used: `3 "Phone"`, "" if none.
	Number, Ref, Region string
}

// String is one line for people, such as
// `CSV, ";", UTF-8, numbers from column 3 "Phone"`.
func (l Layout) String() string {
	var b strings.Builder
	switch l.Format {
	case formatCSV:
		b.WriteString("CSV, ")
		if l.Delimiter != 0 {
			fmt.Fprintf(&b, "%q, ", string(rune(l.Delimiter)))
		}
	case formatJSON:
		b.WriteString("NDJSON, ")
	default:
		b.WriteString("plain lines, ")
	}
	if l.Gzip {
		b.WriteString("gzip, ")
	}
	b.WriteString(l.Encoding)
	for _, c := range []struct{ what, col string }{{"numbers", l.Number}, {"refs", l.Ref}, {"regions", l.Region}} {
		if c.col != "" {
			b.WriteString(", " + c.what + " from " + c.col)
		}
	}
	return b.String()
}
