package qxt

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

const testKey = "0123456789abcdef0123456789abcdef"

func mobile(national string) providers.Number {
	return providers.Number{E164: "+86" + national, CountryCode: "86", National: national}
}

func newProvider(t *testing.T, settings string) *Provider {
	t.Helper()
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(settings), &node))
	p, err := New(setup.Config{Name: "qxt", Settings: &node})
	require.NoError(t, err)
	return p
}

func query(nationals ...string) providers.Query {
	q := providers.Query{Key: providers.Key{Name: "main", Secret: providers.NewSecret(testKey)}}
	for _, n := range nationals {
		q.Numbers = append(q.Numbers, mobile(n))
	}
	return q
}

func response(body string) upstream.Response {
	return upstream.Response{Status: 200, Body: []byte(body)}
}

const (
	numberA, numberB, numberC = "13972565391", "13798361236", "17012345678"
)

// found is an entry as the vendor writes it.
func found(number, res string) string {
	return `{"code":0,"reason":"Succ","result":{"res":"` + res + `","Mobile":"` + number + `","Area":"湖北-恩施","Init_Isp":"移动","Now_Isp":"电信"}}`
}

// said sums up a reply: an outcome's kind and failure a number, or the call's failure.
func said(r providers.Reply) string {
	if r.Failure != nil {
		return "call: " + r.Failure.Error()
	}
	words := make([]string, len(r.Outcomes))
	for i, out := range r.Outcomes {
		words[i] = [...]string{"failed", "found", "not found", "invalid"}[out.Kind]
		if out.Failure != nil {
			words[i] += " " + out.Failure.Error()
		}
	}
	return strings.Join(words, "; ")
}

func TestFacts(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "")
	base := providers.Facts{
		Country: "CN", Area: "湖北-恩施", LineType: providers.LineMobile, Valid: providers.Yes,
		OriginalCarrier: providers.Carrier{ID: "china_mobile", Name: "移动"}, CurrentCarrier: providers.Carrier{ID: "china_telecom", Name: "电信"},
	}
	type verdict struct {
		ported providers.Tri
		basis  string
	}
	apart := map[string]verdict{"0": {providers.Yes, normal.Inconsistent}, "1": {providers.Yes, ""}, "": {providers.Yes, normal.Derived}, "3": {}, "9": {}, "10": {}}
	alike := map[string]verdict{"0": {providers.No, ""}, "1": {providers.Yes, normal.Inconsistent}, "": {providers.No, normal.Derived}, "3": {}, "9": {}, "10": {}}
	for res, v := range apart {
		want := base
		want.Ported, want.PortedBasis = v.ported, v.basis
		r := p.read(query(numberA), response("["+found(numberA, res)+"]"))
		require.Equal(t, []providers.Outcome{{Kind: providers.Found, Facts: want}}, r.Outcomes, res)
		want.Ported, want.PortedBasis = alike[res].ported, alike[res].basis
		want.CurrentCarrier = providers.Carrier{ID: "china_mobile", Name: "中国移动"}
		r = p.read(query(numberA), response("["+strings.Replace(found(numberA, res), "电信", "中国移动", 1)+"]"))
		require.Equal(t, []providers.Outcome{{Kind: providers.Found, Facts: want}}, r.Outcomes, res)
	}
	r := p.read(query(numberC), response(`[{"code":0,"result":{"res":3,"Mobile":"`+numberC+`","Area":"-","Initisp":"虚拟运营商","Nowisp":"未知"}}]`))
	require.Equal(t, providers.Facts{
		Country: "CN", LineType: providers.LineMobile, Valid: providers.Yes,
		OriginalCarrier: providers.Carrier{ID: "virtual", Name: "虚拟运营商"},
	}, r.Outcomes[0].Facts)
	for written, area := range map[string]string{"北京-北京": "北京", "北京": "北京", "广东省-深圳市": "广东-深圳", "-": ""} {
		body := strings.Replace(found(numberA, "1"), "湖北-恩施", written, 1)
		require.Equal(t, area, p.read(query(numberA), response(body)).Outcomes[0].Facts.Area, written)
	}
}

func TestRawIsTheEntry(t *testing.T) {
	t.Parallel()
	p, q := newProvider(t, ""), query(numberA, numberB)
	require.Nil(t, p.read(q, response("["+found(numberA, "0")+"]")).Outcomes[0].Raw)
	q.Raw = true
	bad := `{"code":-2,"reason":"号码","result":{"Mobile":"` + numberB + `"}}`
	r := p.read(q, response("[ "+found(numberA, "0")+" , "+bad+"]"))
	require.Equal(t, found(numberA, "0"), string(r.Outcomes[0].Raw))
	require.Equal(t, bad, string(r.Outcomes[1].Raw))
}

// Two numbers are asked.
func TestBatchReplies(t *testing.T) {
	t.Parallel()
	a, b := found(numberA, "0"), found(numberB, "1")
	bad := func(number, code, reason string) string {
		return `{"code":` + code + `,"reason":"` + reason + `","result":{"Mobile":"` + number + `"}}`
	}
	tests := map[string]struct{ body, want string }{
		"both, reversed":             {"[" + b + "," + a + "]", "found; found"},
		"one missing":                {"[" + a + "]", "found; failed missing: the reply leaves this number out"},
		"none":                       {"[]", "failed missing: the reply leaves this number out; failed missing: the reply leaves this number out"},
		"with the country code":      {"[" + found("+86"+numberA, "0") + "," + found("0086"+numberB, "0") + "]", "found; found"},
		"one object":                 {a, "found; failed missing: the reply leaves this number out"},
		"one number is none":         {"[" + a + "," + bad(numberB, "-2", "号码长度错误") + "]", "found; invalid rejected (code -2): 号码长度错误"},
		"one is not found":           {"[" + a + "," + bad(numberB, `"-4"`, "") + "]", "found; not found"},
		"one says nothing":           {"[" + a + `,{"code":0,"result":{"Mobile":"` + numberB + `"}}]`, "found; not found"},
		"one to be tried again":      {"[" + a + "," + bad(numberB, "-8", "") + "]", "found; failed retryable (code -8)"},
		"one with an unknown code":   {"[" + a + "," + bad(numberB, "-3", "？") + "]", "found; failed undocumented (code -3): ？"},
		"one without a code":         {"[" + a + `,{"result":{"Mobile":"` + numberB + `"}}]`, "found; failed garbled"},
		"the money ends in between":  {"[" + a + "," + bad(numberB, "-6", "余额不足") + "]", "found; failed no_balance (code -6): 余额不足"},
		"key works for the other":    {"[" + a + "," + bad(numberB, "-1", "apikey不匹配") + "]", "found; failed retryable (code -1): apikey不匹配"},
		"code 1 beside an answer":    {"[" + a + "," + bad(numberB, "1", "apikey错误") + "]", "found; invalid rejected (code 1): apikey错误"},
		"no right to ask this one":   {"[" + a + "," + bad(numberB, "-5", "无权限") + "]", "found; failed rejected (code -5): 无权限"},
		"all with a bad key":         {"[" + bad(numberA, "-1", "") + "," + bad(numberB, "-1", "") + "]", "call: unauthorized (code -1)"},
		"all out of money":           {"[" + bad(numberA, "-6", "") + "]", "call: no_balance (code -6)"},
		"all to be tried again":      {"[" + bad(numberA, "-8", "") + "," + bad(numberB, "-8", "系统异常") + "]", "call: unavailable (code -8): 系统异常"},
		"different faults":           {"[" + bad(numberA, "-8", "") + "," + bad(numberB, "-6", "") + "]", "failed retryable (code -8); failed no_balance (code -6)"},
		"all are none":               {"[" + bad(numberA, "-2", "") + "," + bad(numberB, "-2", "") + "]", "invalid rejected (code -2); invalid rejected (code -2)"},
		"nameless, one left":         {"[" + a + `,{"code":-2,"reason":"","result":""}]`, "found; invalid rejected (code -2)"},
		"nameless, all alike":        {`[{"code":-4,"result":null},{"code":-4}]`, "not found; not found"},
		"nameless and empty":         {`[{"code":0,"result":null},{"code":0,"result":""}]`, "not found; not found"},
		"nameless, not alike":        {`[{"code":-4,"result":null},{"code":-2}]`, "failed missing: the reply leaves this number out; failed missing: the reply leaves this number out"},
		"nameless, fewer":            {`[{"code":-4,"result":null}]`, "failed missing: the reply leaves this number out; failed missing: the reply leaves this number out"},
		"facts of nobody":            {`[{"code":0,"result":{"Area":"x"}},` + b + "]", "failed missing: the reply leaves this number out; found"},
		"refused for a number":       {`{"code":1,"reason":"参数验证失败：手机号码无效","result":null}`, "call: refused (code 1): 参数验证失败：手机号码无效"},
		"refused for nothing found":  {`{"code":-4,"reason":"未查询到"}`, "call: refused (code -4): 未查询到"},
		"refused for the key":        {`{"code":1,"reason":"apikey长度不正确"}`, "call: unauthorized (code 1): apikey长度不正确"},
		"refused, the number masked": {`{"code":-2,"reason":"号码13972565391无效 ` + testKey + `"}`, "call: refused (code -2): 号码…5391无效 [redacted]"},
		"success without numbers":    {`{"code":0,"reason":"Succ"}`, "call: garbled: the reply has no code and no numbers"},
		"an object of another kind":  {`{"error":"x"}`, "call: garbled: the reply has no code and no numbers"},
		"a reason without a code":    {`{"reason":"系统繁忙"}`, "call: unavailable: 系统繁忙"},
		"an unknown reason, no code": {`{"reason":"喵"}`, "call: garbled: 喵"},
		"success with an odd result": {`[` + a + `,{"code":0,"reason":"Succ","result":[]}]`, "found; failed garbled: Succ"},
		"a page":                     {`<html>`, "call: garbled: an HTML page instead of JSON"},
		"nothing":                    {``, "call: garbled: empty reply"},
		"null":                       {`null`, "call: garbled: not the documented JSON"},
		"cut off":                    {`[` + a + `,{"code":0,"rea`, "call: garbled: not the documented JSON"},
		"junk in the list":           {"[1,null," + b + `,"x",[` + a + "]]", "failed missing: the reply leaves this number out; found"},
	}
	p := newProvider(t, "")
	for name, tt := range tests {
		require.Equal(t, tt.want, said(p.read(query(numberA, numberB), response(tt.body))), name)
	}
	r := p.read(query(numberA, numberB), response("["+a+","+found(numberC, "0")+","+a+",7,"+b+"]"))
	require.Equal(t, "found; found", said(r))
	require.Equal(t, [2]int{2, 1}, [2]int{r.Extra, r.Duplicates})
}

// One number is asked, by the single call.
func TestSingleReplies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"found":              {found(numberA, "1"), "found"},
		"without its number": {`{"code":0,"result":{"Area":"x"}}`, "found"},
		"of another number":  {found(numberB, "1"), "failed missing: the reply leaves this number out"},
		"as a list":          {"[" + found(numberA, "1") + "]", "found"},
		"as a nameless list": {`[{"code":0,"result":{"Area":"x"}}]`, "found"},
		"says nothing":       {`{"code":0,"reason":"Succ","result":null}`, "not found"},
		"not found":          {`{"code":-4,"reason":"","result":""}`, "not found"},
		"is none":            {`{"code":-2,"reason":"号码格式错误","result":""}`, "invalid rejected (code -2): 号码格式错误"},
		"refused for good":   {`{"code":-99,"reason":"不支持该号码"}`, "failed rejected (code -99): 不支持该号码"},
		"again, later":       {`{"code":-8,"reason":""}`, "call: unavailable (code -8)"},
		"unknown":            {`{"code":-3,"reason":""}`, "call: undocumented (code -3)"},
		"bad key":            {`{"code":-1,"reason":"apikey不正确"}`, "call: unauthorized (code -1): apikey不正确"},
		"too fast":           {`{"code":-5,"reason":"请求过于频繁"}`, "call: throttled (code -5): 请求过于频繁"},
	}
	p := newProvider(t, "")
	for name, tt := range tests {
		require.Equal(t, tt.want, said(p.read(query(numberA), response(tt.body))), name)
	}
}

// Words beside an error status decide, unless the status is clear.
func TestErrorStatus(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "")
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"words beside 400":       {400, `{"code":-1,"reason":"apikey错误"}`, "call: unauthorized (code -1): apikey错误"},
		"words beside 403":       {403, `{"code":-5,"reason":"IP不在白名单"}`, "call: forbidden (code -5): IP不在白名单"},
		"number beside 400":      {400, `{"code":-2,"reason":"号码错误"}`, "invalid rejected (code -2): 号码错误"},
		"unknown beside 400":     {400, `{"code":-3,"reason":"喵"}`, "call: refused (code 400)"},
		"success beside 400":     {400, found(numberA, "0"), "call: refused (code 400)"},
		"words beside 429":       {429, `{"code":-1,"reason":"apikey错误"}`, "call: refused (code 400)"},
		"words beside 500":       {500, `{"code":-1,"reason":"apikey错误"}`, "call: refused (code 400)"},
		"no words beside 401":    {401, `denied`, "call: refused (code 400)"},
		"a list is not believed": {400, `[` + found(numberA, "0") + `]`, "call: refused (code 400)"},
	}
	for name, tt := range tests {
		failure := &providers.Failure{Kind: upstream.StatusKind(tt.status), Code: "400"}
		want := strings.Replace(tt.want, "refused (code 400)", failure.Kind.String()+" (code 400)", 1)
		r := p.refused(query(numberA), upstream.Response{Status: tt.status, Body: []byte(tt.body)}, failure)
		require.Equal(t, want, said(r), name)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("["+found(numberA, "1")+"]"), true)
	f.Add([]byte(`{"code":-2,"reason":"号码","result":""}`), false)
	f.Add([]byte(`[{"code":-4,"result":{"Mobile":"`+numberB+`"}},1]`), false)
	p, err := New(setup.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, single bool) {
		q := query(numberA, numberB)
		if single {
			q = query(numberA)
		}
		q.Raw = true
		r := p.read(q, upstream.Response{Status: 200, Body: body})
		if r.Failure != nil {
			require.Nil(t, r.Outcomes)
			return
		}
		require.Len(t, r.Outcomes, len(q.Numbers))
		for _, out := range r.Outcomes {
			require.Equal(t, out.Kind == providers.Failed || out.Kind == providers.Invalid, out.Failure != nil)
		}
	})
}

// Whatever is said of a balance, it is a number that can be compared, or a failure.
func FuzzBalance(f *testing.F) {
	for _, body := range []string{
		`{"code":0,"reason":"Succ","result":{"feeType":"预付费","balance":"12048"}}`, `{"code":0,"result":{"feeType":"后付费","balance":-2047}}`,
		`{"code":0,"result":{"balance":"NaN"}}`, `{"code":0,"result":{"balance":"1e999"}}`, `{"code":-1,"reason":"apikey不匹配"}`, `{"code":1,"reason":"手机号"}`,
		`[{"code":0,"result":{"balance":"1"}}]`, `{"code":0}`, `{"code":0,"result":{"balance":""}}`, `<html>`, "",
	} {
		f.Add([]byte(body))
	}
	p, err := New(setup.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b, failure := p.readBalance(query(), response(string(body)))
		if failure != nil {
			require.Equal(t, providers.Balance{}, b)
			return
		}
		require.False(t, math.IsNaN(b.Amount) || math.IsInf(b.Amount, 0))
		require.Equal(t, "lookups", b.Unit)
		require.True(t, b.Postpaid || b.Amount >= 0)
	})
}
