package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/lookupq/lookupq/providers"
)

// firstRead is where a buffer starts that nothing is known of.
const firstRead = 4 << 10

// read streams the body into memory, decompressed, up to limit bytes of each.
// The error wraps errOversize above it.
func (c *Client) read(res *http.Response, limit int64) ([]byte, error) {
	size := res.ContentLength
	var src io.Reader = res.Body
	switch encoding := strings.ToLower(strings.TrimSpace(res.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		// Also what comes over the wire is capped: a gzip stream may be endless
		// and decompress to nothing.
		z, err := gzip.NewReader(&capped{src: src, left: limit})
		if errors.Is(err, io.EOF) {
			return nil, nil // some servers announce the encoding of nothing
		}
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		src, size = z, -1
	default:
		return nil, errEncoding
	}
	if size > limit {
		return nil, fmt.Errorf("%w (%d bytes)", errOversize, limit)
	}
	if size < 0 {
		size = c.lastSize.Load()
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(min(size, limit)+bytes.MinRead, firstRead)))
	n, err := buf.ReadFrom(&capped{src: src, left: limit})
	if err != nil {
		return nil, err
	}
	if res.ContentLength < 0 {
		c.lastSize.Store(n)
	}
	return trimBOM(buf.Bytes()), nil
}

// capped fails with errOversize as soon as src has more than left bytes.
type capped struct {
	src  io.Reader
	left int64
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return 0, errOversize
	}
	return n, err
}

func trimBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\uFEFF")) }

// Unreadable is the failure of a reply that came whole and says nothing: empty,
// a web page, or not what the provider's documents promise.
func Unreadable(r Response) *providers.Failure {
	body := bytes.TrimSpace(r.Body)
	message := "not the documented JSON"
	switch {
	case len(body) == 0:
		message = "empty reply"
	case body[0] == '<':
		message = "an HTML page instead of JSON"
	}
	return &providers.Failure{Kind: providers.KindGarbled, Message: message}
}
