package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers/simulator"
)

// The providers of the route, in their order.
const (
	primary = "qxt"
	backup  = "backup"
)

// key is a credential of one of the providers. Its name is the end of its secret,
// which is what ledgers show.
type key struct {
	name     string
	provider string
	// configured is the concurrency that the workers know, real what the upstream
	// grants.
	configured, real int
	// revokedAfter is the number of calls after which it is unknown upstream; 0 never.
	revokedAfter int
}

// keyLength is what the upstream asks for.
const keyLength = 32

// secret is the credential itself.
func (k key) secret() string { return strings.Repeat("0", keyLength-len(k.name)) + k.name }

// keys of a run of so many calls: one is good, one is gone midway, one may do less
// than we are told, and the backup has a slow one.
func keys(calls int) []key {
	const fifth = 5 // of the calls: with three keys at work that is reached before the middle
	return []key{
		{name: "good", provider: primary, configured: 4, real: 4},
		{name: "gone", provider: primary, configured: 4, real: 4, revokedAfter: max(1, calls/fifth)},
		{name: "slow", provider: primary, configured: 4, real: 1},
		{name: "back", provider: backup, configured: 1, real: 1},
	}
}

// variable is where a worker finds the credential.
func (k key) variable() string { return "FLEET_KEY_" + strings.ToUpper(k.name) }

// nightPlan says what the upstreams do, and when.
type nightPlan struct {
	keys    []key
	latency time.Duration
	batch   int
	outage  span // from the workers' start
}

// span is a stretch of time; where times count from is said where it is used.
type span struct{ from, to time.Duration }

// environment are all credentials, for the workers.
func (p *nightPlan) environment() []string {
	var env []string
	for _, k := range p.keys {
		env = append(env, k.variable()+"="+k.secret())
	}
	return env
}

// jitter is the most that a call takes longer than the least.
func (p *nightPlan) jitter() time.Duration { return p.latency / 10 }

// mean is how long a call of the first provider takes.
func (p *nightPlan) mean() time.Duration { return p.latency + p.jitter()/2 }

// newPlan works out when things have to happen for the load: the first provider
// fails at two fifths of the time that its keys need at best.
func (c *fleetCmd) newPlan(l *load) *nightPlan {
	calls := l.calls(c.Batch)
	p := &nightPlan{keys: keys(calls), latency: c.Latency, batch: c.Batch}
	var all, later, gone int
	for _, k := range p.keys {
		if k.provider != primary {
			continue
		}
		all += k.real
		if k.revokedAfter == 0 {
			later += k.real
		} else {
			gone = k.revokedAfter * 9 / k.real // calls of all keys until then
		}
	}
	best := time.Duration(gone)*p.mean()/time.Duration(all) + time.Duration(max(0, calls-gone))*p.mean()/time.Duration(later)
	if c.Outage > 0 {
		p.outage.from = best * 2 / 5
		p.outage.to = p.outage.from + c.Outage
	}
	return p
}

// profile is the behaviour of one of the providers. The two have different truths,
// so it shows in a result who gave it.
func (p *nightPlan) profile(provider string) (simulator.Profile, error) {
	var b strings.Builder
	seed, latency, jitter := 1, p.latency, p.jitter()
	if provider == backup {
		seed, latency, jitter = 2, p.latency*3/2, 0
	}
	fmt.Fprintf(&b, "seed: %d\nqxt:\n  latency: {base: %s, jitter: %s}\n  unknown: 0.01\n  shuffle: true\n  keys:\n", seed, latency, jitter)
	for _, k := range p.keys {
		if k.provider == provider {
			fmt.Fprintf(&b, "    - {key: %q, limits: {concurrency: %d, retry_after: 1s}, revoked_after: %d}\n", k.secret(), k.real, k.revokedAfter)
		}
	}
	if provider == primary && p.outage.to > 0 {
		fmt.Fprintf(&b, "  outages: [{from: %s, to: %s}]\n", p.outage.from, p.outage.to)
	}
	return simulator.ParseProfile([]byte(b.String()))
}

// workerConfig is a worker's configuration; upstreams is where its calls go.
func (p *nightPlan) workerConfig(natsURL, redisURL, listen, upstreams string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q}\nredis: {url: %q}\nhttp: {listen: %q}\ntenants:\n", natsURL, redisURL, listen)
	for _, t := range tenants() {
		fmt.Fprintf(&b, "  %s: {weight: %d}\n", t.name, t.weight)
	}
	fmt.Fprintf(&b, "routes:\n  %s: {providers: [%s, %s], region: CN}\nproviders:\n", route, primary, backup)
	for _, provider := range []string{primary, backup} {
		fmt.Fprintf(&b, "  %s:\n    type: qxt\n    base_url: %q\n    batch: %d\n    keys:\n", provider, upstreams+"/"+provider, p.batch)
		for _, k := range p.keys {
			if k.provider == provider {
				// The rate is so high that only the concurrency counts.
				fmt.Fprintf(&b, "      - {name: %s, secret: \"${%s}\", concurrency: %d, rate: \"1000000/s\", price: \"0.002CNY\"}\n", k.name, k.variable(), k.configured)
			}
		}
	}
	return b.String()
}
