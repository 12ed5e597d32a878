package redisproc

import (
	"bytes"
	"strings"
	"sync"
)

// maxTail is enough for the lines that say why a server ended.
const maxTail = 2048

// tail keeps the last words of a child. Written by exec's copying goroutine, read
// by whoever reports the end.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func newTail() *tail { return &tail{} }

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is the last three lines on one line, for an error message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	if len(lines) > 3 {
		lines = lines[len(lines)-3:]
	}
	words := strings.TrimSpace(string(bytes.Join(lines, []byte(" | "))))
	if words == "" {
		return "it said nothing"
	}
	return words
}
