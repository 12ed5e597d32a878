package input

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		"", "13800138000", "id,phone\n1,13800138000\n", "a;\"b\nc\";+49151\n", "\xef\xbb\xbfphone\n1\n", "\xff\xfe1\x002\x00", "{\"phone\":\"1\"}\n",
		"sep=;\na;b\n", "\"", "\"\"\"", "\"a\"b,c\n", "\xc7\xae,13800138000\n", "a\rb\rc", "\x1f\x8b\x08", "[", "{\"a\":{\"b\":[\"}\"]},\"phone\":1}", ",,,\n;;;\n",
		"\x84\x31\x95\x33\xca\xd6\xbb\xfa\xba\xc5\n13800138000\n",
	} {
		f.Add([]byte(s))
	}
}

// Whatever comes in: no panic, rows in order with valid UTF-8, the same rows
// however the bytes arrive, and at the end io.EOF or an error.
func FuzzOpen(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := drain(t, bytes.NewReader(b))
		again, err2 := drain(t, &halves{b: b})
		require.Equal(t, rows, again)
		require.Equal(t, err == nil, err2 == nil)
	})
}

func drain(t *testing.T, src io.Reader) ([]got, error) {
	t.Helper()
	r, err := Open(src, Options{})
	if err != nil {
		return nil, err
	}
	var all []got
	var row Row
	last := int64(0)
	for {
		if err := r.Next(&row); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return all, err
		}
		require.Greater(t, row.Line, last)
		last = row.Line
		require.True(t, utf8.Valid(row.Number))
		require.True(t, utf8.Valid(row.Ref))
		require.NotContains(t, row.Problem, "\n")
		if row.Problem == "" {
			require.NotEmpty(t, row.Number)
			require.LessOrEqual(t, len(row.Ref), maxRef)
		}
		all = append(all, got{line: row.Line, number: string(row.Number), ref: string(row.Ref), region: row.Region, problem: row.Problem})
	}
}

// halves gives ever smaller pieces, and empty ones between.
type halves struct {
	b     []byte
	empty bool
}

func (h *halves) Read(p []byte) (int, error) {
	if h.empty = !h.empty; h.empty && len(h.b) > 0 {
		return 0, nil
	}
	if len(h.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, h.b[:(len(h.b)+1)/2])
	h.b = h.b[n:]
	return n, nil
}

// Of what encoding/csv accepts we read the same fields.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"a,b\nc,d\n", "\"a\nb\",\"c\"\"d\"\r\n", "a,\"\",b\n\n,\n", "\"\",\"\"\n", "x\r\ny"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(strings.ReplaceAll(s, "\r\n", ""), '\r') {
			return // encoding/csv keeps lone carriage returns, which are line noise here
		}
		cr := csv.NewReader(strings.NewReader(s))
		cr.FieldsPerRecord = -1
		want, err := cr.ReadAll()
		if err != nil {
			return
		}
		recs := newRecords(strings.NewReader(s))
		recs.delim = ','
		var rows [][]string
		for {
			rec, err := recs.next(1 << 20)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if len(rec.text) == 0 {
				continue // encoding/csv leaves empty lines out
			}
			var row []string
			for _, field := range rec.fields {
				row = append(row, strings.ReplaceAll(string(field), "\r\n", "\n"))
			}
			rows = append(rows, row)
		}
		require.Equal(t, want, rows)
	})
}

// What guess calls UTF-8 it is, but for single bad bytes.
func FuzzGuess(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, complete := range []bool{true, false} {
			cs := guess(b, complete)
			require.Contains(t, []charset{utf8Text, gb18030, windows1252}, cs)
			if complete && utf8.Valid(b) {
				require.Equal(t, utf8Text, cs)
			}
		}
	})
}

// The short cut for plain numbers agrees with the full judgement.
func FuzzPlainNumber(f *testing.F) {
	for _, s := range []string{"13800138000", "+8613800138000", "0000000", "+0000001", "1234567", "123456", "1234567890123456", "++1234567", "12 34567"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if plainNumber(b) {
			require.Empty(t, problem(b), "%q", b)
		}
	})
}
