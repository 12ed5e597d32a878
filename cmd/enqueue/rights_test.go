package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// walled is a server whose tenant has an account of its own and may do no more
// than the contract lets a tenant do: no stream info, no create.
const walled = `
listen: "127.0.0.1:-1"
jetstream: {store_dir: %q}
accounts {
  LQ: {
    jetstream: enabled
    users: [{user: worker, password: w}]
    exports: [
      {service: "lookup.jobs.*.*.acme.>", accounts: [ACME]}
      {service: "$KV.LOOKUP_CAMPAIGNS.acme.>", accounts: [ACME]}
      {service: "$JS.API.DIRECT.GET.KV_LOOKUP_CAMPAIGNS.$KV.LOOKUP_CAMPAIGNS.acme.>", accounts: [ACME]}
    ]
  }
  ACME: {
    users: [{user: acme, password: a}]
    imports: [
      {service: {account: LQ, subject: "lookup.jobs.*.*.acme.>"}}
      {service: {account: LQ, subject: "$KV.LOOKUP_CAMPAIGNS.acme.>"}}
      {service: {account: LQ, subject: "$JS.API.DIRECT.GET.KV_LOOKUP_CAMPAIGNS.$KV.LOOKUP_CAMPAIGNS.acme.>"}, to: "LQ.API.DIRECT.GET.KV_LOOKUP_CAMPAIGNS.$KV.LOOKUP_CAMPAIGNS.acme.>"}
    ]
  }
}`

// newWalled starts the server and returns its address and the worker's JetStream.
func newWalled(t *testing.T) (*bundle, string) {
	t.Helper()
	b := &bundle{dir: t.TempDir()}
	opts, err := server.ProcessConfigFile(b.file(t, "nats.conf", fmt.Sprintf(walled, filepath.Join(b.dir, "js"))))
	require.NoError(t, err)
	opts.NoSigs, opts.NoLog = true, true
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(10*time.Second))
	closed := make(chan struct{})
	b.nc, err = nats.Connect(srv.ClientURL(), nats.UserInfo("worker", "w"), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	t.Cleanup(func() { b.nc.Close(); <-closed })
	b.js, err = jetstream.New(b.nc)
	require.NoError(t, err)
	makeStreams(t, b.js, nil)
	return b, strings.Replace(srv.ClientURL(), "nats://", "nats://acme:a@", 1)
}

// With a tenant's rights sending works, to the sealed record and over a resume.
func TestSendWithATenantsRights(t *testing.T) {
	t.Parallel()
	b, url := newWalled(t)
	path := b.file(t, "crm.csv", lines(100))
	base := []string{"--nats", url, "--js-prefix", "LQ.API", "--tenant", "acme"}
	args := append(slices.Clone(base), "send", path, "--route", "offline", "--campaign", "c1", "--job-size", "10")
	got := b.run(t, args...)
	require.Zero(t, got.code, got.stderr)
	require.Len(t, b.storedNumbers(t), 100)
	kv, err := b.js.KeyValue(t.Context(), "LOOKUP_CAMPAIGNS")
	require.NoError(t, err)
	entry, err := kv.Get(t.Context(), "acme.c1")
	require.NoError(t, err)
	require.Contains(t, string(entry.Value()), `"sealed_at"`)

	rewound := strings.Replace(string(entry.Value()), `"sealed_at"`, `"was_sealed_at"`, 1)
	rewound = strings.Replace(rewound, `"published":10`, `"published":3`, 1)
	_, err = kv.Put(t.Context(), "acme.c1", []byte(rewound))
	require.NoError(t, err)
	got = b.run(t, args...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "they are sent again under their ids")
	require.Len(t, b.storedNumbers(t), 100)
	entry, err = kv.Get(t.Context(), "acme.c1")
	require.NoError(t, err)
	require.Contains(t, string(entry.Value()), `"was_sealed_at"`, "unknown fields stay")

	got = b.run(t, append(base, "status", "c1")...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "cannot be counted with these rights (100 numbers)")
	got = b.run(t, append(base, "results", "c1")...)
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "results cannot be read with these rights")
	got = b.run(t, append(base[:4], "--tenant", "other", "send", path, "--route", "offline")...)
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "start a worker first (worker run), and check --nats")
}

// In one account a user who may not publish jobs is told so, at once.
func TestSendWithoutPermission(t *testing.T) {
	t.Parallel()
	b := &bundle{dir: t.TempDir()}
	opts, err := server.ProcessConfigFile(b.file(t, "nats.conf", fmt.Sprintf(`
listen: "127.0.0.1:-1"
jetstream: {store_dir: %q}
authorization: {users: [
  {user: worker, password: w}
  {user: weak, password: x, permissions: {publish: {deny: ["lookup.jobs.>"]}}}
]}`, filepath.Join(b.dir, "js"))))
	require.NoError(t, err)
	opts.NoSigs, opts.NoLog = true, true
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(10*time.Second))
	closed := make(chan struct{})
	b.nc, err = nats.Connect(srv.ClientURL(), nats.UserInfo("worker", "w"), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	t.Cleanup(func() { b.nc.Close(); <-closed })
	b.js, err = jetstream.New(b.nc)
	require.NoError(t, err)
	makeStreams(t, b.js, nil)
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://weak:x@", 1)
	got := b.run(t, "--nats", url, "send", b.file(t, "a.txt", "13800138000\n"), "--route", "r")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "NATS refuses this user")
	require.Contains(t, got.stderr, "--creds")
}
