package nxcloud

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

const balanceSettings = plainSettings + "balance_app_key: sms-app\nbalance_secret: sms&secret\nbalance_currency: USD\n"

// reader is a provider that reads balances at v, by the settings given besides.
func (v *vendor) reader(t *testing.T, base, settings string) providers.BalanceReader {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p, err := New(setup.Config{BaseURL: base, Keys: []string{"main"}, Transport: transport, Settings: node(t, balanceSettings+settings)})
	require.NoError(t, err)
	return p.(providers.BalanceReader) //nolint:forcetypeassert // balances are configured
}

func TestBalance(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		want  providers.Balance
		kind  providers.Kind
	}{
		"as documented": {reply: ok(`{"code": "0","balance": "3788.32", "credit_balance":"500"}`), want: providers.Balance{Amount: 3788.32, Unit: "USD", Postpaid: true}},
		"no credit":     {reply: ok(`{"code":0,"balance":12,"credit_balance":"0"}`), want: providers.Balance{Amount: 12, Unit: "USD"}},
		"below zero":    {reply: ok(`{"code":0,"balance":"-3"}`), want: providers.Balance{Amount: -3, Unit: "USD", Postpaid: true}},
		"no balance":    {reply: ok(`{"code":0}`), kind: providers.KindGarbled},
		"none":          {reply: ok(`{"code":0,"balance":"NaN"}`), kind: providers.KindGarbled},
		"a page":        {reply: ok(`<html>`), kind: providers.KindGarbled},
		"refused":       {reply: ok(`{"code":"202","msg":"sms-app"}`), kind: providers.KindUnauthorized},
		"odd":           {reply: ok(`{"code":"7"}`), kind: providers.KindUndocumented},
		"down":          {reply: reply{status: 503}, kind: providers.KindUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, tt.reply)
			got, failure := v.reader(t, v.server.URL, "").Balance(t.Context(), testKey())
			require.Equal(t, tt.want, got)
			if tt.want == (providers.Balance{}) {
				require.Equal(t, tt.kind, failure.Kind)
				require.NotContains(t, failure.Error(), "sms-app")
			} else {
				require.Nil(t, failure)
			}
			r := v.requests()[0]
			require.Equal(t, "/api/common/getBalance", r.path)
			require.Equal(t, "appkey=sms-app&secretkey=sms%26secret", r.body)
			require.Equal(t, "application/x-www-form-urlencoded", r.header.Get("Content-Type"))
		})
	}
}

// balance_url wins over base_url; without a path it gets the documented one.
func TestBalanceAddress(t *testing.T) {
	t.Parallel()
	for more, path := range map[string]string{"": "/api/common/getBalance", "/": "/api/common/getBalance", "/sms/balance": "/sms/balance"} {
		v := newVendor(t, ok(`{"code":0,"balance":1}`))
		_, failure := v.reader(t, "http://127.0.0.1:1", "balance_url: "+v.server.URL+more).Balance(t.Context(), testKey())
		require.Nil(t, failure)
		require.Equal(t, path, v.requests()[0].path)
	}
}

func TestBalanceOfAKeyWithout(t *testing.T) {
	t.Parallel()
	p, err := New(setup.Config{Settings: node(t, plainSettings+"balance_currency: USD\naccounts: {other: {balance_app_key: a, balance_secret: b}}")})
	require.NoError(t, err)
	_, failure := p.(providers.BalanceReader).Balance(t.Context(), testKey()) //nolint:forcetypeassert // balances are configured
	require.Equal(t, providers.KindUnauthorized, failure.Kind)
}
