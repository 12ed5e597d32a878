package ui

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a bytes.Buffer for parallel use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// watch runs a meter over 12 simulated seconds.
func watch(t *testing.T, opt Options) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		u := New(opt)
		u.Notice("hello")
		start := time.Now()
		stop := u.Meter(func() State {
			n := int64(time.Since(start) / time.Second)
			return State{Phase: "sending", Done: n, Total: 12, Text: Group(1000 * n), Fields: map[string]any{"numbers": n}}
		})
		<-time.After(12*time.Second + time.Millisecond)
		stop()
		stop()
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	var out buffer
	watch(t, Options{Out: &out})
	require.Equal(t, "hello\nsending: 41 %, 5,000\nsending: 83 %, 10,000\n", out.String())
	require.Equal(t, "reading: x", State{Phase: "reading", Text: "x"}.line())
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var out, machine buffer
	watch(t, Options{Out: &out, JSON: &machine, Terminal: true})
	require.Empty(t, out.String())
	lines := strings.Split(strings.TrimSpace(machine.String()), "\n")
	require.Len(t, lines, 4)
	require.JSONEq(t, `{"event":"notice","text":"hello"}`, lines[0])
	require.JSONEq(t, `{"event":"progress","phase":"sending","done":5,"total":12,"numbers":5}`, lines[1])
	for _, l := range lines {
		require.True(t, json.Valid([]byte(l)))
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	var out buffer
	watch(t, Options{Out: &out, Terminal: true})
	text := out.String()
	require.Contains(t, text, "hello\n")
	require.Contains(t, text, "sending 12,000")
	require.Contains(t, text, "100%")
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -12: "-12"} {
		require.Equal(t, want, Group(n))
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	var r Rate
	now := time.Now()
	require.Zero(t, r.Add(now, 0))
	require.InDelta(t, 100, r.Add(now.Add(time.Second), 100), 0.001)
	for i := range int64(100) {
		r.Add(now.Add(time.Duration(2+i)*time.Second), 100+10*i)
	}
	require.InDelta(t, 10, r.Add(now.Add(102*time.Second), 1100), 0.5)
}
