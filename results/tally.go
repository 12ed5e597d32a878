package results

import (
	"errors"
	"strconv"
	"strings"
)

// ErrTally says that a header is no list of counts.
var ErrTally = errors.New("not a list of counts: want name=number,name=number")

// Tally is how many results have one status or source.
type Tally struct {
	Name string
	N    int
}

// tallies counts by name; there are few names, so a linear search is the fastest.
type tallies []Tally

// plus counts one more of a name; the result takes the place of t, as with append.
func (t tallies) plus(name string) tallies {
	if name == "" {
		return t
	}
	for i := range t {
		if t[i].Name == name {
			t[i].N++
			return t
		}
	}
	return append(t, Tally{Name: name, N: 1})
}

// append appends "ok=498,failed=2".
func (t tallies) append(dst []byte) []byte {
	for i, v := range t {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, v.Name...)
		dst = append(dst, '=')
		dst = strconv.AppendInt(dst, int64(v.N), 10)
	}
	return dst
}

// parseTallies reads what append writes; empty is none. Names are not checked:
// the enums may grow.
func parseTallies(s string) ([]Tally, error) {
	if s == "" {
		return nil, nil
	}
	var out []Tally
	for field := range strings.SplitSeq(s, ",") {
		name, number, ok := strings.Cut(field, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || name == "" || n < 0 || n > MaxItems {
			return nil, ErrTally
		}
		out = append(out, Tally{Name: name, N: n})
	}
	return out, nil
}
