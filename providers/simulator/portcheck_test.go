package simulator

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func transfer(t *testing.T, s *Server, number string, header ...string) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"mobile_number": number})
	require.NoError(t, err)
	if len(header) == 0 {
		header = []string{"Authorization", "k"}
	}
	code, _, text := request(t, s, "POST "+PortcheckPath+"/mobile-transfer", string(body), append(header, "Content-Type", "application/json")...)
	return code, text
}

// TestPortcheckSample: the one reply that the vendor shows.
func TestPortcheckSample(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	seen := map[any]int{}
	for _, n := range mobiles(100) {
		code, text := transfer(t, s, n)
		require.Equal(t, http.StatusOK, code)
		o := object(t, text)
		require.Equal(t, "SUCCESS", o["code"])
		require.Equal(t, "success", o["message"])
		require.Len(t, o["data"], 3)
		word := dig(o, "data", "transfer")
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamPortcheck}, "+86"+n)
		require.Equal(t, *truth.Lookup.Ported, word == "已携转")
		require.Equal(t, truth.Lookup.OriginalCarrier.Name, dig(o, "data", "originalOperator"))
		require.Equal(t, truth.Lookup.CurrentCarrier.Name, dig(o, "data", "currentOperator"))
		seen[word]++
	}
	require.Len(t, seen, 2)
	require.Equal(t, int64(100), s.LedgerOf(UpstreamPortcheck).Summary().Distinct)
	require.Contains(t, s.LedgerOf(UpstreamPortcheck).Numbers(1), "+8613900000000")
}

func TestPortcheckErrors(t *testing.T) {
	t.Parallel()
	const keys = "keys: [{key: good}, {key: poor, balance: 0}, {key: barred, forbidden: true}]"
	s := start(t, "portcheck: {"+keys+"}")
	words := start(t, "portcheck: {body_errors: true, "+keys+"}")
	for _, tc := range []struct {
		name, key, number, code, message string
		status                           int
	}{
		{"bad key", "bad", "13900000000", "INVALID_TOKEN", "token无效", http.StatusUnauthorized},
		{"no key", "", "13900000000", "INVALID_TOKEN", "token无效", http.StatusUnauthorized},
		{"no permission", "barred", "13900000000", "FORBIDDEN", "权限", http.StatusForbidden},
		{"no balance", "poor", "13900000000", "INSUFFICIENT_BALANCE", "余额", http.StatusPaymentRequired},
		{"bad number", "good", "139", "INVALID_MOBILE", "手机号码", http.StatusBadRequest},
		{"no number", "good", "", "BAD_REQUEST", "参数", http.StatusBadRequest},
	} {
		status, text := transfer(t, s, tc.number, "Authorization", tc.key)
		require.Equal(t, tc.status, status, tc.name)
		require.Equal(t, tc.code, object(t, text)["code"], tc.name)
		status, text = transfer(t, words, tc.number, "Authorization", tc.key)
		require.Equal(t, http.StatusOK, status, tc.name)
		require.Contains(t, object(t, text)["message"], tc.message, tc.name)
	}
	code, _, _ := request(t, s, "GET "+PortcheckPath+"/mobile-transfer", "")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	require.Zero(t, s.LedgerOf(UpstreamPortcheck).Summary().Numbers)
}

func TestPortcheckAuth(t *testing.T) {
	t.Parallel()
	for mode, how := range map[string][]string{
		"header, header: X-API-Key":                       {"X-Api-Key", "good"},
		"header, header: Authorization, prefix: 'Token '": {"Authorization", "Token good"},
		"bearer":  {"Authorization", "Bearer good"},
		"appcode": {"Authorization", "APPCODE good"},
	} {
		s := start(t, "portcheck: {keys: [{key: good}], auth: {mode: "+mode+"}}")
		code, text := transfer(t, s, "13900000000", how...)
		require.Equal(t, http.StatusOK, code, mode+text)
		code, _ = transfer(t, s, "13900000000", how[0], "nonsense")
		require.Equal(t, http.StatusUnauthorized, code, mode)
	}
	s := start(t, "portcheck: {keys: [{key: good}], auth: {mode: query, header: token}}")
	code, _, _ := request(t, s, "POST "+PortcheckPath+"/mobile-transfer?token=good", `{"mobile_number":"13900000000"}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, code)
}

// TestPortcheckFates: each number gets what its truth says, every time.
func TestPortcheckFates(t *testing.T) {
	t.Parallel()
	s := start(t, `portcheck: {spelling: mixed, unknown: 0.1, invalid: 0.1, poison: {share: 0.1, numbers: ["13900000001"]},
	  item_errors: [{share: 0.1, code: SYSTEM_ERROR, sticky: true}]}`)
	seen := map[Status]int{}
	for _, n := range mobiles(300) {
		truth := s.snapshot().Truth(Ask{Upstream: UpstreamPortcheck}, "+86"+n)
		seen[truth.Status]++
		code, text := transfer(t, s, n)
		o := object(t, text)
		switch truth.Status {
		case StatusOK:
			require.NotEmpty(t, dig(o, "data", "transfer"))
		case StatusNotFound:
			require.Equal(t, "SUCCESS", o["code"])
			require.Nil(t, o["data"])
		case StatusInvalid:
			require.Equal(t, "INVALID_MOBILE", o["code"])
		case StatusPoison:
			require.Equal(t, http.StatusBadRequest, code)
		case StatusFailed:
			require.Equal(t, http.StatusInternalServerError, code)
		case StatusUnsupported:
			require.Fail(t, "a mobile is no unsupported number")
		}
	}
	require.Len(t, seen, 5)
	require.Equal(t, StatusPoison, s.snapshot().Truth(Ask{Upstream: UpstreamPortcheck}, "+8613900000001").Status)
	require.Equal(t, StatusUnsupported, s.snapshot().Truth(Ask{Upstream: UpstreamPortcheck}, "+13032000000").Status)
}

// TestPortcheckContradictions: of a number that moved, the operators differ or the
// word says so, and never is all the same said of one that did not.
func TestPortcheckContradictions(t *testing.T) {
	t.Parallel()
	p, err := ParseProfile([]byte("portcheck: {spelling: mixed}"))
	require.NoError(t, err)
	odd, transfers := 0, map[string]bool{}
	for _, n := range mobiles(5000) {
		w := p.portcheckWords(n)
		h := p.homeCN(n)
		transfers[w.transfer] = true
		require.Equal(t, h.first == h.now, !h.ported)
		if portedWord(w.transfer) != h.ported {
			odd++
			require.True(t, *p.Truth(Ask{Upstream: UpstreamPortcheck}, "+86"+n).Lookup.Ported)
		}
	}
	require.InDelta(t, 50, odd, 40)
	require.Len(t, transfers, 19)
}

func TestPortcheckMissingIsAnEmptyBody(t *testing.T) {
	t.Parallel()
	s := start(t, "portcheck: {missing: 1}")
	code, text := transfer(t, s, "13900000000")
	require.Equal(t, http.StatusOK, code)
	require.Empty(t, text)
}
