package worker

import (
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// read fills c from the tree below root (nil: environment only) by the tables
// below, one function a section.
func (c *Config) read(r *reader, root *yaml.Node) {
	r.section(root, "", fields{
		"nats":      c.natsFields(r),
		"redis":     c.redisFields(r),
		"http":      c.httpFields(r),
		"claim":     c.claimFields(r),
		"results":   c.resultsFields(r),
		"retry":     c.retryFields(r),
		"tenants":   {node: func(n *yaml.Node, path string) { c.readTenants(r, n, path) }},
		"routes":    {node: func(n *yaml.Node, path string) { c.readRoutes(r, n, path) }},
		"providers": {node: func(n *yaml.Node, path string) { c.readProviders(r, n, path) }},
	})
}

// sub is a section within a section.
func (r *reader) sub(fs fields) field {
	return field{node: func(n *yaml.Node, path string) { r.section(n, path, fs) }}
}

func (c *Config) natsFields(r *reader) field {
	return r.sub(fields{
		"url":   {scalar: r.expanded(&c.NATS.URL, natsURL)},
		"creds": {scalar: r.existing(&c.NATS.Creds)},
		"tls": r.sub(fields{
			"ca":   {scalar: r.existing(&c.NATS.TLS.CA)},
			"cert": {scalar: r.existing(&c.NATS.TLS.Cert)},
			"key":  {scalar: r.existing(&c.NATS.TLS.Key)},
		}),
		"prefix":        {scalar: matching(&c.NATS.Prefix, subjectPrefix)},
		"stream_prefix": {scalar: matching(&c.NATS.StreamPrefix, streamPrefix)},
		"replicas":      {scalar: integer(&c.NATS.Replicas, 1, 5)},
	})
}

func (c *Config) redisFields(r *reader) field {
	set := r.expanded(&c.Redis.URL, redisURL)
	return r.sub(fields{"url": {scalar: func(text string) error {
		c.Redis.Configured = true
		return set(text)
	}}})
}

func (c *Config) httpFields(r *reader) field {
	return r.sub(fields{
		"listen":        {scalar: listenAddr(&c.HTTP.Listen)},
		"public_listen": {scalar: listenAddr(&c.HTTP.PublicListen)},
		"public_url":    {scalar: httpURL(&c.HTTP.PublicURL)},
	})
}

func (c *Config) claimFields(r *reader) field {
	return r.sub(fields{
		// Each acknowledgement walks every durable of the stream, so their number is bounded.
		"lanes_active": {scalar: integer(&c.Claim.LanesActive, 1, 1000)},
		"lanes_max":    {scalar: integer(&c.Claim.LanesMax, 1, 1000)},
		// A job may hold 1,000 items, and has to fit.
		"max_held": {scalar: integer(&c.Claim.MaxHeld, 1000, 10_000_000)},
	})
}

func (c *Config) resultsFields(r *reader) field {
	return r.sub(fields{
		"max_items": {scalar: integer(&c.Results.MaxItems, 1, 1000)},
		"max_wait":  {scalar: duration(&c.Results.MaxWait)},
	})
}

func (c *Config) retryFields(r *reader) field {
	return r.sub(fields{
		"initial":  {scalar: positive(&c.Retry.Initial)},
		"max":      {scalar: positive(&c.Retry.Max)},
		"attempts": {scalar: integer(&c.Retry.Attempts, 1, 100)},
	})
}

func (c *Config) readTenants(r *reader, n *yaml.Node, path string) {
	r.entries(n, path, func(name string, n *yaml.Node, path string) {
		t := defaultTenant()
		r.section(n, path, fields{
			"weight":       {scalar: integer(&t.Weight, 1, 1000)},
			"max_priority": {scalar: parsed(&t.MaxPriority, names.ParsePriority)},
			"share_group":  {scalar: token(&t.ShareGroup)},
			"budget":       {node: func(n *yaml.Node, path string) { t.Budget = readBudget(r, n, path) }},
		})
		c.Tenants[name] = t
	})
}

func (c *Config) readRoutes(r *reader, n *yaml.Node, path string) {
	read := func(name string, n *yaml.Node, path string) {
		rt := Route{Linger: defaultLinger, CacheTTL: unset}
		if n == nil {
			rt.Providers = c.Routes[name].Providers
		}
		r.section(n, path, fields{
			"providers":   r.words(&rt.Providers, anyWord),
			"region":      {scalar: region(&rt.Region)},
			"linger":      {scalar: duration(&rt.Linger)},
			"cache_ttl":   {scalar: duration(&rt.CacheTTL)},
			"expires":     {scalar: duration(&rt.Expires)},
			"include_raw": {scalar: boolean(&rt.IncludeRaw)},
			"failover_on": r.words(&rt.FailoverOn, failover),
			"options":     {node: func(n *yaml.Node, path string) { r.options(&rt.Options, n, path) }},
		})
		c.Routes[name] = rt
	}
	if resolve(n) == nil {
		read(offline, nil, join(path, offline))
		return
	}
	clear(c.Routes)
	r.entries(n, path, read)
}

func (c *Config) readProviders(r *reader, n *yaml.Node, path string) {
	read := func(name string, n *yaml.Node, path string) {
		p := Provider{}
		if n == nil {
			p.Type = c.Providers[name].Type
		}
		r.section(n, path, fields{
			"type":        {scalar: anyText(&p.Type)},
			"base_url":    {scalar: httpURL(&p.BaseURL)},
			"batch":       {scalar: integer(&p.Batch, 1, 1_000_000)},
			"timeout":     {scalar: positive(&p.Timeout)},
			"concurrency": {scalar: integer(&p.Concurrency, 1, 100_000)},
			"rate":        {scalar: parsed(&p.Rate, parseRate)},
			"number_rate": {scalar: parsed(&p.NumberRate, parseNumberRate)},
			"keys": {node: func(n *yaml.Node, path string) {
				r.items(n, path, func(_ int, n *yaml.Node, path string) {
					p.Keys = append(p.Keys, readKey(r, n, path))
				})
			}},
			"settings": {node: func(n *yaml.Node, path string) { p.Settings = c.expandSettings(r, n, path) }},
		})
		c.Providers[name] = p
	}
	if resolve(n) == nil {
		read(offline, nil, join(path, offline))
		return
	}
	clear(c.Providers)
	r.entries(n, path, read)
}

func readKey(r *reader, n *yaml.Node, path string) Key {
	var k Key
	r.section(n, path, fields{
		"name":        {scalar: token(&k.Name)},
		"secret":      {scalar: r.secret(&k.Secret, path+".secret")},
		"concurrency": {scalar: integer(&k.Concurrency, 1, 100_000)},
		"rate":        {scalar: parsed(&k.Rate, parseRate)},
		"number_rate": {scalar: parsed(&k.NumberRate, parseNumberRate)},
		"price":       {scalar: parsed(&k.Price, parsePrice)},
		"tenants":     r.words(&k.Tenants, tenantName),
		"low_balance": {scalar: parsed(&k.LowBalance, parseAmount)},
	})
	if k.Name == "" && r.lines[path+".name"] == 0 {
		r.wrong(path, "has no name: add `name: main`")
	}
	if k.Secret == (providers.Secret{}) && r.lines[path+".secret"] == 0 {
		r.wrong(path, `has no secret: add secret: "${NAME_OF_A_VARIABLE}" or "file:/path"`)
	}
	return k
}
