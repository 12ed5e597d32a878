package natsctx

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "nats", "context")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600))
	}
	write("prod", `{"description":"x","url":"nats://a,nats://b","creds":"~/c.creds","jetstream_api_prefix":"LQ.API","inbox_prefix":"_I","color_scheme":""}`)
	write("hub", `{"url":"tls://a","jetstream_domain":"hub","user":"u","password":"p","tls_first":true}`)
	write("nsc", `{"url":"nats://a","nsc":"nsc://o/a/u"}`)
	write("broken", `{`)
	getenv := func(k string) (string, bool) { return home, k == "HOME" }

	c, err := Load("prod", getenv)
	require.NoError(t, err)
	require.Equal(t, Context{URL: "nats://a,nats://b", Creds: filepath.Join(home, "c.creds"), JSPrefix: "LQ.API", InboxPrefix: "_I"}, c)
	c, err = Load("hub", func(k string) (string, bool) { return filepath.Join(home, ".config"), k == "XDG_CONFIG_HOME" })
	require.NoError(t, err)
	require.Equal(t, Context{URL: "tls://a", User: "u", Password: "p", JSDomain: "hub", JSPrefix: "$JS.hub.API", TLSFirst: true}, c)

	for name, want := range map[string]string{
		"other": "there are: broken, hub, nsc, prod", "nsc": "give --creds FILE", "broken": "broken.json", "../prod": "not a path", "": "not a path",
	} {
		_, err := Load(name, getenv)
		require.ErrorContains(t, err, want, name)
	}
	_, err = Load("prod", func(string) (string, bool) { return "", false })
	require.ErrorContains(t, err, "HOME")
	_, err = Load("prod", func(k string) (string, bool) { return "/nowhere", k == "HOME" })
	require.ErrorContains(t, err, "there are no contexts")
}
