package input

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
)

// The errors of a stream that cannot be read at all.
var (
	// ErrEmpty is a stream without a single character.
	ErrEmpty = errors.New("the input is empty")
	// ErrWorkbook is an Excel file or a zip archive.
	ErrWorkbook = errors.New("this is an Excel workbook or a zip archive, not text: save it as CSV (UTF-8) or unpack it first")
)

// peekSize is how far encoding detection looks: enough for a few hundred rows.
const peekSize = 64 << 10

// decode unpacks src if it is gzip and returns it as UTF-8.
func decode(src io.Reader) (*decoder, Layout, error) {
	var l Layout
	br := bufio.NewReaderSize(src, peekSize)
	head, err := peek(br)
	if err != nil {
		return nil, l, err
	}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, l, fmt.Errorf("unpacking gzip: %w", err)
		}
		l.Gzip = true
		br = bufio.NewReaderSize(zr, peekSize)
		if head, err = peek(br); err != nil {
			return nil, l, fmt.Errorf("unpacking gzip: %w", err)
		}
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte{0xd0, 0xcf, 0x11, 0xe0}) {
		return nil, l, ErrWorkbook
	}
	d := &decoder{src: br}
	cs, skip := bom(head)
	if cs == undecided {
		cs = utf16ByZeros(head)
	}
	if _, err := br.Discard(skip); err != nil {
		return nil, l, fmt.Errorf("skipping the byte order mark: %w", err)
	}
	d.bom = skip > 0
	d.use(cs, br)
	return d, l, nil
}

// peek returns what the buffer of br holds at most; less only at the end.
func peek(br *bufio.Reader) ([]byte, error) {
	b, err := br.Peek(br.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// decoder turns a stream into UTF-8. While only ASCII was seen the encoding is
// open: a file whose first umlaut stands in row 10,000 is decided there.
type decoder struct {
	src   *bufio.Reader // the undecoded stream
	out   io.Reader     // the decoded one, nil while undecided
	cs    charset
	bom   bool
	ascii int // bytes of src's buffer that are known to be ASCII
}

// use settles the encoding.
func (d *decoder) use(cs charset, src io.Reader) {
	d.cs = cs
	switch cs {
	case undecided:
	case utf8Text:
		d.out = src
	case gb18030, utf16le, utf16be, windows1252:
		d.out = cs.encoding().NewDecoder().Reader(src)
	}
}

// Read implements io.Reader with UTF-8 (which may hold bad sequences where the
// source does).
func (d *decoder) Read(p []byte) (int, error) {
	if d.out != nil {
		return d.out.Read(p)
	}
	head, err := peek(d.src)
	if err != nil {
		return 0, err
	}
	if len(head) == 0 {
		return 0, io.EOF
	}
	if d.ascii == 0 {
		d.ascii = asciiPrefix(head)
	}
	if d.ascii == 0 {
		d.use(guess(head, len(head) < d.src.Size()), d.src)
		return d.out.Read(p)
	}
	n, err := d.src.Read(p[:min(len(p), d.ascii)])
	d.ascii -= n
	return n, err
}

// name is the encoding for people.
func (d *decoder) name() string {
	if d.bom {
		return d.cs.String() + " with BOM"
	}
	return d.cs.String()
}

// asciiPrefix is how many bytes at the start of b are ASCII.
func asciiPrefix(b []byte) int {
	const highBits, word = 0x8080808080808080, 8
	i := 0
	for i+word <= len(b) && binary.LittleEndian.Uint64(b[i:])&highBits == 0 {
		i += word
	}
	for i < len(b) && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}
