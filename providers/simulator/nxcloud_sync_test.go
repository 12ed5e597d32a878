package simulator

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNXCloudSyncAndBalance(t *testing.T) {
	t.Parallel()
	s := start(t, "nxcloud: {small_rate: -1, prices: {1: 0.5}, keys: [{key: acc, secret: sec, apps: [app], balance: 2}]}")
	now := func(phone string, level int) map[string]any {
		_, _, text := nx(t, s, "/api/number/check/get", map[string]any{"phone": phone, "appkey": "app", "batchNo": "b", "checkLevel": level})
		return object(t, text)
	}
	o := now("8613900000000", 1)
	require.Equal(t, "CN", dig(o, "data", "basic", "country"))
	require.Equal(t, "0.5", dig(o, "data", "cost", "price"))
	require.Equal(t, 201, now("8613900000000", 5)["code"])
	require.Equal(t, 201, now("8613900000000,8613900000001", 1)["code"])
	require.Equal(t, "12", dig(now("12", 1), "data", "failNumber", 0, "number"))
	require.Equal(t, int64(1), s.LedgerOf(UpstreamNXCloud).Summary().Numbers)

	form := "application/x-www-form-urlencoded"
	_, _, text := request(t, s, "POST "+NXCloudPath+"/api/common/getBalance", "appkey=app&secretkey=sec", "Content-Type", form)
	require.JSONEq(t, `{"code":"0","balance":"1.5","credit_balance":"0"}`, text)
	_, _, text = request(t, s, "POST "+NXCloudPath+"/api/common/getBalance", "appkey=app&secretkey=no", "Content-Type", form)
	require.Contains(t, text, `"code":"1"`)
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://127.0.0.1:8081/x": true, "https://[::1]/x": true, "http://localhost/x": true,
		"http://192.0.2.1/": false, "http://example.com/": false, "ftp://127.0.0.1/": false, "": false, "http://": false,
	} {
		require.Equal(t, want, loopback(address), address)
	}
	require.NoError(t, loopbackOnly("tcp", "127.0.0.1:80", nil))
	require.Error(t, loopbackOnly("tcp", "192.0.2.1:80", nil))
	require.Error(t, loopbackOnly("tcp", "nonsense", nil))
}
