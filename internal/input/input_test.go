package input

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// got is a row in a form that can be compared.
type got struct {
	line                int64
	number, ref, region string
	problem             string
}

func readAll(tb testing.TB, src io.Reader, opt Options) ([]got, Layout) {
	tb.Helper()
	r, err := Open(src, opt)
	require.NoError(tb, err)
	var all []got
	var row Row
	for {
		err := r.Next(&row)
		if errors.Is(err, io.EOF) {
			return all, r.Layout()
		}
		require.NoError(tb, err)
		g := got{line: row.Line, number: string(row.Number), ref: string(row.Ref), region: row.Region, problem: row.Problem}
		if g.problem != "" {
			g.number = ""
		}
		all = append(all, g)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in     string
		opt    Options
		want   []got
		layout string
	}{
		"plain lines": {
			in:     "13800138000\n\n+1 415 555 0100\r\n  (021) 5555-1234 \nnone\n",
			want:   []got{{line: 1, number: "13800138000"}, {line: 3, number: "+1 415 555 0100"}, {line: 4, number: "(021) 5555-1234"}, {line: 5, problem: "no digits"}},
			layout: "plain lines, UTF-8, numbers from column 1",
		},
		"one number without a line end": {in: "13800138000", want: []got{{line: 1, number: "13800138000"}}, layout: "plain lines, UTF-8, numbers from column 1"},
		"one column with a header": {
			in: "Phone\n13800138000\n13800138001\n", want: []got{{line: 2, number: "13800138000"}, {line: 3, number: "13800138001"}},
			layout: `CSV, UTF-8, numbers from column 1 "Phone"`,
		},
		"header in Chinese": {
			in: "编号,姓名,手机号\nK1,钱,13800138000\nK2,孙,１３８００１３８００１\n", want: []got{{line: 2, number: "13800138000", ref: "K1"}, {line: 3, number: "１３８００１３８００１", ref: "K2"}},
			layout: `CSV, ",", UTF-8, numbers from column 3 "手机号", refs from column 1 "编号"`,
		},
		"no header, numbers by content": {
			in: "1;Anna;+4915112345678;2026-11-21\n2;Bea;+4915112345679;2026-11-20\n3;Carl;n/a;2026-11-20\n", want: []got{{line: 1, number: "+4915112345678"}, {line: 2, number: "+4915112345679"}, {line: 3, problem: "no digits"}},
			layout: `CSV, ";", UTF-8, numbers from column 3`,
		},
		"quoted line ends, delimiters and quotes": {
			in:     "id,name,phone\r\n1,\"a\r\nb\",13800138000\r\n2,\"x, \"\"y\"\"\",13800138001\r\n3,\"\",\"13800138002\"\r\n",
			want:   []got{{line: 2, number: "13800138000", ref: "1"}, {line: 4, number: "13800138001", ref: "2"}, {line: 5, number: "13800138002", ref: "3"}},
			layout: `CSV, ",", UTF-8, numbers from column 3 "phone", refs from column 1 "id"`,
		},
		"a quote that never closes spoils one line": {
			in:     "id,name,phone\n1,\"open,13800138000\n2,b,13800138001\n3,\"c\",13800138002\n",
			want:   []got{{line: 2, number: "13800138000", ref: "1"}, {line: 3, number: "13800138001", ref: "2"}, {line: 4, number: "13800138002", ref: "3"}},
			layout: `CSV, ",", UTF-8, numbers from column 3 "phone", refs from column 1 "id"`,
		},
		"quotes inside text": {
			in:   "id,name,phone\n1,\"He said \"hi\" there\",13800138000\n2,5\" pipe,13800138001\n3,\"never closed,13800138002\n",
			want: []got{{line: 2, number: "13800138000", ref: "1"}, {line: 3, number: "13800138001", ref: "2"}, {line: 4, number: "13800138002", ref: "3"}},

			layout: `CSV, ",", UTF-8, numbers from column 3 "phone", refs from column 1 "id"`,
		},
		"tabs, a byte order mark and Excel's way to save digits": {
			in: "\ufeffName\tMobile No.\nA\t=\"13800138000\"\nB\t'13800138001\n", want: []got{{line: 2, number: `="13800138000"`}, {line: 3, number: "'13800138001"}},
			layout: `CSV, "\t", UTF-8 with BOM, numbers from column 2 "Mobile No."`,
		},
		"sep= line": {
			in: "sep=|\r\nid|phone\r\n7|+49 151 1234567\r\n", want: []got{{line: 3, number: "+49 151 1234567", ref: "7"}},
			layout: `CSV, "|", UTF-8, numbers from column 2 "phone", refs from column 1 "id"`,
		},
		"carriage returns alone": {
			in: "id,phone\r1,13800138000\r2,13800138001", want: []got{{line: 2, number: "13800138000", ref: "1"}, {line: 3, number: "13800138001", ref: "2"}},
			layout: `CSV, ",", UTF-8, numbers from column 2 "phone", refs from column 1 "id"`,
		},
		"countries, short rows and rows of nothing": {
			in:     "phone,country\n0412 345 678,au\n030 1234567,DE\n020 7946 0000,UK\n+33 1 23 45 67 89,\n,,\n5550100\n",
			want:   []got{{line: 2, number: "0412 345 678", region: "AU"}, {line: 3, number: "030 1234567", region: "DE"}, {line: 4, number: "020 7946 0000", region: "GB"}, {line: 5, number: "+33 1 23 45 67 89"}, {line: 7, number: "5550100"}},
			layout: `CSV, ",", UTF-8, numbers from column 1 "phone", regions from column 2 "country"`,
			opt:    Options{Column: "phone"},
		},
		"a country column of names is none": {
			in: "phone,country\n0412345678,Australia\n0301234567,Germany\n", want: []got{{line: 2, number: "0412345678"}, {line: 3, number: "0301234567"}},
			layout: `CSV, ",", UTF-8, numbers from column 1 "phone"`,
		},
		"columns by name and by position": {
			in: "a,b,c\n13800138000,13900139000,x\n13800138001,13900139001,y\n", opt: Options{Column: "B", RefColumn: "3"},
			want:   []got{{line: 2, number: "13900139000", ref: "x"}, {line: 3, number: "13900139001", ref: "y"}},
			layout: `CSV, ",", UTF-8, numbers from column 2 "b", refs from column 3 "c"`,
		},
		"refs and regions switched off": {
			in: "id,phone,country\n1,0412345678,AU\n", opt: Options{RefColumn: "none", RegionColumn: "none"},
			want: []got{{line: 2, number: "0412345678"}}, layout: `CSV, ",", UTF-8, numbers from column 2 "phone"`,
		},
		"mobile before phone, unless it is empty": {
			in: "phone,mobile\n0301234567,\n0301234568,\n0301234569,\n", want: []got{{line: 2, number: "0301234567"}, {line: 3, number: "0301234568"}, {line: 4, number: "0301234569"}},
			layout: `CSV, ",", UTF-8, numbers from column 1 "phone"`,
		},
		"keys that count up are no numbers": {
			in: "10000001,x,13800138000\n10000002,y,13800138001\n10000003,z,13900138002\n", want: []got{{line: 1, number: "13800138000"}, {line: 2, number: "13800138001"}, {line: 3, number: "13900138002"}},
			layout: `CSV, ",", UTF-8, numbers from column 3`,
		},
		"NDJSON": {
			in:     "{\"id\":7,\"name\":\"a\",\"phone\":\"+49 151 1\\u0031 234\",\"country\":\"DE\",\"x\":{\"phone\":[1,{}]}}\n\n{\"phone\":13800138000,\"id\":\"k\\\"1\"}\n{\"phone\":null,\"id\":1.5}\nnope\n[1]\n{\"id\":3}\n{\"phone\":true}\n",
			want:   []got{{line: 1, number: "+49 151 11 234", ref: "7", region: "DE"}, {line: 3, number: "13800138000", ref: `k"1`}, {line: 4, ref: "1.5", problem: "empty"}, {line: 5, problem: "not JSON"}, {line: 6, problem: "not a JSON object"}, {line: 7, ref: "3", problem: `the object has no key "phone"`}, {line: 8, problem: `"phone" is neither text nor a number`}},
			layout: `NDJSON, UTF-8, numbers from "phone", refs from "id", regions from "country"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, layout := readAll(t, strings.NewReader(c.in), c.opt)
			require.Equal(t, c.want, rows)
			require.Equal(t, c.layout, layout.String())
			again, _ := readAll(t, iotest.OneByteReader(strings.NewReader(c.in)), c.opt)
			require.Equal(t, rows, again, "byte by byte")
			var z bytes.Buffer
			zw := gzip.NewWriter(&z)
			_, err := zw.Write([]byte(c.in))
			require.NoError(t, err)
			require.NoError(t, zw.Close())
			zipped, layout := readAll(t, &z, c.opt)
			require.Equal(t, rows, zipped)
			require.True(t, layout.Gzip)
		})
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	r, err := Open(strings.NewReader(`{"phone":"13800138000","ref":42}`+"\n"+`{"phone":"13800138000","ref":"42"}`+"\n"+`{"phone":"13800138000","ref":4.2}`), Options{})
	require.NoError(t, err)
	for _, isInt := range []bool{true, false, false} {
		var row Row
		require.NoError(t, r.Next(&row))
		require.Equal(t, isInt, row.RefInt, "%s", row.Ref)
	}
	long := strings.Repeat("x", maxRef+1)
	rows, _ := readAll(t, strings.NewReader("id,phone\n"+long+",13800138000\n"+long[1:]+",13800138000\n"), Options{})
	require.Equal(t, "the ref is longer than 256 bytes", rows[0].problem)
	require.Empty(t, rows[1].problem)
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	cn := "编号,姓名,手机号\nK1,钱先生,13800138000\nK2,孙,１３８００１３８００１\n"
	west := "Nr;Name;Téléphone\nA1;Müller Straße;+4915112345678\nB2;Zoë façade;+33123456789\n"
	late := "id,phone,name\n" + strings.Repeat("1,13800138000,a\n", 20_000)
	enc := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		require.NoError(t, err)
		return out
	}
	for name, c := range map[string]struct {
		in, want, encoding string
	}{
		"GB18030":             {enc(simplifiedchinese.GB18030, cn), cn, "GB18030"},
		"GB18030, late":       {late + enc(simplifiedchinese.GB18030, "9,13900139000,钱先生在北京\n"), late + "9,13900139000,钱先生在北京\n", "UTF-8"},
		"UTF-8, late":         {late + "9,13900139000,钱先生\n", late + "9,13900139000,钱先生\n", "UTF-8"},
		"UTF-16 little":       {enc(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), cn), cn, "UTF-16 with BOM"},
		"UTF-16 big":          {enc(unicode.UTF16(unicode.BigEndian, unicode.UseBOM), cn), cn, "UTF-16 with BOM"},
		"UTF-16 without mark": {enc(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), cn), cn, "UTF-16"},
		"Windows-1252":        {enc(charmap.Windows1252, west), west, "Windows-1252"},
		"UTF-8":               {west, west, "UTF-8"},
		"UTF-8, one bad byte": {strings.Replace(west+west, "ö", "\xf6", 1), west + west, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, _ := readAll(t, strings.NewReader(c.want), Options{})
			rows, layout := readAll(t, strings.NewReader(c.in), Options{})
			require.Equal(t, want, rows)
			require.Equal(t, c.encoding, layout.Encoding)
		})
	}
}

// A sample whose last character is cut in two is still what it is.
func TestGuessAtEveryCut(t *testing.T) {
	t.Parallel()
	text := "姓名,电话\n钱先生,１３８００１３８０００\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	require.NoError(t, err)
	for n := 8; n <= len(text); n++ {
		require.Equal(t, utf8Text, guess([]byte(text[:n]), n == len(text)), "%d bytes", n)
	}
	for n := 8; n <= len(gb); n++ {
		require.Equal(t, gb18030, guess([]byte(gb[:n]), n == len(gb)), "%d bytes", n)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		opt  Options
		want string
	}{
		"nothing":         {in: "", want: "the input is empty"},
		"a mark only":     {in: "\xef\xbb\xbf", want: "the input is empty"},
		"blank lines":     {in: "\n\n  \n", want: "the input is empty"},
		"a workbook":      {in: "PK\x03\x04rest", want: "save it as CSV"},
		"an old workbook": {in: "\xd0\xcf\x11\xe0rest", want: "save it as CSV"},
		"broken gzip":     {in: "\x1f\x8bxxxxxxxxxxxx", want: "unpacking gzip"},
		"JSON array":      {in: `[{"phone":"1"}]`, want: "one object on each line"},
		"broken JSON":     {in: "{oops\n", want: "no line of the beginning is a JSON object"},
		"no numbers":      {in: "a,b\nx,y\nz,w\n", want: "name it with --column"},
		"no such column":  {in: "id,phone\n1,13800138000\n", opt: Options{Column: "mobile"}, want: `--column mobile: there is no such column (columns: "id", "phone")`},
		"no such ref":     {in: "13800138000,1\n", opt: Options{RefColumn: "4"}, want: "--ref-column 4: there is no such column (there is no header; columns 1 to 2)"},
		"column 0":        {in: "13800138000,1\n", opt: Options{Column: "0"}, want: "no such column"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(strings.NewReader(c.in), c.opt)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTruncatedGzip(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	for i := range 40_000 {
		_, err := fmt.Fprintf(zw, "+4915%08d\n", i*7919%100_000_000)
		require.NoError(t, err)
	}
	require.NoError(t, zw.Close())
	r, err := Open(bytes.NewReader(z.Bytes()[:z.Len()-100]), Options{})
	require.NoError(t, err)
	var row Row
	for err == nil {
		err = r.Next(&row)
	}
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxRecord)
	rows, _ := readAll(t, strings.NewReader("id,phone\n1,13800138000\n"+long+"\n2,13800138001\n"+long), Options{})
	require.Equal(t, []got{
		{line: 2, number: "13800138000", ref: "1"},
		{line: 3, problem: problemLong},
		{line: 4, number: "13800138001", ref: "2"},
		{line: 5, problem: problemLong},
	}, rows)
}

// A file whose every line opens a quote that nothing closes must not be searched
// to the end again for each line.
func TestOpenQuotesAreLinear(t *testing.T) {
	t.Parallel()
	const n = 20_000
	lines := "id,phone\n" + strings.Repeat("7,13800138000\n", 600) + strings.Repeat("\"7,13800138000,'\n", 1) + strings.Repeat("7,13800138000\n", n)
	rows, _ := readAll(t, strings.NewReader(lines), Options{})
	require.Len(t, rows, n+601)
	require.Equal(t, `"7`, rows[600].ref)
	each := "id,phone\n" + strings.Repeat("x\"\",13800138000\n\"y\"\",13800138000\n", n)
	rows, _ = readAll(t, strings.NewReader(each), Options{})
	require.Len(t, rows, 2*n)
}

// Memory: the buffer of a reader never outgrows the longest record.
func TestBounded(t *testing.T) {
	t.Parallel()
	r, err := Open(io.LimitReader(endless("7,\"a\nb\",13800138000\n"), 4<<20), Options{Column: "3"})
	require.NoError(t, err)
	var row Row
	n := 0
	for err = r.Next(&row); err == nil; err = r.Next(&row) {
		n++
	}
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, n, 180_000)
	require.Less(t, len(r.recs.buf), 2*maxRecord)
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	if n == 0 {
		return copy(p, e), nil
	}
	return n, nil
}

func TestValidRegion(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"CN": true, "DE": true, "XK": true, "UK": false, "cn": false, "ZZ": false, "": false, "CHN": false, "é": false} {
		require.Equal(t, want, ValidRegion(s), s)
	}
}
