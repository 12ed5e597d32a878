package upstream_test

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

func TestClean(t *testing.T) {
	t.Parallel()
	key := providers.NewSecret(secret)
	tests := map[string]string{
		"":                                       "",
		"apikey " + secret + " is wrong":         "apikey [redacted] is wrong",
		secret + secret:                          "[redacted][redacted]",
		"in capitals " + strings.ToUpper(secret): "in capitals [redacted]",
		"form " + url.QueryEscape(secret):        "form [redacted]",
		"header " + base64.StdEncoding.EncodeToString([]byte(secret)): "header [redacted]",
		"number 13972565391!":        "number …5391!",
		"号码+86-139 7256-5391无效":      "号码+…5391无效",
		"code -10, max 1000, 123456": "code -10, max 1000, 123456",
		"at 10.0.0.1:8443":           "at 10.0.0.1:8443",
		"two 1234567, 7654321":       "two …4567, …4321",
		"number 303.555.0000!":       "number …0000!",
		"+1 (303) 555-0000.":         "+…0000.",
		"(303) 555 0000":             "(…0000",
		"(030) / 123 4567":           "(…4567",
		"06.12.34.56.78":             "…5678",
		"12.34.56.78":                "…5678",
		"303/555/0000, 303–555–0000": "…0000, …0000",
		"1.303.555.0000":             "…0000",
		"at 192.168.100.200:8443":    "at 192.168.100.200:8443",
		"IP 203.0.113.77.":           "IP 203.0.113.77.",
		"203.0.113.77 or 10.0.0.1":   "203.0.113.77 or 10.0.0.1",
		"203.0.113.77.139":           "…7139",
		"203.0.113.77 13972565391":   "…5391",
		"HTTP/1.1 404, v1.26.3":      "HTTP/1.1 404, v1.26.3",
		"(1.5) of 3/4 ...":           "(1.5) of 3/4 ...",
		"a\r\n\tb\x00\u2028c":        "a b c",
		"bad\xffbytes":               "bad\uFFFDbytes",
	}
	for text, want := range tests {
		require.Equal(t, want, upstream.Clean(text, key), text)
	}
	require.Equal(t, "x", upstream.Clean("x", providers.Secret{}), "no secret, nothing to hide")
	long := upstream.Clean(strings.Repeat("号", 300))
	require.LessOrEqual(t, len(long), 200)
	require.True(t, utf8.ValidString(long))
	require.True(t, strings.HasSuffix(long, "号…"))
}

// FuzzClean: whatever an upstream says, no secret and no number comes through,
// and it is one short line.
func FuzzClean(f *testing.F) {
	f.Add("apikey "+secret+" 13972565391", secret)
	f.Add("\xff\n"+strings.Repeat("9", 400), "a b%20")
	f.Add("x", "")
	f.Add("1 (303) 555.0000/10.0.0.1", "k")
	digits, grouped := regexp.MustCompile(`\d{7}`), regexp.MustCompile(`\d{3}[ ./()-]\d{3}[ ./()-]\d{4}`)
	f.Fuzz(func(t *testing.T, text, key string) {
		got := upstream.Clean(text, providers.NewSecret(key))
		require.LessOrEqual(t, len(got), 200)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\n")
		require.Empty(t, digits.FindString(got))
		require.Empty(t, grouped.FindString(got))
		if len(key) >= 12 && strings.Contains(text, key) { // "[redacted]" is shorter
			require.NotContains(t, got, key)
		}
	})
}
