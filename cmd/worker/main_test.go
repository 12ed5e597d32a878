package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/providers/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	goodKey    = "good6789abcdef0123456789abcdef01"
	revokedKey = "revoked9abcdef0123456789abcdef01"
)

// outcome is what a command came to.
type outcome struct {
	code           int
	stdout, stderr string
}

// command runs the program with an environment of its own.
func command(environment map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(args, env{&stdout, &stderr, func(name string) (string, bool) {
		v, ok := environment[name]
		return v, ok
	}})
	return outcome{code, stdout.String(), stderr.String()}
}

// written puts text into a file of its own, with the addresses filled in.
func written(t *testing.T, text string, replace ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(text)), 0o600))
	return path
}

// oneLineError says that stderr is one line that starts with the program's name.
func oneLineError(t *testing.T, got outcome, want string) {
	t.Helper()
	require.True(t, strings.HasPrefix(got.stderr, "worker: "), got.stderr)
	require.Equal(t, 1, strings.Count(got.stderr, "\n"), got.stderr)
	require.Contains(t, got.stderr, want)
}

// TestUsage: exit codes of the command line itself.
func TestUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"no verb", nil, exitUsage, "expected one of"},
		{"unknown verb", []string{"walk"}, exitUsage, "walk"},
		{"unknown flag", []string{"check", "--fast"}, exitUsage, "unknown flag --fast"},
		{"check embeds nothing", []string{"check", "--embedded"}, exitUsage, "unknown flag --embedded"},
		{"bad duration", []string{"run", "--grace", "long"}, exitUsage, "grace"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := command(nil, tt.args...)
			require.Equal(t, tt.code, got.code)
			require.Contains(t, got.stderr, tt.stderr)
		})
	}
	for _, flag := range []string{"--help", "--version"} {
		got := command(nil, flag)
		require.Equal(t, exitOK, got.code)
		require.NotEmpty(t, got.stdout)
		require.Empty(t, got.stderr)
	}
}

// TestRunFaults: what keeps the daemon from starting is an error with a remedy.
func TestRunFaults(t *testing.T) {
	t.Parallel()
	nats, dead := embeddedtest.RunNATS(t), embeddedtest.FreeAddr(t)
	broken := written(t, "nats: {prefix: \"a b\"}\nrouts: {}\n")
	noNATS := written(t, `nats: {url: "nats://me:hush-hush@DEAD"}`, "DEAD", dead)
	noRedis := written(t, "nats: {url: \"NATS\"}\nredis: {url: \"redis://:hush-hush@DEAD/0\"}\n", "NATS", nats.URL(), "DEAD", dead)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no such file", []string{"run", "--config", filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml does not exist"},
		{"no NATS", []string{"run", "--config", noNATS}, "cannot be used"},
		{"no Redis", []string{"run", "--config", noRedis}, "cannot be reached"},
		{"bad level", []string{"run", "--log-level", "loud"}, "--log-level: log level: use debug"},
		{"bad sync", []string{"run", "--embedded", "--sync", "often"}, "--sync"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := command(nil, tt.args...)
			require.Equal(t, exitError, got.code)
			oneLineError(t, got, tt.want)
			require.Empty(t, got.stdout)
			require.NotContains(t, got.stderr, "hush")
		})
	}
	t.Run("every mistake of a configuration", func(t *testing.T) {
		t.Parallel()
		got := command(nil, "run", "--config", broken)
		require.Equal(t, exitError, got.code)
		require.Contains(t, got.stderr, "worker.yaml:1: nats.prefix")
		require.Contains(t, got.stderr, "worker.yaml:2: routs")
		require.Equal(t, 2, strings.Count(got.stderr, "\n"))
	})
}

const checked = `
nats: {url: "NATS"}
redis: {url: "REDIS"}
routes: {cn: {providers: [qxt]}}
providers:
  qxt:
    type: qxt
    base_url: "UPSTREAM"
    keys: [{name: main, secret: "${QXT_KEY}"}]
`

// TestCheck: what is found, and what becomes of the exit code.
func TestCheck(t *testing.T) {
	t.Parallel()
	nats, redis, dead := embeddedtest.RunNATS(t), embeddedtest.RunRedis(t), embeddedtest.FreeAddr(t)
	profile, err := simulator.ParseProfile([]byte("qxt: {keys: [{key: " + goodKey + ", balance: 5000}]}"))
	require.NoError(t, err)
	sim, err := simulator.Start(t.Context(), "127.0.0.1:0", profile)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close(context.WithoutCancel(t.Context()))) })
	good := []string{"NATS", nats.URL(), "REDIS", redis.URL(), "UPSTREAM", sim.URL() + simulator.QXTPath}
	with := func(name, value string) []string {
		return append([]string{name, value}, good...) // the first counts
	}
	tests := []struct {
		name   string
		config string
		key    string
		code   int
		faults string
		stdout []string
	}{
		{"all is well", written(t, checked, good...), goodKey, exitOK, "", []string{
			"WHAT ", "configuration ", "nats ", "jetstream ", "streams ", "redis ", "provider qxt, key main  ok ", "authorised, balance 5000 lookups",
		}},
		{"tenants in one account", written(t, "tenants: {acme: {}}"+checked, good...), goodKey, exitOK, "", []string{"tenants ", "warn ", "one account for all"}},
		{"revoked key", written(t, checked, good...), revokedKey, exitError, "1 fault", []string{"FAIL ", "not authorised", "correct the secret"}},
		{"dead upstream", written(t, checked, with("UPSTREAM", "http://"+dead)...), goodKey, exitError, "1 fault", []string{"FAIL ", "not reachable", "correct base_url"}},
		{"dead NATS", written(t, checked, with("NATS", "nats://"+dead)...), goodKey, exitError, "1 fault", []string{"nats ", "FAIL ", "correct nats.url", "authorised"}},
		{"dead Redis", written(t, checked, with("REDIS", "redis://"+dead)...), goodKey, exitError, "1 fault", []string{"redis ", "FAIL ", "correct redis.url", "authorised"}},
		{"wrong configuration", written(t, "retri: {}\nresults: {max_items: 0}\n"), goodKey, exitError, "2 faults", []string{"worker.yaml:1: retri", "worker.yaml:2: results.max_items"}},
		{"no configuration", filepath.Join(t.TempDir(), "none.yaml"), goodKey, exitError, "1 fault", []string{"does not exist"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			environment := map[string]string{"QXT_KEY": tt.key}
			got := command(environment, "check", "--config", tt.config)
			require.Equal(t, tt.code, got.code, got.stdout)
			for _, want := range tt.stdout {
				require.Contains(t, got.stdout, want)
			}
			if tt.code == exitOK {
				require.Empty(t, got.stderr)
			} else {
				oneLineError(t, got, tt.faults)
			}
			require.NotContains(t, got.stdout+got.stderr, tt.key)

			asJSON := command(environment, "check", "--json", "--config", tt.config)
			require.Equal(t, tt.code, asJSON.code)
			var doc struct {
				OK     bool `json:"ok"`
				Checks []struct {
					What, Status, Detail, Remedy string
				} `json:"checks"`
			}
			require.NoError(t, json.Unmarshal([]byte(asJSON.stdout), &doc))
			require.Equal(t, tt.code == exitOK, doc.OK)
			require.Len(t, doc.Checks, strings.Count(got.stdout, "\n")-1, "a line each")
			for _, c := range doc.Checks {
				require.Contains(t, []string{"ok", "warn", "fail"}, c.Status)
			}
		})
	}
}
