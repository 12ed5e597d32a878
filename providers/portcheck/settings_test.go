package portcheck

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// configured builds a provider from settings as they stand in a file.
func configured(t testing.TB, base, settings string) (*Provider, error) {
	t.Helper()
	node := new(yaml.Node)
	require.NoError(t, yaml.Unmarshal([]byte(settings), node))
	return New(setup.Config{Name: "portcheck", BaseURL: base, Settings: node, Keys: []string{"main"}})
}

func sample(t testing.TB, more string) *Provider {
	t.Helper()
	settings := "path: /v1/mobile-transfer\n" + more
	if inner, ok := strings.CutPrefix(more, "{"); ok {
		settings = "{path: /v1/mobile-transfer, " + inner
	}
	p, err := configured(t, "https://api.example.com", settings)
	require.NoError(t, err)
	return p
}

func TestWhatThePageLeavesOpenIsRequired(t *testing.T) {
	t.Parallel()
	_, err := New(setup.Config{Name: "portcheck"})
	require.EqualError(t, err, "base_url: is missing; the vendor's page names no address, so write the one that came with your account, like https://api.example.com\n"+
		"settings.path: is missing; the vendor's page names none, so write the one that came with your account, like /v1/mobile-transfer")
}

func TestFaultsOfSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"path: v1":                         "settings.path: is no path; write it like /v1/mobile-transfer, and what follows a question mark into extra_body",
		"path: /v1?x=1":                    "settings.path: is no path; write it like /v1/mobile-transfer, and what follows a question mark into extra_body",
		"path: //host/x":                   "settings.path: is no path; write it like /v1/mobile-transfer, and what follows a question mark into extra_body",
		"{path: /, method: PUT}":           "settings.method: is neither POST nor GET",
		"{path: /, content_type: x/y}":     "settings.content_type: is neither application/json nor application/x-www-form-urlencoded",
		"{path: /, request_field: ''}":     "settings.request_field: is empty; name the field that takes the number",
		"{path: /, number_format: short}":  "settings.number_format: is none of national, digits, e164",
		"{path: /, countries: []}":         "settings.countries: is empty; write it like [CN]",
		"{path: /, countries: [CN, XX]}":   `settings.countries (line 1): "XX" is no country; use ISO 3166-1 codes like CN`,
		"{path: /, countries: CN}":         "settings.countries (line 1): is no list of countries; write it like [CN]",
		"{path: /, success_codes: []}":     "settings.success_codes: is empty; name the codes of success, like [SUCCESS]",
		"{path: /, success_codes: ['']}":   "settings.success_codes: has an empty code; remove it",
		"{path: /, auth: {mode: body}}":    `settings.auth.mode (line 1): "body" is no mode; use one of appcode, bearer, header, none, query`,
		"{path: /, auth: {kind: x}}":       "settings.auth.kind (line 1): is no setting of this type; known are header, mode, param, prefix",
		"{path: /, auth: {header: 'a b'}}": "settings.auth.header: is no name of a header",
		"{path: /, auth: {param: key}}":    "settings.auth.param: is for mode query only; remove it",
		"{path: /, auth: {mode: query}}":   "settings.auth.param: is missing; name the key's parameter. The upstream's access log will hold the key: use a mode that puts it into a header, if there is one",
		"{path: /, method: GET, auth: {mode: query, param: mobile_number}}": "settings.auth.param: is the name of another field of the query",
		"{path: /, code_map: {SUCCESS: retry}}":                             "settings.code_map.SUCCESS: is one of success_codes, too; remove one",
		"{path: /, code_map: {7: sing}}":                                    `settings.code_map.7 (line 1): "sing" is no action; use one of bug, disable_key, forbidden, invalid_number, misconfigured, no_balance, not_found, pause_key, reject_number, retry, unknown`,
		"{path: /, code_map: [7]}":                                          "settings.code_map (line 1): is not a mapping; write `word: meaning` below it",
		"path: /\ncode_map:\n  7: retry\n  '7 ': retry":                     "settings.code_map.7 (line 4): is there twice; remove one",
		"{path: /, code_map: {7: retry}, fields: {code: ''}}":               "settings.code_map: has no meaning without fields.code; remove one",
		"{path: /, transfer_map: {a: maybe}}":                               `settings.transfer_map.a (line 1): "maybe" is no meaning; use one of not_ported, ported, unknown`,
		"{path: /, operator_map: {a: China Mobile}}":                        "settings.operator_map.a (line 1): is no operator's id; write it like china_mobile, or virtual or unknown",
		"{path: /, fields: {transfer: '', current: ''}}":                    "settings.fields: names neither transfer nor both of original and current; one of them is what the product is asked for",
		"{path: /, fields: {transfer: data..x}}":                            "settings.fields.transfer (line 1): has an empty name between its dots; write it like data.transfer",
		"{path: /, fields: {data: [x]}}":                                    "settings.fields.data (line 1): is no path; write it like data.transfer",
		"{path: /, fields: {daat: x}}":                                      "settings.fields.daat (line 1): is no setting of this type; known are area, city, code, current, data, line_type, mcc, message, mnc, number, original, province, transfer",
		"{path: /, extra_body: {mobile_number: 1}}":                         "settings.extra_body.mobile_number: is the number's own field; remove it here or change request_field",
		"{path: /, extra_body: {a: .inf}}":                                  "settings.extra_body.a: is nothing that JSON can hold",
		"{path: /, method: GET, extra_body: {a: [1]}}":                      "settings.extra_body.a: is a list or mapping, which only a JSON body can hold",
		"{path: /, extra_headers: {'a b': x}}":                              "settings.extra_headers.a b: is no name of a header",
		"{path: /, extra_headers: {content-type: x}}":                       "settings.extra_headers.content-type: has a setting of its own, content_type",
		"{path: /, extra_headers: {host: x}}":                               "settings.extra_headers.host: is set by the HTTP client; remove it",
		"{path: /, extra_headers: {authorization: x}}":                      "settings.extra_headers.authorization: carries the key; remove it here or change auth.header",
	} {
		_, err := configured(t, "https://api.example.com", settings)
		require.EqualError(t, err, want, settings)
	}
}

func TestKeyInTheAddressNeedsTLS(t *testing.T) {
	t.Parallel()
	const settings = "{path: /, auth: {mode: query, param: key}}"
	_, err := configured(t, "http://api.example.com", settings)
	require.EqualError(t, err, "settings.auth.mode: query would send the key readable for everybody on the way; use an https base_url")
	for _, base := range []string{"https://api.example.com", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"} {
		_, err := configured(t, base, settings)
		require.NoError(t, err, base)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	number := func(code, national string) providers.Number {
		return providers.Number{E164: "+" + code + national, CountryCode: code, National: national}
	}
	p := sample(t, "countries: [CN, sg, US]")
	for _, n := range []providers.Number{number("86", "13800138000"), number("65", "81234567"), number("1", "4155550101")} {
		got, failure := p.Partition(n, nil)
		require.Nil(t, failure)
		require.Equal(t, partition, got)
	}
	for _, n := range []providers.Number{{}, number("86", "1012345678"), number("86", "12345678901"), number("86", "2112345678"), number("44", "7400123456")} {
		_, failure := p.Partition(n, nil)
		require.NotNil(t, failure, n.E164)
		require.Equal(t, providers.KindUnsupported, failure.Kind)
	}
	require.Equal(t, countries{"86": "CN", "65": "SG", "1": ""}, countries(p.countries), "+1 is of many countries")
	require.Equal(t, providers.KindTooMany, p.Call(t.Context(), providers.Query{Numbers: make([]providers.Number, 2)}).Failure.Kind)
}
