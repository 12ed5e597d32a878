package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// pickyProvider takes the option level, up to 5.
type pickyProvider struct{ fakeProvider }

func (pickyProvider) ValidateOptions(opts providers.Options) error {
	for name, v := range opts {
		if n, ok := v.(float64); name != "level" || !ok || n > 5 {
			return setup.FieldError{Path: name, Problem: "is not taken"}
		}
	}
	return nil
}

// pickyTypes has one type with a secret among its settings.
func pickyTypes(seen *setup.Config, account *string) ProviderTypes {
	return ProviderTypes{"picky": func(c setup.Config) (providers.Provider, error) {
		*seen = c
		var s struct {
			Account providers.Secret `yaml:"account"`
		}
		err := setup.Decode(c.Settings, &s)
		*account = s.Account.Reveal()
		return pickyProvider{fakeProvider{limits: providers.Limits{MaxBatch: 10, DefaultBatch: 5, Timeout: time.Second}}}, err
	}}
}

func TestSettingsAndOptions(t *testing.T) {
	t.Parallel()
	const text = `http: {public_listen: "127.0.0.1:0", public_url: "https://lookup.example/"}
routes: {r: {providers: [p], options: {level: %LEVEL%}}}
providers:
  p: {type: picky, batch: 7, keys: [{name: a, secret: "${KEY}"}, {name: b, secret: "${KEY}2"}], settings: {account: "${ACCOUNT}"}}
`
	env := map[string]string{"KEY": "k", "ACCOUNT": "acc-1"}
	for name, c := range map[string]struct{ old, with, fault string }{
		"right":                {"%LEVEL%", "5", ""},
		"a provider refuses":   {"%LEVEL%", "6", "worker.yaml:2: routes.r.options: level: is not taken"},
		"no mapping":           {"{level: %LEVEL%}", "5", "worker.yaml:2: routes.r.options: must be a mapping"},
		"a variable not there": {"${ACCOUNT}", "${ACCOUNTS}", "worker.yaml:4: providers.p.settings.account: needs the environment variable ACCOUNTS"},
		"half of public":       {`, public_url: "https://lookup.example/"`, "", "worker.yaml:1: http: needs public_listen and public_url together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen setup.Config
			var account string
			body := strings.Replace(strings.Replace(text, c.old, c.with, 1), "%LEVEL%", "5", 1)
			r := newReader("worker.yaml", "", lookup(env))
			cfg, err := r.load([]byte(body), pickyTypes(&seen, &account))
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "acc-1", account)
			require.Contains(t, cfg.Secrets(), "acc-1", "redacted in logs")
			require.Equal(t, []string{"a", "b"}, seen.Keys)
			require.Equal(t, 7, seen.Batch)
			require.Equal(t, "https://lookup.example", cfg.HTTP.PublicURL)
			rt := &route{cfg: cfg.Routes["r"]}
			require.Equal(t, providers.Options{"level": 5.0}, rt.optionsOf(nil))
			require.Equal(t, providers.Options{"level": 1.0, "x": true}, rt.optionsOf(providers.Options{"level": 1.0, "x": true}), "the job's own win")
			require.Equal(t, providers.Options{"level": 5.0}, rt.optionsOf(nil), "and change nothing of the route's")
		})
	}
}
