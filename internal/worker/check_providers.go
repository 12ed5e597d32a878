package worker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// keyCheck looks at one key of a provider.
type keyCheck struct {
	what    string
	baseURL string // "" is the type's own
	impl    providers.Provider
	key     Key
}

// examineProvider makes a check of each key. done is to be called when they are over.
func examineProvider(c *Config, name string, types ProviderTypes) (checks []func(context.Context) []Finding, done func()) {
	// Its own transport, so that no connection outlives the checks.
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: quickly}).DialContext, TLSHandshakeTimeout: quickly,
		ForceAttemptHTTP2: true, DisableCompression: true,
	}
	p, cfg := c.Providers[name], c.setupOf(name)
	cfg.Transport = transport
	what := "provider " + name
	one := func(f Finding) []func(context.Context) []Finding {
		return []func(context.Context) []Finding{func(context.Context) []Finding { return []Finding{f} }}
	}
	build, known := types[p.Type]
	if !known {
		return one(Finding{What: what, Status: LevelFault, Detail: "there is no provider type " + p.Type}), func() {}
	}
	impl, err := build(cfg)
	if err != nil {
		return one(faulty(what, err.Error())), func() {}
	}
	if impl.Limits().Keyless {
		return one(Finding{What: what, Status: LevelOK, Detail: p.Type + ": needs no key and no network"}), func() {}
	}
	for _, k := range p.Keys {
		check := keyCheck{what: what + ", key " + k.Name, baseURL: p.BaseURL, impl: impl, key: k}
		checks = append(checks, func(ctx context.Context) []Finding { return []Finding{check.run(ctx)} })
	}
	return checks, transport.CloseIdleConnections
}

// run asks the upstream what it tells for nothing.
func (k keyCheck) run(ctx context.Context) Finding {
	key := providers.Key{Name: k.key.Name, Secret: k.key.Secret}
	if reader, ok := k.impl.(providers.BalanceReader); ok {
		r := askBalance(ctx, reader, key)
		if r.failure != nil {
			return k.failed(r.failure)
		}
		return k.balance(r.balance)
	}
	if checker, ok := k.impl.(providers.Checker); ok {
		if failure := checker.Check(ctx, key); failure != nil {
			return k.failed(failure)
		}
		return k.found(LevelOK, "authorised", "")
	}
	return k.dial(ctx)
}

func (k keyCheck) found(level Level, detail, remedy string) Finding {
	return Finding{What: k.what, Status: level, Detail: detail, Remedy: remedy}
}

// balance judges what the key has left.
func (k keyCheck) balance(b providers.Balance) Finding {
	detail := "authorised, balance " + balanceText(b)
	switch {
	case !b.Postpaid && b.Amount <= 0:
		return k.found(LevelFault, detail, "top it up: the key is not used before")
	case k.key.LowBalance > 0 && b.Amount < k.key.LowBalance:
		return k.found(LevelWarn, fmt.Sprintf("%s, below low_balance %v", detail, k.key.LowBalance), "top it up")
	}
	return k.found(LevelOK, detail, "")
}

// failed says what a failure means to the operator.
func (k keyCheck) failed(f *providers.Failure) Finding {
	text := oneLine(f.Error())
	switch f.Kind {
	case providers.KindUnauthorized:
		return k.found(LevelFault, "not authorised: "+text, "correct the secret of this key, or ask the provider why it is revoked")
	case providers.KindForbidden:
		return k.found(LevelFault, "not allowed: "+text, "have the provider allow this address, and this use of the key")
	case providers.KindNoBalance:
		return k.found(LevelFault, "authorised, nothing left: "+text, "top it up")
	case providers.KindThrottled:
		return k.found(LevelWarn, "reachable, but the key is used too fast: "+text, "lower its rate or concurrency, and check again")
	case providers.KindUnavailable, providers.KindTimeout, providers.KindCutOff:
		return k.found(LevelFault, "not reachable: "+text, "correct base_url, or wait for the provider; see that a firewall lets the worker out")
	case providers.KindGarbled, providers.KindOversize, providers.KindMisconfigured:
		return k.found(LevelFault, "reachable, but does not answer as documented: "+text, "correct base_url")
	case providers.KindInternal, providers.KindTooMany, providers.KindRefused, providers.KindMissing,
		providers.KindRetryable, providers.KindRejected, providers.KindUnsupported, providers.KindUndocumented,
		providers.KindUnaffordable:
	}
	return k.found(LevelFault, "reachable, but the check failed: "+text, "check again; if it stays, look the code up in the provider's document")
}

// dial is for upstreams that tell nothing for nothing.
func (k keyCheck) dial(ctx context.Context) Finding {
	const unchecked = "authorised: not checked, a lookup would cost"
	u, err := url.Parse(k.baseURL)
	if err != nil || u.Host == "" {
		return k.found(LevelWarn, "reachable: not checked, no base_url is configured; "+unchecked, "")
	}
	started := time.Now()
	dialer := net.Dialer{Timeout: quickly}
	address, connect := net.JoinHostPort(u.Hostname(), portOf(u)), dialer.DialContext
	if u.Scheme == "https" {
		secure := tls.Dialer{NetDialer: &dialer}
		connect = secure.DialContext
	}
	conn, err := connect(ctx, "tcp", address)
	if err != nil {
		return k.found(LevelFault, "not reachable: "+oneLine(err.Error()), "correct base_url; see that a firewall lets the worker out")
	}
	_ = conn.Close()
	return k.found(LevelOK, fmt.Sprintf("reachable at %s in %d ms; %s", address, time.Since(started).Milliseconds(), unchecked), "")
}

// portOf is the port of an http or https address.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}
