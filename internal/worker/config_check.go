package worker

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lookupq/lookupq/internal/dur"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// check finds what no single field shows, and fills the defaults that depend on others.
func (c *Config) check(r *reader, types ProviderTypes) {
	if c.Claim.LanesMax < c.Claim.LanesActive {
		r.wrong("claim.lanes_max", "is %d, below claim.lanes_active (%d): raise it", c.Claim.LanesMax, c.Claim.LanesActive)
	}
	if c.Retry.Max < c.Retry.Initial {
		r.wrong("retry.max", "is %s, below retry.initial (%s): raise it", dur.Format(c.Retry.Max), dur.Format(c.Retry.Initial))
	}
	if tls := c.NATS.TLS; (tls.Cert == "") != (tls.Key == "") {
		r.wrong("nats.tls", "needs cert and key together, or neither")
	}
	built := map[string]providers.Provider{} // of the providers without a fault
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		if p := c.checkProvider(r, name, types); p != nil {
			built[name] = p
		}
	}
	if h := c.HTTP; (h.PublicListen == "") != (h.PublicURL == "") {
		r.wrong("http", "needs public_listen and public_url together, or neither: one is where we listen, the other how providers get there")
	}
	c.checkRoutes(r, built)
	c.checkBudgets(r, built)
	c.warnOfSharedSecrets(r)
}

// checkProvider builds the provider once and holds its configuration against the
// documented limits. It returns nil if it cannot be built.
func (c *Config) checkProvider(r *reader, name string, types ProviderTypes) providers.Provider {
	path, p := "providers."+name, c.Providers[name]
	build, known := types[p.Type]
	if !known {
		kinds := slices.Collect(maps.Keys(types))
		if p.Type == "" {
			r.wrong(path, "has no type: add `type: %s` or another", suggestType(kinds))
		} else {
			r.wrong(path+".type", "is %q, which is no provider type%s", p.Type, suggest(p.Type, kinds))
		}
		return nil
	}
	built, err := build(c.setupOf(name))
	if err != nil {
		r.providerFaults(path, err)
		return nil
	}
	limits := built.Limits()
	if limits.MaxBatch > 0 && p.Batch > limits.MaxBatch {
		r.wrong(path+".batch", "is %d, above %d, the documented maximum of %s: lower it", p.Batch, limits.MaxBatch, p.Type)
	}
	checkKeys(r, path, p, limits.Keyless)
	c.checkReserved(r, path, p)
	checkBalances(r, path, p, built)
	c.Providers[name] = withDefaults(p, limits)
	return built
}

// setupOf is what the provider called name is built from.
func (c *Config) setupOf(name string) setup.Config {
	p := c.Providers[name]
	cfg := setup.Config{Name: name, BaseURL: p.BaseURL, Batch: p.Batch, Receipts: c.HTTP.PublicURL != "", Settings: p.Settings}
	for _, k := range p.Keys {
		cfg.Keys = append(cfg.Keys, k.Name)
	}
	return cfg
}

// suggestType is one type to put into an example.
func suggestType(kinds []string) string {
	if len(kinds) == 0 {
		return offline
	}
	return slices.Min(kinds)
}

// providerFaults takes the faults of a provider's own settings apart; they know
// their lines.
func (r *reader) providerFaults(path string, err error) {
	var many setup.FieldErrors
	if !errors.As(err, &many) {
		var one setup.FieldError
		if !errors.As(err, &one) {
			one = setup.FieldError{Problem: err.Error()}
		}
		many = setup.FieldErrors{one}
	}
	for _, f := range many {
		at := path
		if f.Path != "" {
			at = join(path, f.Path)
		}
		if f.Line == 0 {
			f.Line = r.lineOf(at)
		}
		r.fault(f.Line, at, "%s", f.Problem)
	}
}

// checkKeys finds keys that are missing, needless or named twice.
func checkKeys(r *reader, path string, p Provider, keyless bool) {
	switch {
	case keyless && len(p.Keys) > 0:
		r.wrong(path+".keys", "are of no use: %s needs no key, remove them", p.Type)
	case !keyless && len(p.Keys) == 0:
		r.wrong(path, "has no keys: add at least one with name and secret")
	}
	seen := map[string]bool{}
	for _, k := range p.Keys {
		if k.Name != "" && seen[k.Name] {
			r.wrong(path+".keys", "two are named %q: metrics and status could not tell them apart, rename one", k.Name)
		}
		seen[k.Name] = true
	}
}

// checkReserved finds keys that are reserved to tenants who are not served.
func (c *Config) checkReserved(r *reader, path string, p Provider) {
	for i, k := range p.Keys {
		for _, tenant := range k.Tenants {
			if _, served := c.Tenant(tenant); !served {
				r.wrong(fmt.Sprintf("%s.keys[%d].tenants", path, i), "names the tenant %q, which is not below tenants%s",
					tenant, suggest(tenant, slices.Collect(maps.Keys(c.Tenants))))
			}
		}
	}
}

// withDefaults fills what the file leaves open from what the upstream documents.
func withDefaults(p Provider, limits providers.Limits) Provider {
	if p.Batch == 0 {
		p.Batch = limits.DefaultBatch
	}
	if p.Timeout == 0 {
		p.Timeout = limits.Timeout
	}
	p.Keys = slices.Clone(p.Keys)
	for i := range p.Keys {
		if p.Keys[i].Concurrency == 0 {
			p.Keys[i].Concurrency = limits.Concurrency
		}
		if p.Keys[i].Rate == 0 {
			p.Keys[i].Rate = limits.Rate
		}
	}
	return p
}

// checkRoutes holds the routes against the providers, and finds providers that
// nothing uses.
func (c *Config) checkRoutes(r *reader, built map[string]providers.Provider) {
	_, haveOffline := c.Providers[offline]
	if len(c.Routes) == 0 || r.lines["routes"] == 0 && !haveOffline {
		r.wrong("routes", "has no route: add one, such as `carrier-cn: {providers: [qxt]}`")
		return
	}
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		rt, path := c.Routes[name], "routes."+name
		if len(rt.Providers) == 0 {
			r.wrong(path, "has no providers: add `providers: [NAME]`")
		}
		free := c.checkRoute(r, path, rt, built)
		for _, p := range rt.Providers {
			used[p] = true
		}
		if rt.CacheTTL == unset {
			rt.CacheTTL = defaultCacheTTL
			if free {
				rt.CacheTTL = 0 // asking is as fast as the cache and costs nothing
			}
		}
		c.Routes[name] = rt
	}
	for _, p := range slices.Sorted(maps.Keys(c.Providers)) {
		if !used[p] && r.lines["providers."+p] > 0 {
			r.warn("providers."+p, "no route uses it")
		}
	}
}

// checkRoute holds one route against the providers; it reports whether all of
// them answer for nothing.
func (c *Config) checkRoute(r *reader, path string, rt Route, built map[string]providers.Provider) bool {
	free, seen := true, map[string]bool{}
	for _, p := range rt.Providers {
		if _, ok := c.Providers[p]; !ok {
			r.wrong(path+".providers", "names the provider %q, which is not below providers%s", p, suggest(p, slices.Collect(maps.Keys(c.Providers))))
		}
		if seen[p] {
			r.wrong(path+".providers", "names %q twice: remove one", p)
		}
		seen[p] = true
		prov := built[p]
		free = free && prov != nil && prov.Limits().Keyless
		if prov != nil && len(rt.Options) > 0 {
			if err := validateOptions(p, prov, rt.Options); err != nil {
				r.wrong(path+".options", "%v", err)
			}
		}
	}
	return free
}

// warnOfSharedSecrets points at one credential under several names: it is one key
// to the upstream, so it is limited as one, with the lower limits.
func (c *Config) warnOfSharedSecrets(r *reader) {
	type place struct{ kind, secret string }
	seen := map[place]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		p := c.Providers[name]
		for _, k := range p.Keys {
			at := place{p.Type, k.Secret.Reveal()}
			if at.secret == "" {
				continue
			}
			if first, ok := seen[at]; ok {
				r.warn("providers."+name+".keys", "key "+k.Name+" has the secret of "+first+": they count as one key, the lower limits hold")
				continue
			}
			seen[at] = name + "." + k.Name
		}
	}
}
