package input

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"unsafe"

	"github.com/lookupq/lookupq/internal/numbers"
)

const (
	formatCSV   = "csv"
	formatJSON  = "ndjson"
	formatLines = "lines"
	// sampleRows is how many records decide about the layout.
	sampleRows = 500
)

// openCSV finds delimiter, header and columns of a CSV file or plain lines.
func (r *Reader) openCSV(sample []byte, opt Options) error {
	skip, hint := sepLine(sample)
	sample = sample[skip:]
	r.recs.start += skip
	if skip > 0 {
		r.recs.line++
	}
	delim := hint
	if delim == 0 {
		delim = r.delimiter(sample)
	}
	r.recs.delim = delim
	rows := r.rows(sample, delim)
	r.layout.Format, r.layout.Delimiter = formatCSV, delim
	f, err := newFinder(rows, r.iso, opt)
	if err != nil {
		return err
	}
	if r.cols, err = f.columns(); err != nil {
		return err
	}
	if delim == 0 && !f.header {
		r.layout.Format = formatLines
	}
	r.layout.Header = f.header
	r.layout.Number, r.layout.Ref, r.layout.Region = f.describe(r.cols.number), f.describe(r.cols.ref), f.describe(r.cols.region)
	if f.header {
		return r.dropHeader()
	}
	return nil
}

// dropHeader consumes the first record that is not blank.
func (r *Reader) dropHeader() error {
	for {
		rec, err := r.recs.next(1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !rec.blank {
			return nil
		}
	}
}

// sepLine recognises Excel's "sep=;" line: its length and the delimiter it names.
func sepLine(sample []byte) (skip int, delim byte) {
	i := bytes.IndexAny(sample, "\r\n")
	if i != 5 || !bytes.EqualFold(sample[:4], []byte("sep=")) {
		return 0, 0
	}
	skip = 6
	if sample[5] == '\r' && len(sample) > 6 && sample[6] == '\n' {
		skip = 7
	}
	return skip, sample[4]
}

// delimiter finds what separates the columns; 0 if there is only one.
func (r *Reader) delimiter(sample []byte) byte {
	var best byte
	bestScore := 0.0
	for _, d := range []byte{',', ';', '\t', '|'} {
		if s := evenness(r.rows(sample, d)); s > bestScore {
			best, bestScore = d, s
		}
	}
	return best
}

// evenness is the share of rows that have the most common number of columns, if
// that is more than one and most rows have it, with a slight preference for more
// columns; else 0.
func evenness(rows [][][]byte) float64 {
	count := map[int]int{}
	for _, row := range rows {
		count[len(row)]++
	}
	mode := 0
	for n, c := range count {
		if c > count[mode] || c == count[mode] && n > mode {
			mode = n
		}
	}
	share := float64(count[mode]) / float64(max(1, len(rows)))
	if mode < 2 || share < 0.6 {
		return 0
	}
	return share + 0.01*float64(min(mode, 10))
}

// rows parses the sample's records with the given delimiter. The last one may be
// cut off and is left out unless it is the only one or the stream ends with it.
func (r *Reader) rows(sample []byte, delim byte) [][][]byte {
	recs := &records{buf: sample, end: len(sample), eof: true, delim: delim, term: r.recs.term, line: 1}
	var rows [][][]byte
	for len(rows) <= sampleRows {
		rec, err := recs.next(len(sample))
		if err != nil {
			break
		}
		if rec.blank {
			continue
		}
		row := make([][]byte, len(rec.fields))
		for i, f := range rec.fields {
			row[i] = bytes.Clone(f)
		}
		rows = append(rows, row)
	}
	if cut := len(sample) == sampleSize && recs.start == recs.end; cut && len(rows) > 1 {
		rows = rows[:len(rows)-1]
	}
	return rows
}

// plainNumber reports whether b is nothing but an optional + and 7 to 15 digits,
// not all zeros: what most cells are, and always usable.
func plainNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) < 7 || len(b) > 15 {
		return false
	}
	var other byte
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		other |= c - '0'
	}
	return other != 0
}

// problem says why b is no usable number, "" if it is one.
func problem(b []byte) string {
	if len(b) == 0 {
		return string(numbers.Empty)
	}
	_, why := numbers.Clean(unsafe.String(&b[0], len(b))) //nolint:gosec // Clean keeps nothing of its argument but the result, which is dropped
	return string(why)
}

// likelihood is how much a cell looks like a phone number rather than like a key,
// a date or an amount: 0 to 1.
func likelihood(cell []byte, other *regexp.Regexp) float64 {
	cell = trim(cell)
	if len(cell) == 0 || len(cell) > 40 {
		return 0
	}
	dial, why := numbers.Clean(string(cell))
	if why != numbers.OK {
		return 0
	}
	digits := len(bytes.TrimLeft([]byte(dial), "+"))
	if digits < 7 || digits > 17 {
		return 0
	}
	switch {
	case dial[0] == '+' || bytes.HasPrefix(cell, []byte("00")):
		return 1
	case other.Match(cell):
		return 0.1
	case digits == 11 && dial[0] == '1' && dial[1] >= '3': // a Chinese mobile
		return 1
	}
	return 0.7
}

// otherNumbers matches dates, times, amounts and addresses made of digits.
func otherNumbers() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(?:19|20)\d\d[-/.]?[01]?\d[-/.]?[0-3]?\d(?:[ T].*)?|[0-3]?\d[-/.][01]?\d[-/.](?:19|20)\d\d(?:[ T].*)?|-?\d+[.,]\d{1,2}|\d{1,3}(?:\.\d{1,3}){3})$`)
}
