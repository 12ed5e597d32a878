package send

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/sheet"
)

// rejects writes the lines without a usable number as CSV. The file is the
// user's own data, so the lines stand in it as they were.
type rejects struct {
	path string
	f    *os.File
	buf  *bufio.Writer
	w    *csv.Writer
}

// openRejects creates the file; with an empty path nothing is written.
func openRejects(path string) (*rejects, error) {
	r := &rejects{path: path}
	if path == "" {
		return r, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the user names the file; phone numbers are for the owner only
	if err != nil {
		return nil, fmt.Errorf("--rejects: %w", err)
	}
	r.f, r.buf = f, bufio.NewWriter(f)
	r.w = csv.NewWriter(r.buf)
	if err := r.write("line", "reason", "text", "file"); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rejects) add(file string, line int64, reason string, text []byte) error {
	if r.w == nil {
		return nil
	}
	return r.write(strconv.FormatInt(line, 10), reason, sheet.Guard(string(text)), sheet.Guard(file))
}

func (r *rejects) write(cells ...string) error {
	if err := r.w.Write(cells); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}

func (r *rejects) close() error {
	if r.w == nil {
		return nil
	}
	r.w.Flush()
	if err := errors.Join(r.w.Error(), r.buf.Flush(), r.f.Close()); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}
