package embedded_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded"
)

// startNATS starts a server in dir. The test closes it.
func startNATS(t *testing.T, dir, listen string) *embedded.NATS {
	t.Helper()
	n, err := embedded.StartNATS(t.Context(), embedded.NATSOptions{Dir: dir, Listen: listen, Log: zerolog.Nop()})
	require.NoError(t, err)
	return n
}

// dial connects and closes with the test.
func dial(t *testing.T, url string) *nats.Conn {
	t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect(url, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		nc.Close()
		<-closed
	})
	return nc
}

// With the default (sync before each acknowledgement) what was acknowledged is there again.
func TestNATSKeepsStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNATS(t, dir, "127.0.0.1:0")
	require.True(t, n.Fresh())
	js, err := jetstream.New(dial(t, n.ClientURL()))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s", []byte("kept"))
	require.NoError(t, err)
	require.Positive(t, n.MaxStore())
	require.NoError(t, n.Close())

	n = startNATS(t, dir, "nats://127.0.0.1:0")
	require.False(t, n.Fresh())
	js, err = jetstream.New(dial(t, n.ClientURL()))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
	require.NoError(t, n.Close())
}

func TestNATSDirectoryHasOneUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNATS(t, dir, "127.0.0.1:0")
	_, err := embedded.StartNATS(t.Context(), embedded.NATSOptions{Dir: dir, Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	require.ErrorContains(t, err, "in use by another process (pid ")
	require.NoError(t, n.Close())
	require.NoError(t, startNATS(t, dir, "127.0.0.1:0").Close())
}

func TestNATSAsksForTheCredentialsOfItsURL(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		userinfo string
	}{
		"user":  {"me:s%3Acret@"},
		"token": {"sesame@"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNATS(t, t.TempDir(), "nats://"+tt.userinfo+"127.0.0.1:0")
			_, err := nats.Connect(strings.Replace(n.ClientURL(), tt.userinfo, "", 1))
			require.ErrorIs(t, err, nats.ErrAuthorization)
			dial(t, n.ClientURL())
			require.NoError(t, n.Close())
		})
	}
}

func TestNATSBadListen(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for name, tt := range map[string]struct{ listen, want string }{
		"busy port":      {"nats://" + l.Addr().String(), l.Addr().String() + " is in use; stop what listens there, set nats.url to another port"},
		"not our host":   {"nats://192.0.2.1:4222", "cannot listen on 192.0.2.1:4222, check nats.url"},
		"tls":            {"tls://127.0.0.1:4222", `scheme "tls"`},
		"several":        {"nats://a:4222,nats://b:4222", "several servers"},
		"port too large": {"nats://127.0.0.1:70000", `port "70000"`},
		"no URL":         {"nats://me:pa%ss@127.0.0.1:4222", "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := embedded.StartNATS(t.Context(), embedded.NATSOptions{Dir: t.TempDir(), Listen: tt.listen, Log: zerolog.Nop()})
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "\n", "one line")
			require.NotContains(t, err.Error(), "pa%ss", "the error shows the password")
		})
	}
}

func TestNATSStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err := embedded.StartNATS(ctx, embedded.NATSOptions{Dir: dir, Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, startNATS(t, dir, "127.0.0.1:0").Close(), "a failed start must free the directory")
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	_, err := embedded.StartNATS(t.Context(), embedded.NATSOptions{Listen: "127.0.0.1:0"})
	require.ErrorContains(t, err, "--data-dir")
}
