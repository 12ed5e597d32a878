package worker

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/catalog"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/simulator"
)

// line is a finding as the tests compare it.
func line(f Finding) string { return string(f.Status) + " " + f.What }

func lines(all []Finding) []string {
	out := make([]string, 0, len(all))
	for _, f := range all {
		out = append(out, line(f))
	}
	return out
}

// of is the findings about what.
func about(all []Finding, what string) []Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.What != what })
}

// simulated starts the upstream simulator.
func simulated(t *testing.T, text string) string {
	t.Helper()
	profile, err := simulator.ParseProfile([]byte(text))
	require.NoError(t, err)
	sim, err := simulator.Start(t.Context(), "127.0.0.1:0", profile)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close(context.WithoutCancel(t.Context()))) })
	return sim.URL()
}

// realTypes are those of the catalog.
func realTypes() ProviderTypes {
	types := ProviderTypes{}
	for _, e := range catalog.All() {
		types[e.Type] = e.New
	}
	return types
}

// configured reads a configuration with addresses filled in.
func configured(t *testing.T, text string, types ProviderTypes, replace ...string) *Config {
	t.Helper()
	c, err := newReader("worker.yaml", "", lookup(nil)).load([]byte(strings.NewReplacer(replace...).Replace(text)), types)
	require.NoError(t, err)
	return c
}

const checkedConfig = `
nats: {url: "NATS"}
redis: {url: "REDIS"}
tenants: {acme: {}, "*": {}}
routes: {cn: {providers: [qxt, away, offline]}}
providers:
  offline: {type: offline}
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    keys:
      - {name: good, secret: "good6789abcdef0123456789abcdef01"}
      - {name: low, secret: "low56789abcdef0123456789abcdef01", low_balance: 100}
      - {name: empty, secret: "empty789abcdef0123456789abcdef01"}
      - {name: postpaid, secret: "post6789abcdef0123456789abcdef01"}
      - {name: revoked, secret: "revoked9abcdef0123456789abcdef01"}
  away:
    type: qxt
    base_url: "http://DEAD"
    keys: [{name: main, secret: "good6789abcdef0123456789abcdef02"}]
`

const checkedProfile = `
qxt:
  keys:
    - {key: good6789abcdef0123456789abcdef01, balance: 5000}
    - {key: low56789abcdef0123456789abcdef01, balance: 42}
    - {key: empty789abcdef0123456789abcdef01, balance: 0}
    - {key: post6789abcdef0123456789abcdef01, balance: -2047, fee_type: 后付费}
`

// TestExamine: each thing that may be wrong, on real servers.
func TestExamine(t *testing.T) {
	t.Parallel()
	nats, redis := embeddedtest.RunNATS(t), embeddedtest.RunRedis(t)
	cfg := configured(t, checkedConfig, realTypes(), "NATS", nats.URL(), "REDIS", redis.URL(),
		"SIM", simulated(t, checkedProfile), "DEAD", embeddedtest.FreeAddr(t))
	started := time.Now()
	all := Examine(t.Context(), cfg, realTypes())
	require.Less(t, time.Since(started), allChecksTimeout)
	require.Equal(t, []string{
		"ok configuration", "warn configuration", "warn configuration", "warn configuration", "warn configuration", "warn configuration", "warn configuration",
		"ok nats", "ok jetstream", "ok streams", "warn tenants", "ok redis",
		"fail provider away, key main", "ok provider offline", "ok provider qxt, key good", "warn provider qxt, key low",
		"fail provider qxt, key empty", "ok provider qxt, key postpaid", "fail provider qxt, key revoked",
	}, lines(all))
	worst, n := Worst(all)
	require.Equal(t, LevelFault, worst)
	require.Equal(t, 3, n)
	detail := func(what string) string { return about(all, what)[0].Detail }
	require.Contains(t, detail("configuration"), "1 route, 3 providers, 6 keys")
	require.Contains(t, detail("nats"), "account $G")
	require.Contains(t, detail("streams"), "worker run makes them")
	require.Contains(t, detail("tenants"), "2 tenants configured, and NATS has one account for all")
	require.Contains(t, detail("provider away, key main"), "not reachable")
	require.Equal(t, "authorised, balance 5000 lookups", detail("provider qxt, key good"))
	require.Equal(t, "authorised, balance 42 lookups, below low_balance 100", detail("provider qxt, key low"))
	require.Equal(t, "authorised, balance -2047 lookups (postpaid)", detail("provider qxt, key postpaid"))
	require.Contains(t, detail("provider qxt, key revoked"), "not authorised")
	text, err := json.Marshal(all)
	require.NoError(t, err)
	for _, p := range cfg.Providers {
		for _, k := range p.Keys {
			require.NotContains(t, string(text), k.Secret.Reveal())
		}
	}
	for _, f := range all {
		require.NotContains(t, f.Detail+f.Remedy, "\n")
		require.True(t, f.Status != LevelFault || f.Remedy != "", "%s: a fault needs a remedy", f.What)
	}
	rdb := redis.Client()
	require.Eventually(t, func() bool { return rdb.DBSize(t.Context()).Val() == 0 }, 10*time.Second, 50*time.Millisecond, "nothing is left behind")
}

// checkNATS examines NATS alone.
func checkNATS(t *testing.T, c *Config) []Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
	defer cancel()
	return examineNATS(ctx, c)
}

func natsAt(url string) *Config {
	c := DefaultConfig()
	c.NATS.URL = url
	return c
}

// TestExamineStreams: what is there, what is wrong with it.
func TestExamineStreams(t *testing.T) {
	t.Parallel()
	n := embeddedtest.RunNATS(t)
	js, err := jetstream.New(n.Connect())
	require.NoError(t, err)
	c := natsAt(n.URL())
	require.NoError(t, jobs.EnsureStreams(t.Context(), js, c.Names(), jobs.StreamOptions{Replicas: 1}))
	found := checkNATS(t, c)
	require.Equal(t, []string{"ok nats", "ok jetstream", "ok streams"}, lines(found))
	require.Equal(t, "all 8 are there", found[2].Detail)

	require.NoError(t, js.DeleteStream(t.Context(), c.Names().DeadStream()))
	found = checkNATS(t, c)
	require.Equal(t, "worker run makes what is not there yet: LOOKUP_DEAD", found[2].Detail)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: c.Names().DeadStream(), Subjects: []string{"lookup.dead.>"}, Retention: jetstream.WorkQueuePolicy, MaxBytes: 1000, Discard: jetstream.DiscardNew,
	})
	require.NoError(t, err)
	found = checkNATS(t, c)
	require.Equal(t, []string{"ok nats", "ok jetstream", "fail stream LOOKUP_DEAD"}, lines(found))
	require.Contains(t, found[2].Detail, "has retention WorkQueue and must have Limits")

	results, err := js.Stream(t.Context(), c.Names().ResultsStream())
	require.NoError(t, err)
	full := results.CachedInfo().Config
	full.MaxBytes = 1000
	_, err = js.UpdateStream(t.Context(), full)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), c.Names().ResultsSubject("acme", "x"), make([]byte, 900))
	require.NoError(t, err)
	found = about(checkNATS(t, c), "stream LOOKUP_RESULTS")
	require.Equal(t, []string{"warn stream LOOKUP_RESULTS"}, lines(found))
}

// runServer starts a NATS server from its own configuration file.
func runServer(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	text = strings.ReplaceAll(text, "STORE", t.TempDir())
	require.NoError(t, os.WriteFile(path, []byte("listen: 127.0.0.1:-1\n"+text), 0o600))
	opts, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(20*time.Second))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.Addr().String()
}

const accounts = `
jetstream: {store_dir: "STORE"}
accounts: {
  WORKERS: {jetstream: enabled, users: [
    {user: all, password: hush-hush}
    {user: reader, password: hush-hush, permissions: {publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.>", "$SYS.REQ.USER.INFO"], subscribe: "_INBOX.>"}}
    {user: blind, password: hush-hush, permissions: {publish: ["$JS.API.INFO"], subscribe: "_INBOX.>"}}
    {user: nobody, password: hush-hush, permissions: {publish: ["x"], subscribe: "_INBOX.>"}}
  ]}
  PLAIN: {users: [{user: plain, password: hush-hush}]}
}
`

// TestExamineRights: what a user may not do is said fast, and by name.
func TestExamineRights(t *testing.T) {
	t.Parallel()
	addr := runServer(t, accounts)
	tests := map[string]struct {
		want   []string
		detail string // of the last
	}{
		"all":    {[]string{"ok nats", "ok jetstream", "ok streams", "ok tenants"}, "1 tenant configured; the worker has account WORKERS"},
		"reader": {[]string{"ok nats", "ok jetstream", "fail streams", "ok tenants"}, ""},
		"blind": {[]string{
			"ok nats", "ok jetstream", "fail stream LOOKUP_JOBS", "fail stream LOOKUP_WEBHOOKS", "fail stream LOOKUP_RESULTS",
			"fail stream LOOKUP_EVENTS", "fail stream LOOKUP_DEAD", "fail stream KV_LOOKUP_CAMPAIGNS", "fail stream KV_LOOKUP_TICKETS",
			"fail stream KV_LOOKUP_WORKERS", "warn tenants",
		}, "does not tell"},
		"nobody": {[]string{"ok nats", "fail jetstream", "warn tenants"}, ""},
		"plain":  {[]string{"ok nats", "fail jetstream", "ok tenants"}, ""},
	}
	for user, tt := range tests {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := natsAt("nats://" + user + ":hush-hush@" + addr)
			c.Tenants = map[string]Tenant{"acme": {}}
			started := time.Now()
			found := checkNATS(t, c)
			require.Less(t, time.Since(started), quickly, "no question waits for an answer that cannot come")
			require.Equal(t, tt.want, lines(found))
			require.Contains(t, found[len(found)-1].Detail, tt.detail)
			for _, f := range found {
				require.NotContains(t, f.Detail, "hush")
			}
		})
	}
}

// TestExamineNATSFaults: what is wrong before any question.
func TestExamineNATSFaults(t *testing.T) {
	t.Parallel()
	plain := runServer(t, "max_payload: 64KB\n")
	closed := runServer(t, accounts)
	tests := map[string]struct {
		url    string
		want   []string
		detail string // of the last
	}{
		"nobody there":   {"nats://u:hush-hush@" + embeddedtest.FreeAddr(t), []string{"fail nats"}, "cannot be used"},
		"wrong password": {"nats://all:hush-hush-2@" + closed, []string{"fail nats"}, "Authorization"},
		"no JetStream":   {"nats://" + plain, []string{"warn nats", "fail jetstream"}, "not enabled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := checkNATS(t, natsAt(tt.url))
			require.Equal(t, tt.want, lines(found))
			last := found[len(found)-1]
			require.Contains(t, last.Detail, tt.detail)
			require.NotEmpty(t, last.Remedy)
			require.NotContains(t, last.Detail, "hush")
		})
	}
}

// TestExamineRedis: the server's own warnings, and what a user may not do.
func TestExamineRedis(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"ok redis"}, lines(examineRedis(t.Context(), embeddedtest.RunMiniRedis(t).URL())))
	found := examineRedis(t.Context(), "redis://:hush-hush@"+embeddedtest.FreeAddr(t)+"/0")
	require.Equal(t, []string{"fail redis"}, lines(found))
	require.Contains(t, found[0].Remedy, "correct redis.url")
	require.NotContains(t, found[0].Detail, "hush")

	r := embeddedtest.RunRedis(t)
	if !r.Real() {
		t.Skip("the rest needs redis-server on PATH")
	}
	rdb := r.Client()
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	found = examineRedis(t.Context(), r.URL())
	require.Equal(t, []string{"ok redis", "warn redis"}, lines(found))
	require.Equal(t, "set maxmemory-policy noeviction", found[1].Remedy)
	require.NoError(t, rdb.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	found = examineRedis(t.Context(), r.URL())
	require.Equal(t, []string{"fail redis"}, lines(found))
	require.Contains(t, found[0].Remedy, "use a primary")
}

// mute is a provider that tells nothing for nothing; checker one that says whether
// it takes a key.
type mute struct{ fakeProvider }

type checker struct {
	fakeProvider
	failure *providers.Failure
}

// Check implements providers.Checker.
func (c checker) Check(context.Context, providers.Key) *providers.Failure { return c.failure }

// reader is one whose balance call fails, or panics.
type faultyReader struct {
	fakeProvider
	*purse
}

// TestExamineKeys: one key of each kind of provider.
func TestExamineKeys(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ln.Close()) })
	open, dead := "http://"+ln.Addr().String(), "http://"+embeddedtest.FreeAddr(t)
	failing := func(k providers.Kind) providers.Provider {
		return checker{failure: &providers.Failure{Kind: k, Code: "7"}}
	}
	tests := []struct {
		name   string
		impl   providers.Provider
		base   string
		want   Level
		detail string
	}{
		{"reachable", mute{}, open, LevelOK, "authorised: not checked, a lookup would cost"},
		{"dead address", mute{}, dead, LevelFault, "not reachable"},
		{"no TLS there", mute{}, "https://" + embeddedtest.FreeAddr(t), LevelFault, "not reachable"},
		{"address of the type", mute{}, "", LevelWarn, "not checked"},
		{"takes the key", checker{}, "", LevelOK, "authorised"},
		{"revoked", failing(providers.KindUnauthorized), "", LevelFault, "not authorised: unauthorized (code 7)"},
		{"not from here", failing(providers.KindForbidden), "", LevelFault, "not allowed"},
		{"spent", failing(providers.KindNoBalance), "", LevelFault, "nothing left"},
		{"too fast", failing(providers.KindThrottled), "", LevelWarn, "too fast"},
		{"hangs", failing(providers.KindTimeout), "", LevelFault, "not reachable"},
		{"somebody else's page", failing(providers.KindGarbled), "", LevelFault, "not answer as documented"},
		{"not known", failing(providers.KindUndocumented), "", LevelFault, "the check failed"},
		{"panics", faultyReader{purse: &purse{panics: true}}, "", LevelFault, "panicked"},
		{"balance", faultyReader{purse: &purse{balance: queries(12048)}}, "", LevelOK, "authorised, balance 12048 lookups"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			types := ProviderTypes{"px": func(setup.Config) (providers.Provider, error) { return tt.impl, nil }}
			checks, done := examineProvider(&Config{Providers: map[string]Provider{
				"px": {Type: "px", BaseURL: tt.base, Keys: []Key{{Name: "main", Secret: providers.NewSecret("hush-hush")}}},
			}}, "px", types)
			defer done()
			require.Len(t, checks, 1)
			ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
			defer cancel()
			found := checks[0](ctx)
			require.Equal(t, []string{string(tt.want) + " provider px, key main"}, lines(found))
			require.Contains(t, found[0].Detail, tt.detail)
		})
	}
	checks, done := examineProvider(&Config{Providers: map[string]Provider{"px": {Type: "py"}}}, "px", ProviderTypes{})
	defer done()
	require.Equal(t, []string{"fail provider px"}, lines(checks[0](t.Context())))
}

// TestFindingsHideSecrets: whatever brought them there.
func TestFindingsHideSecrets(t *testing.T) {
	t.Parallel()
	found := redactFindings([]Finding{{What: "x", Detail: "the key hush-hush is odd", Remedy: "ask for hush-hush"}}, []string{"hush-hush"})
	require.Equal(t, "the key [redacted] is odd ask for [redacted]", found[0].Detail+" "+found[0].Remedy)
}

// TestLoadFindings: every fault of a configuration is a line.
func TestLoadFindings(t *testing.T) {
	t.Parallel()
	_, err := load(t, "nats: {prefix: \"a b\"}\nrouts: {}\n", nil)
	found := LoadFindings(err)
	require.Equal(t, []string{"fail configuration", "fail configuration"}, lines(found))
	require.Contains(t, found[1].Detail, "worker.yaml:2: routs: unknown field; did you mean routes?")
	_, err = LoadConfig("none.yaml", lookup(nil), fakeTypes())
	found = LoadFindings(err)
	require.Equal(t, []string{"fail configuration"}, lines(found))
	require.Contains(t, found[0].Detail, "none.yaml does not exist")
	require.Equal(t, "0 B 1023 B 1 KiB 1.5 MiB 3 TiB", strings.Join([]string{size(0), size(1023), size(1024), size(3 << 19), size(3 << 40)}, " "))
}
