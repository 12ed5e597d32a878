package input

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoColumn says that no column of phone numbers was found.
var ErrNoColumn = errors.New("no column with phone numbers found")

// columns are positions counted from 0; -1 is none. last is the highest.
type columns struct {
	number, ref, region, last int
}

// finder decides what the columns of a CSV sample mean.
type finder struct {
	opt    Options
	iso    *regions
	other  *regexp.Regexp
	names  []string // the first record's cells as headings
	first  [][]byte
	rows   [][][]byte // without the header
	scores []float64
	header bool
}

// newFinder looks whether rows begin with a header. rows must not be empty.
func newFinder(rows [][][]byte, iso *regions, opt Options) (*finder, error) {
	if len(rows) == 0 {
		return nil, ErrEmpty
	}
	f := &finder{opt: opt, iso: iso, other: otherNumbers(), first: rows[0], rows: rows[1:]}
	for _, c := range f.first {
		f.names = append(f.names, heading(c))
	}
	f.scores = f.columnScores()
	f.header = f.isHeader()
	if !f.header {
		f.rows = rows
		f.scores = f.columnScores()
	}
	return f, nil
}

// columnScores is the mean likelihood of each column over its cells that hold something.
func (f *finder) columnScores() []float64 {
	width := 0
	for _, r := range f.rows {
		width = max(width, len(r))
	}
	scores := make([]float64, width)
	for c := range scores {
		sum, n := 0.0, 0
		for _, r := range f.rows {
			if c < len(r) && len(trim(r[c])) > 0 {
				sum += likelihood(r[c], f.other)
				n++
			}
		}
		if n > 0 {
			scores[c] = sum / float64(n)
		}
		if f.counts(c) {
			scores[c] *= 0.6 // so that 8 digits are below what passes for numbers, a mobile is not
		}
	}
	return scores
}

// counts reports whether a column just counts up (1000001, 1000002, …), as keys do.
func (f *finder) counts(c int) bool {
	var last uint64
	for i, r := range f.rows {
		if c >= len(r) {
			return false
		}
		n, err := strconv.ParseUint(string(trim(r[c])), 10, 64)
		if err != nil || i > 0 && n != last+1 {
			return false
		}
		last = n
	}
	return len(f.rows) > 2
}

// isHeader decides whether the first record names the columns.
func (f *finder) isHeader() bool {
	for i, h := range f.names {
		if isNumber := likelihood(f.first[i], f.other) > 0.5; isNumber {
			return false
		}
		if h != "" && (h == heading([]byte(f.opt.Column)) || h == heading([]byte(f.opt.RefColumn))) && !isIndex(h) {
			return true
		}
	}
	if slices.ContainsFunc(f.names, known) {
		return true
	}
	return len(f.scores) > 0 && slices.Max(f.scores) >= 0.5
}

// columns finds all three columns.
func (f *finder) columns() (columns, error) {
	cols := columns{number: -1, ref: -1, region: -1}
	var err error
	if cols.number, err = f.find("column", f.opt.Column, f.guessNumber); err != nil {
		return cols, err
	}
	if cols.number < 0 {
		return cols, fmt.Errorf("%w: name it with --column (%s)", ErrNoColumn, f.list())
	}
	if cols.ref, err = f.find("ref-column", f.opt.RefColumn, f.guessRef); err != nil {
		return cols, err
	}
	if cols.region, err = f.find("region-column", f.opt.RegionColumn, f.guessRegion); err != nil {
		return cols, err
	}
	if cols.ref == cols.number && f.opt.RefColumn == "" {
		cols.ref = -1
	}
	cols.last = max(cols.number, cols.ref, cols.region)
	return cols, nil
}

// find resolves a column that the user named, or guesses.
func (f *finder) find(flag, want string, guess func() int) (int, error) {
	switch {
	case want == "":
		return guess(), nil
	case strings.EqualFold(want, None) && flag != "column":
		return -1, nil
	}
	if f.header {
		for i, c := range f.first {
			if string(trim(c)) == want {
				return i, nil
			}
		}
		if i := slices.Index(f.names, heading([]byte(want))); i >= 0 {
			return i, nil
		}
	}
	if n, err := strconv.Atoi(want); err == nil && n >= 1 && n <= max(len(f.first), len(f.scores)) {
		return n - 1, nil
	}
	return -1, fmt.Errorf("--%s %s: there is no such column (%s)", flag, want, f.list())
}

// guessNumber takes the best-named column that holds numbers, else the one that
// looks most like numbers, else the best-named one; -1 if there is none.
func (f *finder) guessNumber() int {
	named := f.bestNamed(func(int) bool { return true })
	if best := f.bestNamed(func(i int) bool { return i < len(f.scores) && f.scores[i] >= 0.3 }); best >= 0 {
		return best
	}
	best := -1
	for i, s := range f.scores {
		if s >= 0.5 && (best < 0 || s > f.scores[best]+0.1) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return best
	case named >= 0:
		return named
	case len(f.first) == 1 && max(len(f.scores), 1) == 1: // one column: what else could it be
		return 0
	}
	return -1
}

// bestNamed is the column with the surest name for numbers among those that fit;
// -1 if there is none.
func (f *finder) bestNamed(fits func(column int) bool) int {
	best, bestRank := -1, 0
	if !f.header {
		return best
	}
	for i, h := range f.names {
		if rank := numberRank(h); rank >= 0 && fits(i) && (best < 0 || rank < bestRank) {
			best, bestRank = i, rank
		}
	}
	return best
}

// guessRef takes the best-named key column.
func (f *finder) guessRef() int { return f.named(refHeadings()) }

// guessRegion takes the best-named country column if it holds ISO codes.
func (f *finder) guessRegion() int {
	c := f.named(regionHeadings())
	if c < 0 {
		return -1
	}
	filled, codes := 0, 0
	for _, r := range f.rows {
		if c < len(r) && len(trim(r[c])) > 0 {
			filled++
			if f.iso.of(r[c]) != "" {
				codes++
			}
		}
	}
	if codes == 0 || codes*10 < filled*9 {
		return -1
	}
	return c
}

// named is the column whose heading stands first in list; -1 if none does.
func (f *finder) named(list []string) int {
	if !f.header {
		return -1
	}
	for _, want := range list {
		if i := slices.Index(f.names, want); i >= 0 {
			return i
		}
	}
	return -1
}

// list shows the columns in an error.
func (f *finder) list() string {
	n := max(len(f.first), len(f.scores))
	if !f.header {
		return fmt.Sprintf("there is no header; columns 1 to %d", n)
	}
	var names []string
	for _, c := range f.first[:min(len(f.first), 30)] {
		names = append(names, strconv.Quote(string(trim(c))))
	}
	return "columns: " + strings.Join(names, ", ")
}

// describe names a column for people; "" for none.
func (f *finder) describe(c int) string {
	if c < 0 {
		return ""
	}
	if f.header && c < len(f.first) {
		return fmt.Sprintf("column %d %q", c+1, trim(f.first[c]))
	}
	return fmt.Sprintf("column %d", c+1)
}

// isIndex reports whether a column is named by position.
func isIndex(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
