package nxcloud

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	build := func(batch int, receipts bool, text string) providers.Deferred {
		p, err := New(setup.Config{
			Keys: []string{"main"}, Batch: batch, Receipts: receipts, Settings: node(t, "access_key: a\napp_key: b\n"+text),
		})
		require.NoError(t, err)
		return p.(*Provider) //nolint:forcetypeassert // no balance is configured
	}
	p := build(0, true, "")
	require.Equal(t, providers.Pace{
		PollAfter: 6 * time.Minute, PollEvery: 5 * time.Minute, GiveUpAfter: 70 * time.Minute, UnknownAfter: 10 * time.Minute,
		FetchRate: 1.0 / 3, Outstanding: 20000,
	}, p.Pace())
	require.Equal(t, providers.Limits{MaxBatch: 5000, DefaultBatch: 1000, Timeout: 15 * time.Second, Concurrency: 2, Rate: 10}, p.Limits())
	require.InDelta(t, 10, build(2000, true, "").Limits().Rate, 0)
	require.InDelta(t, 1, build(2001, true, "").Limits().Rate, 0)

	p = build(0, false, "")
	require.Equal(t, 15*time.Second, p.Pace().PollAfter, "nothing else brings answers")
	require.Equal(t, 30*time.Second, p.Pace().PollEvery)

	p = build(0, false, "poll_after: 20s\ngive_up_after: 2h\noutstanding: 7")
	require.Equal(t, providers.Pace{
		PollAfter: 20 * time.Second, PollEvery: 30 * time.Second, GiveUpAfter: 2 * time.Hour, UnknownAfter: 10 * time.Minute,
		FetchRate: 1.0 / 3, Outstanding: 7,
	}, p.Pace())
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	settings := node(t, `
access_key: all-access
accounts:
  one: {app_key: one-app}
  two: {access_key: two-access, app_key: " 42 "}
`)
	p, err := New(setup.Config{Keys: []string{"one", "two"}, Settings: settings})
	require.NoError(t, err)
	s := p.(*Provider).settings //nolint:forcetypeassert // no balance is configured
	require.Equal(t, "all-access", s.account("one").AccessKey.Reveal())
	require.Equal(t, "one-app", s.account("one").AppKey.Reveal())
	require.Equal(t, "two-access", s.account("two").AccessKey.Reveal())
	require.Equal(t, "42", s.account("two").AppKey.Reveal())
	require.False(t, s.account("three").AppKey.set())

	_, err = New(setup.Config{Keys: []string{"one", "two", "three"}, Settings: settings})
	require.EqualError(t, err, `settings.app_key: is missing for key "three"; set it here, or for this key alone under accounts.three.app_key`)
}

func TestSettingsFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	faults := func(text string, keys ...string) string {
		_, err := New(setup.Config{Keys: keys, Settings: node(t, text), BaseURL: "nowhere"})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "sesame")
		return err.Error()
	}
	got := faults(`check_level: 2
sync_call: maybe
poll_after: soon
poll_every: -1s
outstanding: 0
access_key: "open sesame"
app_key: [sesame]
balance_url: [x]
accounts:
  main: {acces_key: sesame}
  main: {}
  other: 7
color: red
color: blue
`)
	for _, want := range []string{
		"base_url: does not start with",
		"settings.check_level (line 1): is none of 1 (basic), 4 (call), 5 (HLR)",
		"settings.sync_call (line 2): cannot unmarshal",
		"settings.poll_after (line 3): is no time between 1s and 336h",
		"settings.poll_every (line 4): is no time between",
		"settings.outstanding (line 5): is no integer of 1 or more",
		"settings.access_key (line 6): has a blank or control character in it",
		"settings.app_key (line 7): is not a string",
		"settings.balance_url (line 8): cannot unmarshal",
		"settings.accounts.main.acces_key (line 10): is no setting of this type; known are access_key, app_key, balance_app_key, balance_secret",
		"settings.accounts.main (line 11): is there twice",
		"settings.accounts.other (line 12): is not a mapping",
		"settings.color (line 13): is no setting",
		"settings.color (line 14): is already set in line 13",
	} {
		require.Contains(t, got, want)
	}
	got = faults(`give_up_after: 5m
poll_after: 12m
accounts:
  mian: {access_key: a}
balance_secret: b
`, "main", "spare")
	for _, want := range []string{
		"settings.give_up_after (line 1): is 5m0s, but the first question comes after poll_after, 12m0s",
		"settings.unknown_after (line 2): is 10m0s, but the first question",
		"settings.accounts.mian (line 4): is the name of no key here; keys are main, spare",
		`settings.access_key: is missing for key "main"; set it here, or for this key alone under accounts.main.access_key`,
		`settings.app_key: is missing for key "spare"`,
		`settings.balance_app_key: is missing for key "main"`,
		"settings.balance_currency: is missing",
	} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, got, `balance_secret: is missing`)
	for _, bad := range []string{"[]", "x", "accounts: []", "accounts: {main: []}"} {
		require.Contains(t, faults(bad), "settings", bad)
	}
	_, err := New(setup.Config{Settings: node(t, "balance_app_key: a\nbalance_secret: b\nbalance_currency: CNY\nbalance_url: ftp://user:sesame@x/")})
	require.EqualError(t, err, "settings.balance_url: is no address; write it like https://api.nxcloud.com/api/common/getBalance")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "check_level: 5")
	for _, v := range []any{1, int64(4), uint8(5), 5.0, float32(4), json.Number("1"), json.Number("5.0"), json.Number("4e0")} {
		err := p.ValidateOptions(providers.Options{"check_level": v})
		if _, unsigned := v.(uint8); unsigned {
			require.Error(t, err, "no decoder makes one")
			continue
		}
		require.NoError(t, err, "%T %v", v, v)
	}
	for _, v := range []any{0, 2, -5, 5.5, "5", nil, true, []any{5}, json.Number("x"), json.Number("1e400"), 1e300, json.Number("9007199254740997")} {
		require.EqualError(t, p.ValidateOptions(providers.Options{"check_level": v}), "check_level must be 1 (basic), 4 (call) or 5 (HLR)", "%T %v", v, v)
		_, failure := p.Partition(cn(numberA), providers.Options{"check_level": v})
		require.Equal(t, providers.KindUnsupported, failure.Kind)
	}
	require.NoError(t, p.ValidateOptions(nil))
	require.EqualError(t, p.ValidateOptions(providers.Options{"check_level": 1, "chek": 2}), `"chek" is no option of nxcloud; it takes check_level`)
}

func TestPartition(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "check_level: 5")
	number := func(code, national string) providers.Number {
		return providers.Number{E164: "+" + code + national, CountryCode: code, National: national}
	}
	tests := []struct {
		number providers.Number
		opts   providers.Options
		want   string
	}{
		{cn(numberA), nil, "86|5"},
		{cn(numberA), providers.Options{"check_level": json.Number("1")}, "86|1"},
		{number("84", "912345678"), providers.Options{"check_level": 4.0}, "84|4"},
		{number("1", "4155552671"), nil, "US|5"},
		{number("1", "4165552671"), nil, "CA|5"},
		{number("1", "8765552671"), nil, "JM|5"},
		{number("1", "1115552671"), nil, "1|5"},
		{number("7", "9161234567"), nil, "RU|5"},
		{number("7", "7011234567"), nil, "KZ|5"},
		{number("44", "7400123456"), nil, "GB|5"},
		{number("39", "0669812345"), nil, "VA|5"},
		{number("39", "0612345678"), nil, "IT|5"},
		{number("39", "3123456789"), nil, "IT|5"},
	}
	for _, tt := range tests {
		got, failure := p.Partition(tt.number, tt.opts)
		require.Nil(t, failure)
		require.Equal(t, tt.want, got, tt.number.E164)
	}
	_, failure := p.Partition(providers.Number{}, nil)
	require.Equal(t, providers.KindUnsupported, failure.Kind)
}

// The calling codes that are looked at closer are those that libphonenumber has
// several regions for.
func TestSharedCodes(t *testing.T) {
	t.Parallel()
	for code := range phonenumbers.GetSupportedCallingCodes() {
		shared := len(phonenumbers.GetRegionCodesForCountryCode(code)) > 1
		require.Equal(t, shared, sharedCode(strconv.Itoa(code)), code)
	}
}

func BenchmarkPartition(b *testing.B) {
	p := unconnected(b, "")
	for name, n := range map[string]providers.Number{
		"own code":    cn(numberA),
		"shared code": {E164: "+14155552671", CountryCode: "1", National: "4155552671"},
	} {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				_, _ = p.Partition(n, nil)
			}
		})
	}
}
