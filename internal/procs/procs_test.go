package procs

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcesses(t *testing.T) {
	t.Parallel()
	u, err := UsageOf(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, u.Peak, int64(1<<20))

	p, err := Start(t.TempDir(), "sleeper", []string{"WORDS=last words"}, "/bin/sh", "-c", "echo $WORDS; exec sleep 60")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.LastWords() == "last words" }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, p.Stop())
	require.NoError(t, p.Stop(), "a second stop finds it gone")

	p, err = Start(t.TempDir(), "failing", nil, "/bin/sh", "-c", "echo no such port; exit 3")
	require.NoError(t, err)
	port, err := FreePort(t.Context())
	require.NoError(t, err)
	err = p.Answering(t.Context(), "127.0.0.1:"+strconv.Itoa(port))
	require.ErrorContains(t, err, "no such port")
	require.ErrorContains(t, err, "exit status 3")
}
