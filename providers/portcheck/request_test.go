package portcheck

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const secret = "portcheck-key-0123456789"

func query() providers.Query {
	return providers.Query{
		Key:     providers.Key{Name: "main", Secret: providers.NewSecret(secret)},
		Numbers: []providers.Number{{E164: "+8613800138000", CountryCode: "86", National: "13800138000"}},
	}
}

func requestOf(t *testing.T, settings string) upstream.Request {
	t.Helper()
	q := query()
	return sample(t, settings).asking.request(q.Key, q.Numbers[0])
}

func TestRequestForms(t *testing.T) {
	t.Parallel()
	r := requestOf(t, "")
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "/v1/mobile-transfer", r.Path)
	require.Empty(t, r.Query)
	require.Equal(t, "application/json", r.ContentType)
	require.JSONEq(t, `{"mobile_number":"13800138000"}`, string(r.Body))

	r = requestOf(t, "{number_format: e164, request_field: \"a\\\"b\", extra_body: {app: app-4711, n: 1, on: true, deep: {x: [1, null]}}}")
	require.JSONEq(t, `{"app":"app-4711","n":1,"on":true,"deep":{"x":[1,null]},"a\"b":"+8613800138000"}`, string(r.Body))

	r = requestOf(t, "{number_format: digits, content_type: application/x-www-form-urlencoded, extra_body: {app: 'a b', n: 1, on: true, nil: ~}}")
	require.Equal(t, "app=a+b&mobile_number=8613800138000&n=1&nil=&on=true", string(r.Body))
	require.Equal(t, "application/x-www-form-urlencoded", r.ContentType)

	r = requestOf(t, "{method: get, extra_body: {app: x}}")
	require.Equal(t, http.MethodGet, r.Method)
	require.Equal(t, "app=x&mobile_number=13800138000", r.Query.Encode())
	require.Nil(t, r.Body)
	require.Empty(t, r.ContentType)
}

func TestAuthModes(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]http.Header{
		"":                                    {"Authorization": {secret}},
		"auth: {header: x-api-key}":           {"X-Api-Key": {secret}},
		"auth: {prefix: 'Key '}":              {"Authorization": {"Key " + secret}},
		"auth: {mode: bearer}":                {"Authorization": {"Bearer " + secret}},
		"auth: {mode: bearer, header: token}": {"Token": {"Bearer " + secret}},
		"auth: {mode: appcode}":               {"Authorization": {"APPCODE " + secret}},
		"auth: {mode: none}":                  {},
		"{auth: {mode: none}, extra_headers: {x-tenant: t1}}": {"X-Tenant": {"t1"}},
		"auth: {mode: query, param: key}":                     {},
	} {
		require.Equal(t, want, requestOf(t, settings).Header, settings)
	}
	for _, method := range []string{"GET", "POST"} {
		r := requestOf(t, "{method: "+method+", auth: {mode: query, param: key}}")
		require.Equal(t, secret, r.Query.Get("key"), method)
	}
}

// With the key in the address nothing that leaves the provider shows it, whatever
// goes wrong.
func TestKeyInTheAddressIsNotRepeated(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.URL.String()))
	}))
	defer echo.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, base := range []string{echo.URL, gone.URL} {
		p, err := configured(t, base, "{path: /x, method: GET, auth: {mode: query, param: key}}")
		require.NoError(t, err)
		r := p.Call(t.Context(), query())
		require.NotNil(t, r.Failure)
		require.NotContains(t, r.Failure.Error(), secret)
		require.NotContains(t, r.Failure.Error(), "13800138000")
		require.NotContains(t, r.Failure.Error(), "mobile_number=1380")
	}
}

// Credentials among the settings are hidden like keys.
func TestSettingsAreNotRepeated(t *testing.T) {
	t.Parallel()
	p := sample(t, "{extra_headers: {x-app: app-secret-1}, extra_body: {a: {b: [app-secret-2]}, short: abc}}")
	q := query()
	req := p.asking.request(q.Key, q.Numbers[0])
	r := reading{p: p, q: &q, secrets: req.Secrets, res: &upstream.Response{
		Status: 200, Body: []byte(`{"code":"app-secret-1","message":"app-secret-2 abc ` + secret + ` 13800138000"}`),
	}}
	f := r.read().Failure
	require.Equal(t, "[redacted]", f.Code)
	require.Equal(t, "[redacted] abc [redacted] …8000", f.Message)
}
