package redisproc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d": "7.0.15",
		"Valkey server v=8.1.0-rc1 sha=00000000:0 malloc=libc bits=64 build=1":          "8.1.0-rc1",
		"Redis server v=6.2.0 sha=0": "6.2.0",
	} {
		got, err := parseVersion(out)
		require.NoError(t, err, out)
		require.Equal(t, want, got)
	}
	for _, out := range []string{"", "hello", "Redis server v=6.0.20 sha=0", "Redis server v=5.0.14", "v=99999999999999999999.1"} {
		_, err := parseVersion(out)
		require.Error(t, err, out)
	}
}

func TestConfigQuotesPaths(t *testing.T) {
	t.Parallel()
	conf, err := config(Options{Dir: `/data/a "b" \c`, Socket: "/s p/redis.sock"})
	require.NoError(t, err)
	require.Contains(t, conf, `dir "/data/a \"b\" \\c"`)
	require.Contains(t, conf, `unixsocket "/s p/redis.sock"`)
	_, err = config(Options{Dir: "/data\nport 6379", Socket: "/s"})
	require.ErrorContains(t, err, "control characters")
}

func TestSocketPath(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	near, err := SocketPath("/data/redis")
	require.NoError(t, err)
	require.Equal(t, "/data/redis/redis.sock", near)

	deep := "/data/" + strings.Repeat("x", 200)
	far, err := SocketPath(deep)
	require.NoError(t, err)
	require.LessOrEqual(t, len(far), maxSocketPath)
	again, err := SocketPath(deep)
	require.NoError(t, err)
	require.Equal(t, far, again, "the next start must find the same socket")
	other, err := SocketPath(deep + "y")
	require.NoError(t, err)
	require.NotEqual(t, far, other)
	RemoveSocket(other, deep+"y")
	require.NoDirExists(t, filepath.Dir(other))
	RemoveSocket(far, deep)

	// Somebody else's folder of that name is not used.
	require.NoError(t, os.Mkdir(filepath.Dir(far), 0o755))
	_, err = SocketPath(deep)
	require.ErrorContains(t, err, "not a private folder")
}

func TestTailKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	out := newTail()
	require.Equal(t, "it said nothing", out.String())
	for range 1000 {
		_, _ = out.Write([]byte("noise\n"))
	}
	_, _ = out.Write([]byte("one\ntwo\nthree\n"))
	require.Equal(t, "one | two | three", out.String())
	require.LessOrEqual(t, len(out.buf), maxTail)
}
