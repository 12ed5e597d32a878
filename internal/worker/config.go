package worker

import (
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// Config is the worker's whole configuration: contract section 7, checked, with
// every default filled in. It is read-only after LoadConfig.
type Config struct {
	NATS      NATSConfig
	Redis     RedisConfig
	HTTP      HTTPConfig
	Claim     ClaimConfig
	Results   ResultsConfig
	Retry     RetryConfig
	Tenants   map[string]Tenant // by name, or "*"; empty: everybody is served
	Routes    map[string]Route
	Providers map[string]Provider

	// settingSecrets are values that came into settings from ${NAME} or file:.
	settingSecrets []string

	// Warnings are oddities that stop nothing, each with its place. For the log
	// and `worker check`.
	Warnings []string
}

// NATSConfig says which NATS to use and what things are called there.
type NATSConfig struct {
	URL          string // may hold a password: RedactURL before showing it
	Creds        string // path of a credentials file, "" for none
	TLS          TLSConfig
	Prefix       string
	StreamPrefix string
	Replicas     int
}

// TLSConfig names PEM files; all empty is no client certificate and the system's roots.
type TLSConfig struct{ CA, Cert, Key string }

// RedisConfig says which Redis to use.
type RedisConfig struct {
	URL string // may hold a password: RedactURL before showing it
	// Configured is false for the default URL: --embedded then starts its own.
	Configured bool
}

// HTTPConfig says where the worker listens; "" is nowhere.
type HTTPConfig struct {
	Listen string // health, metrics and status
	// PublicListen takes what providers push, and nothing else; PublicURL is how
	// they reach it.
	PublicListen, PublicURL string
}

// ClaimConfig bounds what this worker takes on.
type ClaimConfig struct {
	LanesActive, LanesMax int
	MaxHeld               int // items
}

// ResultsConfig shapes the parts.
type ResultsConfig struct {
	MaxItems int
	MaxWait  time.Duration
}

// RetryConfig shapes the backoff of failed calls and items.
type RetryConfig struct {
	Initial, Max time.Duration
	Attempts     int
}

// Tenant is what one tenant may do.
type Tenant struct {
	Weight      int
	MaxPriority names.Priority
	ShareGroup  string // tenants of one group share answers; defaults to the tenant's name
	Budget      Budget
}

// Route is a named way to answer: its providers in order.
type Route struct {
	Providers  []string
	Region     string // ISO 3166-1 alpha-2, "" if national numbers are not resolved
	Linger     time.Duration
	CacheTTL   time.Duration // 0: no cache
	Expires    time.Duration // 0: items without expires_at wait for ever
	IncludeRaw bool
	// FailoverOn are outcomes that go to the next provider besides failures.
	FailoverOn []string
	// Options are what a job's own options are added to, and win over.
	Options providers.Options
}

// Provider is one configured upstream. Batch and Timeout are filled from the
// type's documented limits where the file says nothing.
type Provider struct {
	Type        string
	BaseURL     string // "" is the documented address
	Batch       int
	Timeout     time.Duration
	Concurrency int        // over all keys; 0 is no limit besides the keys' own
	Rate        float64    // calls a second over all keys; 0 is none
	NumberRate  NumberRate // over all keys
	Keys        []Key      // empty for a type that needs none
	Settings    *yaml.Node
}

// NumberRate is how many numbers may be asked in a time; zero is no limit.
type NumberRate struct {
	PerSecond float64
	// Per is the window that the configuration names: no batch is larger than what
	// may be asked in it.
	Per time.Duration
}

// Key is one credential with its limits, which hold over the whole fleet.
type Key struct {
	Name        string
	Secret      providers.Secret
	Concurrency int
	Rate        float64 // calls a second; 0 is none
	NumberRate  NumberRate
	Price       providers.Cost
	// Tenants are who the key is reserved to; none is everybody.
	Tenants    []string
	LowBalance float64 // in the upstream's unit: operators are told below it; 0 is none
}

// ProviderTypes are the provider types that exist, each with its constructor;
// providers/catalog fills it. The loader builds each configured provider once to
// learn its limits and what is wrong with its settings, and drops it.
type ProviderTypes map[string]func(setup.Config) (providers.Provider, error)

// anyTenant stands in `tenants` for everybody who is not listed.
const anyTenant = "*"

// Tenant returns what the tenant called name may do, false if it is not served.
func (c *Config) Tenant(name string) (Tenant, bool) {
	t, ok := c.Tenants[name]
	switch {
	case ok:
	case len(c.Tenants) == 0:
		t = defaultTenant()
	default:
		if t, ok = c.Tenants[anyTenant]; !ok {
			return Tenant{}, false
		}
	}
	if t.ShareGroup == "" {
		t.ShareGroup = name
	}
	return t, true
}

// RouteNames are the routes this worker serves, sorted.
func (c *Config) RouteNames() []string { return slices.Sorted(maps.Keys(c.Routes)) }

// Names builds subjects and streams from the configured prefixes.
func (c *Config) Names() names.Names {
	return names.Names{Prefix: c.NATS.Prefix, StreamPrefix: c.NATS.StreamPrefix}
}

// Secrets are all credentials, for the log's redaction and nothing else.
func (c *Config) Secrets() []string {
	var all []string
	for _, p := range c.Providers {
		for _, k := range p.Keys {
			all = append(all, k.Secret.Reveal())
		}
	}
	all = append(all, c.settingSecrets...)
	return append(all, urlSecrets(c.NATS.URL, c.Redis.URL)...)
}

// The type, route and provider that an unconfigured worker serves.
const offline = "offline"

// DefaultConfig is what the worker does without a file: everything local, and the
// route `offline`, which needs no account anywhere.
func DefaultConfig() *Config {
	n := names.Default()
	return &Config{
		NATS:      NATSConfig{URL: "nats://127.0.0.1:4222", Prefix: n.Prefix, StreamPrefix: n.StreamPrefix, Replicas: 1},
		Redis:     RedisConfig{URL: "redis://127.0.0.1:6379/0"},
		HTTP:      HTTPConfig{Listen: "127.0.0.1:8080"},
		Claim:     ClaimConfig{LanesActive: 64, LanesMax: 256, MaxHeld: 50000},
		Results:   ResultsConfig{MaxItems: 1000, MaxWait: 2 * time.Second},
		Retry:     RetryConfig{Initial: 200 * time.Millisecond, Max: 30 * time.Second, Attempts: 8},
		Tenants:   map[string]Tenant{},
		Routes:    map[string]Route{offline: {Providers: []string{offline}, Linger: defaultLinger}},
		Providers: map[string]Provider{offline: {Type: offline}},
	}
}

const (
	defaultLinger   = 100 * time.Millisecond
	defaultCacheTTL = 24 * time.Hour
)

func defaultTenant() Tenant { return Tenant{Weight: 1, MaxPriority: names.High} }
