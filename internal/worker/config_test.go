package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// fakeProvider stands in for the catalog: the loader asks for its limits only.
type fakeProvider struct {
	providers.Provider
	limits providers.Limits
}

func (p fakeProvider) Limits() providers.Limits { return p.limits }

// fakeTypes are two types: one that needs no key, and one with limits and a setting.
func fakeTypes() ProviderTypes {
	return ProviderTypes{
		"offline": func(setup.Config) (providers.Provider, error) {
			return fakeProvider{limits: providers.Limits{Keyless: true, DefaultBatch: 1000, Timeout: time.Second}}, nil
		},
		"qxt": func(c setup.Config) (providers.Provider, error) {
			var s struct {
				Code int `yaml:"code"`
			}
			if err := setup.Decode(c.Settings, &s); err != nil {
				return nil, setup.Join("settings", err)
			}
			return fakeProvider{limits: providers.Limits{
				MaxBatch: 1000, DefaultBatch: 500, Timeout: 15 * time.Second, Concurrency: 4, Rate: 5,
			}}, nil
		},
	}
}

// load writes text to worker.yaml and loads it with the given environment.
func load(t *testing.T, text string, env map[string]string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return LoadConfig(path, lookup(env), fakeTypes())
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

const full = `
nats:      {url: "nats://u:${NATS_PASSWORD}@127.0.0.1:4222", creds: "", tls: {ca: "", cert: "", key: ""}, prefix: lk, stream_prefix: LK, replicas: 3}
redis:     {url: "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0"}
http:      {listen: "127.0.0.1:0"}
claim:     {lanes_active: 32, lanes_max: 128, max_held: 20000}
results:   {max_items: 100, max_wait: 500ms}
retry:     {initial: 100ms, max: 1m, attempts: 5}
tenants:
  acme:    {weight: 3, max_priority: normal, share_group: group}
  "*":     {}
routes:
  carrier-cn: {providers: [qxt], region: cn, linger: 50ms, cache_ttl: 7d, expires: 12h, include_raw: true, failover_on: [not_found]}
  quick:      {providers: [qxt, local]}
  free:       {providers: [local]}
providers:
  qxt:
    type: qxt
    base_url: "https://isp.example/"
    batch: 1000
    timeout: 10s
    concurrency: 8
    rate: 100/m
    number_rate: "5000/s"
    keys:
      - {name: main, secret: "${QXT_KEY}", concurrency: 2, rate: "20/3s", number_rate: "5000/s", price: "0.002CNY"}
      - {name: second, secret: "file:key.txt"}
    settings: {code: 7}
  local: {type: offline}
`

func TestLoadEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "worker.yaml")
	require.NoError(t, os.WriteFile(path, []byte(full), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.txt"), []byte("from-a-file\n"), 0o600))
	c, err := LoadConfig(path, lookup(map[string]string{
		"NATS_PASSWORD": "natspw", "REDIS_PASSWORD": "redispw", "QXT_KEY": "k-main",
		"LOOKUPQ_CLAIM_LANES_ACTIVE": "16", "LOOKUPQ_ROUTES_CARRIER_CN_LINGER": "20ms", "LOOKUPQ_HTTP_LISTEN": "",
	}), fakeTypes())
	require.NoError(t, err)

	require.Equal(t, NATSConfig{
		URL: "nats://u:natspw@127.0.0.1:4222", Prefix: "lk", StreamPrefix: "LK", Replicas: 3,
	}, c.NATS)
	require.Equal(t, RedisConfig{URL: "redis://:redispw@127.0.0.1:6379/0", Configured: true}, c.Redis)
	require.Equal(t, "127.0.0.1:0", c.HTTP.Listen, "an empty variable is none")
	require.Equal(t, ClaimConfig{LanesActive: 16, LanesMax: 128, MaxHeld: 20000}, c.Claim)
	require.Equal(t, ResultsConfig{MaxItems: 100, MaxWait: 500 * time.Millisecond}, c.Results)
	require.Equal(t, RetryConfig{Initial: 100 * time.Millisecond, Max: time.Minute, Attempts: 5}, c.Retry)
	require.Equal(t, Route{
		Providers: []string{"qxt"}, Region: "CN", Linger: 20 * time.Millisecond, CacheTTL: 7 * 24 * time.Hour,
		Expires: 12 * time.Hour, IncludeRaw: true, FailoverOn: []string{"not_found"},
	}, c.Routes["carrier-cn"])
	require.Equal(t, defaultCacheTTL, c.Routes["quick"].CacheTTL)
	require.Zero(t, c.Routes["free"].CacheTTL, "what costs nothing needs no cache")

	p := c.Providers["qxt"]
	require.Equal(t, "https://isp.example", p.BaseURL)
	require.Equal(t, 1000, p.Batch)
	require.Equal(t, 10*time.Second, p.Timeout)
	require.Equal(t, 8, p.Concurrency)
	require.InDelta(t, 100.0/60, p.Rate, 1e-9)
	require.InDelta(t, 5000, p.NumberRate.PerSecond, 1e-9)
	require.Equal(t, providers.Cost{Amount: "0.002", Currency: "CNY"}, p.Keys[0].Price)
	require.Equal(t, "k-main", p.Keys[0].Secret.Reveal())
	require.InDelta(t, 20.0/3, p.Keys[0].Rate, 1e-9)
	require.Equal(t, "from-a-file", p.Keys[1].Secret.Reveal())
	require.Equal(t, 4, p.Keys[1].Concurrency, "the type's default")
	require.InDelta(t, 5, p.Keys[1].Rate, 1e-9, "the type's default")
	require.Equal(t, names.Names{Prefix: "lk", StreamPrefix: "LK"}, c.Names())
	require.Equal(t, []string{"carrier-cn", "free", "quick"}, c.RouteNames())
	require.ElementsMatch(t, []string{"k-main", "from-a-file", "natspw", "redispw"}, c.Secrets())
	require.Empty(t, c.Warnings)
}

func TestTenants(t *testing.T) {
	t.Parallel()
	listed := map[string]Tenant{"acme": {Weight: 3, MaxPriority: names.Normal, ShareGroup: "group"}}
	open := map[string]Tenant{"acme": listed["acme"], anyTenant: {Weight: 2, MaxPriority: names.Bulk}}
	for name, tt := range map[string]struct {
		tenants map[string]Tenant
		ask     string
		want    Tenant
		ok      bool
	}{
		"nothing configured":  {nil, "anyone", Tenant{Weight: 1, MaxPriority: names.High, ShareGroup: "anyone"}, true},
		"listed":              {listed, "acme", listed["acme"], true},
		"not listed":          {listed, "other", Tenant{}, false},
		"not listed but open": {open, "other", Tenant{Weight: 2, MaxPriority: names.Bulk, ShareGroup: "other"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{Tenants: tt.tenants}
			got, ok := c.Tenant(tt.ask)
			require.Equal(t, tt.ok, ok)
			require.Equal(t, tt.want, got)
		})
	}
}

// Without a file the worker serves `offline` on this machine, and scalars can
// still come from the environment.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty file": "", "comment": "# nothing\n", "null sections": "nats:\nroutes:\nproviders:\n"} {
		c, err := load(t, text, nil)
		require.NoError(t, err, name)
		require.Equal(t, []string{"offline"}, c.RouteNames(), name)
	}
	c, err := LoadConfig("", lookup(map[string]string{
		"LOOKUPQ_NATS_URL": "nats://nats:4222", "LOOKUPQ_ROUTES_OFFLINE_REGION": "CN",
	}), fakeTypes())
	require.NoError(t, err)
	require.Equal(t, "nats://nats:4222", c.NATS.URL)
	require.False(t, c.Redis.Configured)
	require.Equal(t, Route{Providers: []string{"offline"}, Region: "CN", Linger: 100 * time.Millisecond}, c.Routes["offline"])
	require.Equal(t, 1000, c.Providers["offline"].Batch)
}

// Everything wrong is said in one go, in the order of the file, with the remedy.
func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, `nats: {url: "http://x", replicas: 9, prefix: "a b"}
redis: {url: "${NOT_SET}"}
claim: {lanes_active: 64, lanes_max: 8, max_hold: 5}
results: {max_items: 1001, max_wait: 2 s}
retry: {initial: 1m, max: 1s}
tenants: {"a.b": {}, acme: {weight: 0, max_priority: urgent}}
routes:
  carrier-cn: {providers: [qtx, qxt, qxt], region: UK, failover_on: [failed]}
  empty: {linger: 1.5s}
providers:
  qxt:
    type: qxt
    batch: 1001
    rate: 20
    keys:
      - {name: main, secret: "$QXT_KEY", price: 2}
      - {name: main, secret: "file:none.txt"}
      - {secret: ""}
    settings: {code: x, colour: red}
  mine: {type: qxr}
  free: {type: offline, keys: [{name: a, secret: literal}]}
`, map[string]string{"LOOKUPQ_CLAIM_MAX_HELD": "few"})
	var faults ConfigError
	require.ErrorAs(t, err, &faults)
	got := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`worker.yaml:1: nats.url: must be an address like "nats://127.0.0.1:4222"`,
		`worker.yaml:1: nats.replicas: must be a whole number from 1 to 5, not "9"`,
		`worker.yaml:1: nats.prefix: must match`,
		`worker.yaml:2: redis.url: needs the environment variable NOT_SET, which is not set`,
		`worker.yaml:3: claim.max_hold: unknown field; did you mean max_held?`,
		`worker.yaml:3: claim.lanes_max: is 8, below claim.lanes_active (64)`,
		`LOOKUPQ_CLAIM_MAX_HELD: claim.max_held: must be a whole number from 1000`,
		`worker.yaml:4: results.max_items: must be a whole number from 1 to 1000, not "1001"`,
		`worker.yaml:4: results.max_wait: duration "2 s": write a whole number`,
		`worker.yaml:5: retry.max: is 1s, below retry.initial (1m)`,
		`worker.yaml:6: tenants.a.b: must be 1 to 64 letters`,
		`worker.yaml:6: tenants.acme.weight: must be a whole number from 1`,
		`worker.yaml:6: tenants.acme.max_priority: priority "urgent": use high, normal or bulk`,
		`worker.yaml:8: routes.carrier-cn.providers: names the provider "qtx", which is not below providers; did you mean qxt?`,
		`worker.yaml:8: routes.carrier-cn.providers: names "qxt" twice`,
		`worker.yaml:8: routes.carrier-cn.region: must be an ISO 3166-1 code: write GB`,
		`worker.yaml:8: routes.carrier-cn.failover_on[0]: knows not_found only, not "failed"`,
		`worker.yaml:9: routes.empty: has no providers`,
		`worker.yaml:9: routes.empty.linger: duration "1.5s"`,
		`worker.yaml:14: providers.qxt.rate: must be a rate like "20/s"`,
		`worker.yaml:16: providers.qxt.keys[0].secret: looks like a variable but is none`,
		`worker.yaml:16: providers.qxt.keys[0].price: must be an amount and a currency like "0.002CNY"`,
		`worker.yaml:17: providers.qxt.keys[1].secret: names the file `,
		`worker.yaml:18: providers.qxt.keys[2]: has no name`,
		`worker.yaml:18: providers.qxt.keys[2].secret: is empty`,
		`worker.yaml:19: providers.qxt.settings.code: cannot unmarshal`,
		`worker.yaml:19: providers.qxt.settings.colour: is no setting of this type`,
		`worker.yaml:20: providers.mine.type: is "qxr", which is no provider type; did you mean qxt?`,
		`worker.yaml:21: providers.free.keys: are of no use: offline needs no key`,
	} {
		i := 0
		for i < len(got) && !strings.HasPrefix(got[i], want) {
			i++
		}
		require.Less(t, i, len(got), "missing: %s\nin:\n%s", want, err)
		got = append(got[:i], got[i+1:]...)
	}
	require.Empty(t, got, "faults that nobody expected")
}

// What check finds once the single fields are right.
func TestCrossChecks(t *testing.T) {
	t.Parallel()
	const qxt = "providers:\n  qxt: {type: qxt, %s keys: [{name: main, secret: literal}]}\n"
	for name, tt := range map[string]struct{ text, want string }{
		"batch above the documented maximum": {
			"routes: {r: {providers: [qxt]}}\n" + strings.Replace(qxt, "%s", "batch: 1001,", 1),
			"worker.yaml:3: providers.qxt.batch: is 1001, above 1000, the documented maximum of qxt: lower it",
		},
		"no routes":        {strings.Replace(qxt, "%s", "", 1), "worker.yaml: routes: has no route: add one"},
		"empty routes":     {"routes: {}\n", "worker.yaml:1: routes: has no route"},
		"no keys":          {"routes: {r: {providers: [q]}}\nproviders: {q: {type: qxt}}\n", "worker.yaml:2: providers.q: has no keys"},
		"no type":          {"routes: {r: {providers: [q]}}\nproviders: {q: {batch: 1}}\n", "worker.yaml:2: providers.q: has no type: add `type: offline`"},
		"half of tls":      {"nats: {tls: {cert: worker.yaml}}\n", "worker.yaml:1: nats.tls: needs cert and key together"},
		"creds missing":    {"nats: {creds: none.creds}\n", "worker.yaml:1: nats.creds: names the file "},
		"key named twice":  {"routes: {r: {providers: [q]}}\nproviders: {q: {type: qxt, keys: [{name: a, secret: s1}, {name: a, secret: s2}]}}\n", `worker.yaml:2: providers.q.keys: two are named "a"`},
		"value for a map":  {"nats: nats://x\n", "worker.yaml:1: nats: must be a mapping"},
		"map for a value":  {"http: {listen: {host: x}}\n", "worker.yaml:1: http.listen: takes one value"},
		"value for a list": {"routes: {r: {providers: offline}}\n", "worker.yaml:1: routes.r.providers: must be a list"},
		"list in a list":   {"routes: {r: {providers: [[offline]]}}\n", "worker.yaml:1: routes.r.providers[0]: takes one value"},
		"field twice":      {"http: {listen: \":1\"}\nhttp: {listen: \":2\"}\n", "worker.yaml:2: http: stands twice, first in line 1"},
		"later field":      {"webhooks: {}\n", "worker.yaml:1: webhooks: unknown field"},
		"list at the top":  {"- a\n", "worker.yaml:1: must be a mapping"},
		"no YAML":          {"nats: {url: x\n", "worker.yaml"},
		"tab":              {"nats:\n\turl: x\n", "worker.yaml:2: is not YAML: found character"},
		"two documents":    {"http: {}\n---\nhttp: {}\n", "worker.yaml: has several documents"},
		"spaces in secret": {"routes: {r: {providers: [q]}}\nproviders: {q: {type: qxt, keys: [{name: a, secret: \"a b\"}]}}\n", "worker.yaml:2: providers.q.keys[0].secret: holds spaces"},
		"alias to itself":  {"a: &a {b: *a}\n", "worker.yaml:1: a: unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tt.text, nil)
			require.ErrorContains(t, err, tt.want)
			require.True(t, strings.HasPrefix(err.Error(), "worker.yaml"), "%v", err)
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := load(t, `routes: {r: {providers: [a]}}
providers:
  a: {type: qxt, keys: [{name: k1, secret: "${KEY}"}, {name: k2, secret: "${KEY}"}]}
  b: {type: qxt, keys: [{name: k, secret: literal}]}
`, map[string]string{"KEY": "value"})
	require.NoError(t, err)
	require.Len(t, c.Warnings, 3)
	all := strings.Join(c.Warnings, "\n")
	require.Contains(t, all, `worker.yaml:4: providers.b.keys[0].secret: the credential stands in the file itself`)
	require.Contains(t, all, "worker.yaml:4: providers.b: no route uses it")
	require.Contains(t, all, "worker.yaml:3: providers.a.keys: key k2 has the secret of a.k1")
	require.NotContains(t, all, "literal")
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := LoadConfig("/nowhere/worker.yaml", lookup(nil), fakeTypes())
	require.ErrorContains(t, err, "/nowhere/worker.yaml does not exist: name the configuration with --config")
}

// No error may show what is meant to be secret.
func TestFaultsHideSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3cretvalue"
	for _, text := range []string{
		`redis: {url: "nonsense:` + secret + `@host"}`,
		`nats: {url: "nats://u:` + secret + `@%zz"}`,
		"routes: {r: {providers: [q]}}\nproviders: {q: {type: qxt, keys: [{name: a, secret: \"" + secret + " x\"}]}}",
		"routes: {r: {providers: [q]}}\nproviders: {q: {type: qxt, base_url: \"https://" + secret + "@host\", keys: [{name: a, secret: ab}]}}",
	} {
		_, err := load(t, text, nil)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"20/s": 20, "90/m": 1.5, "3600/h": 1, "5/2s": 2.5, "0.5/s": 0.5} {
		got, err := parseRate(text)
		require.NoError(t, err, text)
		require.InDelta(t, want, got, 1e-9, text)
	}
	for _, text := range []string{"", "20", "0/s", "20/", "20/0s", "-1/s", "20/ms", "20/d", "1e3/s", "20 /s", "20/s/s"} {
		_, err := parseRate(text)
		require.Error(t, err, text)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"providers", "routes", "redis", "retry"}
	require.Equal(t, "; did you mean providers?", suggest("provider", known))
	require.Equal(t, "; did you mean redis?", suggest("Redsi", known))
	require.Equal(t, "; known are providers, redis, retry, routes", suggest("webhooks", known))
	require.Equal(t, "; none is known", suggest("x", nil))
}

// A hostile or broken file must give faults, never a panic.
func FuzzLoadConfig(f *testing.F) {
	for _, seed := range []string{full, "", "a: &a [*a]", "routes: {r: {providers: [offline]}}", "providers: {q: {keys: [null]}}"} {
		f.Add(seed)
	}
	env := lookup(map[string]string{"QXT_KEY": "k", "NATS_PASSWORD": "p", "REDIS_PASSWORD": "p"})
	f.Fuzz(func(t *testing.T, text string) {
		c, err := newReader("worker.yaml", "/nowhere", env).load([]byte(text), fakeTypes())
		var faults ConfigError
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("an error that is no ConfigError: %v", err)
		}
		if err == nil && (len(c.Routes) == 0 || c.Claim.LanesMax < c.Claim.LanesActive) {
			t.Fatal("an impossible configuration was taken")
		}
	})
}
