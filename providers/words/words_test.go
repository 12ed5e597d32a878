package words_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/words"
)

func all() []words.Verdict {
	var vs []words.Verdict
	for v := words.Unknown; v <= words.Misconfigured; v++ {
		vs = append(vs, v)
	}
	return vs
}

// Every verdict has a kind for the call of one number, of many, and for one of them.
func TestKinds(t *testing.T) {
	t.Parallel()
	type kinds [3]providers.Kind
	same := func(k providers.Kind) kinds { return kinds{k, k, k} }
	want := map[words.Verdict]kinds{
		words.Unknown:       same(providers.KindUndocumented),
		words.Invalid:       {providers.KindRejected, providers.KindRefused, providers.KindRejected},
		words.NotFound:      {providers.KindRejected, providers.KindRefused, providers.KindRejected},
		words.Reject:        {providers.KindRejected, providers.KindRefused, providers.KindRejected},
		words.Refused:       {providers.KindRefused, providers.KindRefused, providers.KindRejected},
		words.Retry:         {providers.KindUnavailable, providers.KindUnavailable, providers.KindRetryable},
		words.RetryNumber:   same(providers.KindRetryable),
		words.PauseKey:      same(providers.KindThrottled),
		words.NoBalance:     same(providers.KindNoBalance),
		words.DisableKey:    {providers.KindUnauthorized, providers.KindUnauthorized, providers.KindRetryable},
		words.Forbidden:     {providers.KindForbidden, providers.KindForbidden, providers.KindRejected},
		words.Bug:           same(providers.KindInternal),
		words.Split:         {providers.KindTooMany, providers.KindTooMany, providers.KindRetryable},
		words.Misconfigured: same(providers.KindMisconfigured),
	}
	require.Len(t, want, len(all()))
	for _, v := range all() {
		got := kinds{v.Kind(), v.CallKind(), v.NumberKind()}
		require.Equal(t, want[v], got, v)
		require.False(t, v.AboutCall() && v.AboutNumber(), v)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	decode := func(text string, more ...words.Verdict) (words.Verdict, error) {
		node := new(yaml.Node)
		require.NoError(t, yaml.Unmarshal([]byte(text), node))
		return words.Decode(node.Content[0], more...)
	}
	for name, want := range map[string]words.Verdict{"retry": words.Retry, "unknown": words.Unknown, "bug": words.Bug, "pause_key": words.PauseKey} {
		got, err := decode(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := decode("split", words.Split)
	require.NoError(t, err)
	require.Equal(t, words.Split, got)
	for text, want := range map[string]string{
		"split": `(line 1): "split" is no action; use one of bug, disable_key, forbidden, invalid_number, no_balance, not_found, pause_key, reject_number, retry, unknown`,
		"''":    `(line 1): "" is no action`, "[retry]": `(line 1): "" is no action`,
	} {
		_, err := decode(text)
		require.ErrorContains(t, err, want)
	}
	list := new(yaml.Node)
	require.NoError(t, yaml.Unmarshal([]byte("[&x retry, *x]"), list))
	got, err = words.Decode(list.Content[0].Content[1])
	require.NoError(t, err)
	require.Equal(t, words.Retry, got)
	_, err = decode("sing", words.Misconfigured)
	require.ErrorContains(t, err, "invalid_number, misconfigured, no_balance")
}

func TestHasWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"ip": true, "tip ip": true, "ip: 1.2.3.4": true, "ip不允许": true, "(ip)": true,
		"": false, "tips": false, "init_isp": false, "client_ip": false, "ipip": false,
	} {
		require.Equal(t, want, words.HasWord(text, "ip"), text)
		require.Equal(t, want, words.HasWord(text, "qps", "ip"), text)
	}
	require.False(t, words.HasWord("ip"))
}

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"API_KEY": "api key", "apiKey": "api key", "InsufficientBalance": "insufficient balance", "QPS超限": "qps超限", "": "", "Load balancer": "load balancer", "a\xffB": "a\uFFFDb",
	} {
		require.Equal(t, want, words.Fold(text), text)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	require.True(t, words.Number("该号码") && words.Money("请充值") && words.Pace("超过并发") && words.Fault("系统"))
	require.False(t, words.Number("系统") || words.Money("次数") || words.Pace("限制") || words.Fault("号码"))
}

// Whatever the text, a word is found only where the text has it, and folding
// leaves no capital of ASCII.
func FuzzText(f *testing.F) {
	for _, text := range []string{"tip ip", "API_KEY", "号码\xff", "İp"} {
		f.Add(text, "ip")
	}
	f.Fuzz(func(t *testing.T, text, word string) {
		if word == "" {
			return
		}
		if words.HasWord(text, word) {
			require.True(t, words.Has(text, word))
		}
		require.False(t, strings.ContainsAny(words.Fold(text), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"))
	})
}
