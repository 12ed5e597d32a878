package send

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// Stdin is the path that stands for the standard input.
const Stdin = "-"

// source is what a campaign is made from: one or more files, or a stream that
// can be read only once.
type source struct {
	paths []string
	stdin io.Reader
	name  string // for the record and for people
	sum   string // sha256 in hex; empty for a stream
	sizes int64  // of all files; 0 for a stream
	stats []fileStat
	read  atomic.Int64 // raw bytes read while sending
	sha   hash.Hash    // of a stream, while it is read
}

// fileStat tells whether a file changed between hashing and reading.
type fileStat struct {
	size int64
	mod  time.Time
}

// hashSource reads every file once for its hash. A stream is left alone.
func hashSource(ctx context.Context, paths []string, stdin io.Reader) (*source, error) {
	s := &source{paths: paths, stdin: stdin}
	if len(paths) == 1 && paths[0] == Stdin {
		s.name, s.sha = "stdin", sha256.New()
		return s, nil
	}
	var sums []string
	for _, p := range paths {
		if p == Stdin {
			return nil, errors.New("- (the standard input) cannot be sent together with files")
		}
		sum, stat, err := hashFile(ctx, p)
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
		s.stats = append(s.stats, stat)
		s.sizes += stat.size
	}
	s.name, s.sum = filepath.Base(paths[0]), sums[0]
	if len(paths) > 1 {
		s.name += fmt.Sprintf(" and %d more", len(paths)-1)
		all := sha256.Sum256([]byte(strings.Join(sums, "\n")))
		s.sum = hex.EncodeToString(all[:])
	}
	return s, nil
}

// isStream reports whether the source can be read only once.
func (s *source) isStream() bool { return s.sha != nil }

// hash is the sha256 of the source, of a stream when all of it was read.
func (s *source) hash() string {
	if s.isStream() {
		return hex.EncodeToString(s.sha.Sum(nil))
	}
	return s.sum
}

func hashFile(ctx context.Context, path string) (string, fileStat, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return "", fileStat{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", fileStat{}, err
	}
	if info.IsDir() {
		return "", fileStat{}, fmt.Errorf("%s is a folder: name the files in it", path)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(onlyWriter{h}, ctxReader{ctx: ctx, r: f}, make([]byte, 256<<10)); err != nil {
		return "", fileStat{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), fileStat{size: info.Size(), mod: info.ModTime()}, nil
}

// onlyWriter and ctxReader keep io.CopyBuffer to its buffer.
type onlyWriter struct{ io.Writer }

// ctxReader stops reading when its context ends: between two reads, since a read
// of a terminal or a pipe cannot be interrupted.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // an io.Reader has no other way to it
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// open opens the i-th file for sending.
func (s *source) open(i int) (io.ReadCloser, error) {
	if s.isStream() {
		return io.NopCloser(counted{r: io.TeeReader(s.stdin, s.sha), n: &s.read}), nil
	}
	f, err := os.Open(s.paths[i])
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{counted{r: f, n: &s.read}, f}, nil
}

// unchanged tells whether the files are still what was hashed.
func (s *source) unchanged() error {
	for i, was := range s.stats {
		info, err := os.Stat(s.paths[i])
		if err != nil {
			return err
		}
		if info.Size() != was.size || !info.ModTime().Equal(was.mod) {
			return fmt.Errorf("%s was changed while it was being sent: send the new version under another --campaign", s.paths[i])
		}
	}
	return nil
}

// counted adds the bytes read to n.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

const (
	sumInName = 8
	maxStem   = 64 - 1 - sumInName
)

// defaultCampaign is the file's stem and the first digits of its hash.
func defaultCampaign(path, sum string) string {
	stem := filepath.Base(path)
	for _, ext := range []string{".gz", filepath.Ext(strings.TrimSuffix(stem, ".gz"))} {
		stem = strings.TrimSuffix(stem, ext)
	}
	stem = strings.Map(func(c rune) rune {
		if c == '_' || names.ValidToken("a"+string(c)) {
			return c
		}
		return '-'
	}, stem)
	stem = strings.Trim(stem, "-_")
	if stem == "" {
		stem = "file"
	}
	return stem[:min(len(stem), maxStem)] + "-" + sum[:sumInName]
}
