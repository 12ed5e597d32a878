package nxcloud

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

const (
	defaultOutstanding = 20000
	// queryDays is how far back the vendor answers queries.
	queryDays = 14 * 24 * time.Hour
)

// settings are what the type takes under `settings:`; the package comment
// documents them.
type settings struct {
	AccessKey       credential `yaml:"access_key"`
	AppKey          credential `yaml:"app_key"`
	BalanceAppKey   credential `yaml:"balance_app_key"`
	BalanceSecret   credential `yaml:"balance_secret"`
	BalanceURL      string     `yaml:"balance_url"`
	BalanceCurrency string     `yaml:"balance_currency"`
	Accounts        accounts   `yaml:"accounts"`

	CheckLevel   level    `yaml:"check_level"`
	SyncCall     bool     `yaml:"sync_call"`
	PollAfter    duration `yaml:"poll_after"`
	PollEvery    duration `yaml:"poll_every"`
	GiveUpAfter  duration `yaml:"give_up_after"`
	UnknownAfter duration `yaml:"unknown_after"`
	Outstanding  count    `yaml:"outstanding"`

	// receipts: the vendor's pushes reach us, so that asking is for stragglers.
	receipts bool
}

func readSettings(node *yaml.Node, keys []string, receipts bool) (settings, error) {
	s := settings{CheckLevel: levelBasic, receipts: receipts}
	err := setup.Decode(node, &s)
	if err == nil {
		err = setup.Join("", s.checkAccounts(keys), s.checkPace())
	}
	return s, setup.Join("settings", err)
}

// pace is what the settings ask for; where they say nothing, a time is that of the
// vendor's document (receipts come within 5 minutes, and are sent for an hour).
// Without receipts asking is the only way to an answer, and begins earlier.
func (s *settings) pace() providers.Pace {
	first, every := 6*time.Minute, 5*time.Minute
	if !s.receipts {
		first, every = 15*time.Second, 30*time.Second
	}
	return providers.Pace{
		PollAfter:    or(s.PollAfter.d, first),
		PollEvery:    or(s.PollEvery.d, every),
		GiveUpAfter:  or(s.GiveUpAfter.d, 70*time.Minute),
		UnknownAfter: or(s.UnknownAfter.d, 10*time.Minute),
		FetchRate:    fetchRate,
		Outstanding:  or(int(s.Outstanding), defaultOutstanding),
	}
}

func or[T comparable](set, otherwise T) T {
	var none T
	if set == none {
		return otherwise
	}
	return set
}

func (s *settings) checkPace() error {
	p := s.pace()
	var errs []error
	if p.GiveUpAfter <= p.PollAfter {
		line := or(s.GiveUpAfter.line, s.PollAfter.line)
		errs = append(errs, setup.FieldError{Line: line, Path: "give_up_after", Problem: fmt.Sprintf(
			"is %s, but the first question comes after poll_after, %s: raise it", p.GiveUpAfter, p.PollAfter)})
	}
	if p.UnknownAfter < p.PollAfter {
		line := or(s.UnknownAfter.line, s.PollAfter.line)
		errs = append(errs, setup.FieldError{Line: line, Path: "unknown_after", Problem: fmt.Sprintf(
			"is %s, but the first question comes after poll_after, %s: raise it", p.UnknownAfter, p.PollAfter)})
	}
	return setup.Join("", errs...)
}

// account is whose calls a key makes.
type account struct {
	AccessKey     credential `yaml:"access_key"`
	AppKey        credential `yaml:"app_key"`
	BalanceAppKey credential `yaml:"balance_app_key"`
	BalanceSecret credential `yaml:"balance_secret"`

	line int
}

// accounts are the accounts of single keys, by the keys' names.
type accounts map[string]account

// UnmarshalYAML reads {<key name>: {access_key: …}}.
func (a *accounts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return setup.FieldError{Line: node.Line, Problem: "is not a mapping; write it like {main: {access_key: …, app_key: …}}"}
	}
	*a = make(accounts, len(node.Content)/2)
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if _, twice := (*a)[key.Value]; twice {
			errs = append(errs, setup.FieldError{Line: key.Line, Path: key.Value, Problem: "is there twice; remove one"})
			continue
		}
		one := account{line: key.Line}
		errs = append(errs, setup.Join(key.Value, setup.Decode(value, &one)))
		(*a)[key.Value] = one
	}
	return setup.Join("", errs...)
}

// account is whose calls the key makes: its own fields, else those for all keys.
func (s *settings) account(key string) account {
	own := s.Accounts[key]
	return account{
		AccessKey:     or(own.AccessKey, s.AccessKey),
		AppKey:        or(own.AppKey, s.AppKey),
		BalanceAppKey: or(own.BalanceAppKey, s.BalanceAppKey),
		BalanceSecret: or(own.BalanceSecret, s.BalanceSecret),
		line:          own.line,
	}
}

// secrets are all there are in the settings.
func (s *settings) secrets() []providers.Secret {
	all := make([]providers.Secret, 0, 4*(len(s.Accounts)+1))
	add := func(list ...credential) {
		for _, c := range list {
			all = append(all, c.Secret)
		}
	}
	add(s.AccessKey, s.AppKey, s.BalanceAppKey, s.BalanceSecret)
	for _, a := range s.Accounts {
		add(a.AccessKey, a.AppKey, a.BalanceAppKey, a.BalanceSecret)
	}
	return all
}

// balances reports whether balances are asked for at all.
func (s *settings) balances() bool {
	if s.BalanceAppKey.set() || s.BalanceSecret.set() {
		return true
	}
	for _, a := range s.Accounts {
		if a.BalanceAppKey.set() || a.BalanceSecret.set() {
			return true
		}
	}
	return false
}

// checkAccounts looks for what a key lacks: all of a call's signature but the
// secret, which is the key itself.
func (s *settings) checkAccounts(keys []string) error {
	var errs []error
	for name, a := range s.Accounts {
		if len(keys) > 0 && !slices.Contains(keys, name) {
			errs = append(errs, setup.FieldError{
				Line: a.line, Path: "accounts." + name,
				Problem: "is the name of no key here; keys are " + strings.Join(keys, ", "),
			})
		}
	}
	need := func(key, field string, a account, value credential) {
		if !value.set() {
			errs = append(errs, setup.FieldError{Line: a.line, Path: field, Problem: fmt.Sprintf(
				"is missing for key %q; set it here, or for this key alone under accounts.%s.%s", key, key, field)})
		}
	}
	balances := s.balances()
	for _, key := range keys {
		a := s.account(key)
		need(key, "access_key", a, a.AccessKey)
		need(key, "app_key", a, a.AppKey)
		if balances {
			need(key, "balance_app_key", a, a.BalanceAppKey)
			need(key, "balance_secret", a, a.BalanceSecret)
		}
	}
	if balances && s.BalanceCurrency == "" {
		errs = append(errs, setup.FieldError{Path: "balance_currency", Problem: "is missing; the vendor names none beside a balance, so say which it is, like CNY"})
	}
	slices.SortStableFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return setup.Join("", errs...)
}

// credential is a secret that may travel in a header.
type credential struct{ providers.Secret }

func (c credential) set() bool { return c.Reveal() != "" }

// UnmarshalYAML reads a string; what it is never stands in the error.
func (c *credential) UnmarshalYAML(node *yaml.Node) error {
	text := strings.TrimSpace(node.Value)
	switch {
	case node.Kind != yaml.ScalarNode:
		return setup.FieldError{Line: node.Line, Problem: "is not a string"}
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7F }):
		return setup.FieldError{Line: node.Line, Problem: "has a blank or control character in it; copy it again"}
	}
	c.Secret = providers.NewSecret(text)
	return nil
}

// duration is a time above zero, and where it was set.
type duration struct {
	d    time.Duration
	line int
}

// UnmarshalYAML reads "6m".
func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	v, err := time.ParseDuration(node.Value)
	if err != nil || v < time.Second || v > queryDays {
		return setup.FieldError{Line: node.Line, Problem: "is no time between 1s and 336h (the vendor answers for 14 days); write it like 6m"}
	}
	*d = duration{d: v, line: node.Line}
	return nil
}

// count is an integer of 1 or more.
type count int

// UnmarshalYAML reads the integer.
func (c *count) UnmarshalYAML(node *yaml.Node) error {
	v, err := strconv.Atoi(node.Value)
	if err != nil || v < 1 {
		return setup.FieldError{Line: node.Line, Problem: "is no integer of 1 or more"}
	}
	*c = count(v)
	return nil
}
