package qxt

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/words"
)

func entryOf(code int, reason string) *entry {
	return &entry{code: code, hasCode: true, reason: []byte(reason)}
}

// Every code of the vendor's table, without a word that is known.
func TestCodeTable(t *testing.T) {
	t.Parallel()
	want := map[int]words.Verdict{
		1: words.Invalid, -1: words.DisableKey, -2: words.Invalid, -3: words.Unknown, -4: words.NotFound, -5: words.Unknown, -6: words.NoBalance,
		-7: words.Bug, -8: words.Retry, -9: words.Bug, -10: words.Split, -11: words.Unknown, 7: words.Unknown, 500: words.Unknown,
	}
	var c classifier
	for code, a := range want {
		for _, reason := range []string{"", "？？"} {
			require.Equal(t, a, c.verdict(entryOf(code, reason), true), code)
		}
	}
	require.Equal(t, words.Unknown, c.verdict(&entry{}, true), "no code at all")
}

func TestReasonsComeBeforeCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code   int
		reason string
		want   words.Verdict
	}{
		{-3, "apikey不匹配任何账户", words.DisableKey},
		{-3, "ApiKey 错误", words.DisableKey},
		{99, "APIKEY无效", words.DisableKey},
		{1, "参数验证失败：apikey长度", words.DisableKey},
		{-8, "请检查apikey", words.Retry},
		{-3, "余额已用完", words.NoBalance},
		{-8, "账户欠费", words.NoBalance},
		{2, "请充值", words.NoBalance},
		{-5, "IP不允许", words.Forbidden},
		{-5, "ip: 1.2.3.4", words.Forbidden},
		{-8, "不在白名单", words.Forbidden},
		{-1, "未授权", words.Forbidden},
		{-3, "没有权限", words.Forbidden},
		{-3, "zip", words.Unknown},
		{-3, "Init_isp", words.Unknown},
		{-3, "tip ip", words.Forbidden},
		{-3, "请求频繁", words.PauseKey},
		{-8, "访问频率", words.PauseKey},
		{-5, "提交过快", words.PauseKey},
		{-3, "超过并发", words.PauseKey},
		{-3, "每日限制", words.PauseKey},
		{-2, "手机号码限制11位", words.Invalid},
		{1, "号码提交过快", words.PauseKey},
		{1, "参数验证失败：手机号码无效", words.Invalid},
		{1, "参数错误", words.Invalid},
		{-4, "请检查提交的号码", words.NotFound},
		{-4, "查询异常", words.Retry},
		{-3, "号码有误", words.Reject},
		{-3, "号码查询超时", words.Retry},
		{42, "手机号不支持", words.Reject},
		{-7, "post内容错误或没有号码", words.Bug},
		{-8, "号码查询异常", words.Retry},
		{-1, "号码或账户错误", words.DisableKey},
		{-6, "号码数不足", words.NoBalance},
		{-3, "JSON解析失败", words.Bug},
		{-3, "post body", words.Bug},
		{-3, "参数不全", words.Bug},
		{-3, "postal", words.Unknown},
		{-3, "系统错误", words.Retry},
		{-5, "服务器内部错误", words.Retry},
		{99, "异常", words.Retry},
		{-3, "超时", words.Retry},
		{-3, "繁忙", words.Retry},
		{-10, "号码超过1000个的限制", words.Split},
		{-9, "系统无法解析号码JSON", words.Bug},
	}
	var c classifier
	for _, tt := range tests {
		require.Equal(t, tt.want, c.verdict(entryOf(tt.code, tt.reason), true), "%d %s", tt.code, tt.reason)
	}
}

// One sentence for key and number: the key's length decides, so that a bad
// number can never disable a good key.
func TestReasonThatNamesKeyAndNumber(t *testing.T) {
	t.Parallel()
	var c classifier
	e := entryOf(1, "apikey长度错误或手机号码长度错误")
	require.Equal(t, words.Invalid, c.verdict(e, true))
	require.Equal(t, words.DisableKey, c.verdict(e, false))
}

func TestSettings(t *testing.T) {
	t.Parallel()
	p := newProvider(t, `
single_call: false
code_actions: {"-3": retry, -8: pause_key, 5: unknown, -10: bug}
reason_actions:
  - {any: [次数, 用完], action: no_balance}
  - {all: [APIKEY, 过期], action: forbidden}
`)
	require.False(t, p.singleCall)
	c := &p.classifier
	require.Equal(t, words.Retry, c.verdict(entryOf(-3, ""), true))
	require.Equal(t, words.Retry, c.verdict(entryOf(-3, "余额"), true), "what the operator says of a code goes before the built-in words")
	require.Equal(t, words.PauseKey, c.verdict(entryOf(-8, ""), true))
	require.Equal(t, words.Bug, c.verdict(entryOf(-10, ""), true), "also before the certain codes")
	require.Equal(t, words.NoBalance, c.verdict(entryOf(-3, "次数已到"), true), "words go before codes")
	require.Equal(t, words.Forbidden, c.verdict(entryOf(1, "apikey已过期"), true))
	require.Equal(t, words.DisableKey, c.verdict(entryOf(1, "apikey"), true), "all words, not any")
	require.Equal(t, words.NotFound, c.verdict(entryOf(-4, ""), true), "the rest as built in")
}

func TestSettingsFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(`single_call: maybe
code_actions: {x: retry, 0: retry, "-3": nap, -3: retry, "-3 ": bug}
reason_actions:
  - {any: [a], action: split}
  - {any: [], action: split}
  - {all: [" "], action: split}
  - {any: [a]}
  - {any: [a], acton: split}
color: red
color: blue
`), &node))
	_, err := New(setup.Config{Settings: &node, BaseURL: "nowhere"})
	for _, want := range []string{
		"base_url: does not start with",
		"settings.single_call (line 1): cannot unmarshal",
		"settings.code_actions.x (line 2): is no code",
		"settings.code_actions.0 (line 2): is success",
		`settings.code_actions.-3 (line 2): "nap" is no action; use one of bug, disable_key`,
		"settings.code_actions.-3 (line 2): is there twice",
		"settings.reason_actions[1] (line 5): has no words",
		"settings.reason_actions[2] (line 6): has an empty word",
		"settings.reason_actions[3] (line 7): has no action",
		"settings.reason_actions[4].acton (line 8): is no setting of this type; known are action, all, any",
		"settings.color (line 9): is no setting",
		"settings.color (line 10): is already set in line 9",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, bad := range []string{"[]", "x", "code_actions: []", "reason_actions: {}", "reason_actions: [x]"} {
		var node yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(bad), &node))
		_, err := New(setup.Config{Settings: &node})
		require.ErrorContains(t, err, "settings", bad)
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "")
	for _, n := range []string{"13000000000", "19999999999", numberC} {
		got, failure := p.Partition(mobile(n), nil)
		require.Nil(t, failure)
		require.Equal(t, partition, got)
	}
	for _, n := range []providers.Number{
		{},
		mobile("12345678901"), mobile("1390000000"), mobile("139000000000"), mobile("02112345678"), mobile("10086"),
		{E164: "+8521390000000", CountryCode: "852", National: "13900000000"},
		{E164: "+14155550123", CountryCode: "1", National: "4155550123"},
	} {
		_, failure := p.Partition(n, nil)
		require.NotNil(t, failure, n.E164)
		require.Equal(t, providers.KindUnsupported, failure.Kind)
	}
}

// Every action has a kind for the call and for the number.
func TestActionsHaveKinds(t *testing.T) {
	t.Parallel()
	for _, v := range append(words.Common(), words.Split) {
		call, number := v.CallKind(), v.NumberKind()
		require.Equal(t, v == words.Unknown, call == providers.KindUndocumented, v)
		require.Equal(t, v == words.Unknown, number == providers.KindUndocumented, v)
		require.NotEqual(t, providers.KindUnauthorized, number, "%d: one number must not disable a key", v)
	}
}
