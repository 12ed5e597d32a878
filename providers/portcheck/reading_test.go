package portcheck

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
	"github.com/lookupq/lookupq/providers/upstream"
)

// reply is what p makes of a reply.
func reply(p *Provider, status int, body string) providers.Reply {
	q := query()
	q.Raw = true
	res := upstream.Response{Status: status, Body: []byte(body)}
	r := reading{p: p, q: &q, res: &res, secrets: []providers.Secret{q.Key.Secret}}
	if status/100 == 2 {
		return r.read()
	}
	return r.refused(&providers.Failure{Kind: upstream.StatusKind(status), Code: "status"})
}

// meaning is a reply in a word.
func meaning(r providers.Reply) string {
	if r.Failure != nil {
		return r.Failure.Kind.String()
	}
	out := r.Outcomes[0]
	switch out.Kind {
	case providers.Found:
		return "found"
	case providers.NotFound:
		return "not found"
	case providers.Invalid:
		return "invalid"
	case providers.Failed:
		return "number " + out.Failure.Kind.String()
	case providers.Pending:
	}
	return "pending"
}

func TestMessages(t *testing.T) {
	t.Parallel()
	p := sample(t, "")
	for want, messages := range map[string][]string{
		"invalid":      {"手机号不正确", "号码有误", "invalid mobile number", "Phone error", "Invalid", "格式错误", "手机号格式错误，请检查参数", "手机号格式错误，请重新输入后重试", "Invalid mobile number, please try again"},
		"unauthorized": {"无效的key", "Invalid API key", "token expired", "Unauthorized", "无权限", "接口未授权", "签名错误", "appcode 不存在, no result", "key: not found", "API_KEY_INVALID", "invalid apiKey", "token验证失败", "服务未授权"},
		"no_balance":   {"余额不足", "账户欠费", "次数已用完", "quota exceeded", "insufficient balance", "Quota limit exceeded", "您的key余额不足", "号码查询余额不足", "InsufficientBalance", "INSUFFICIENT_BALANCE", "查询次数不足", "余额不足，请充值后重试"},
		"throttled": {
			"请求过于频繁", "触发限流", "QPS超限", "Rate limit exceeded", "too many requests", "访问频率过快", "QPS_LIMIT",
			// What is counted is not what is paid.
			"请求次数过于频繁", "访问次数超过限制", "调用次数超限，请稍后再试", "Too many requests, quota per second exceeded", "余额查询过于频繁",
		},
		"not found": {"查无此号", "未查询到该号码的信息", "no data", "No record found", "查询失败，查无此号", "NO_DATA"},
		"refused":   {"invalid parameter", "请求参数格式错误", "Invalid request body"},
		// Either the number's fault or the key's.
		"undocumented": {"", "error", "该号码无查询权限", "手机号查询接口未授权", "该号码已欠费", "mobile number is over the limit", "turkey", "success"},
		// This number is asked for too often, and no other.
		"number retryable": {
			"该号码查询过于频繁", "too many queries of this mobile", "该号码查询次数超过限制",
			// Nor is it the number's fault that its looking up came to nothing.
			"手机号查询超时，请重试", "手机号查询服务繁忙", "号码查询系统异常", "mobile service unavailable", "internal error looking up mobile",
			"手机号码归属地查询失败", "系统繁忙，未查询到该号码", "mobile lookup timed out", "phone system busy", "invalid mobile reply: timeout", "号码查询失败，请重试",
		},
		"unavailable": {"系统错误", "服务器内部错误", "系统繁忙，请稍后再试", "查询失败", "internal error", "load balancer error", "Load balancing failed", "LoadBalancer timeout", "service busy, no data"},
	} {
		for _, message := range messages {
			body, err := json.Marshal(map[string]any{"code": "E1", "message": message, "data": nil})
			require.NoError(t, err)
			require.Equal(t, want, meaning(reply(p, 200, string(body))), message)
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	p := sample(t, "code_map: {E5: not_found, E6: reject_number}")
	for _, tt := range []struct {
		status              int
		code, message, want string
	}{
		{400, "", "", "refused"},
		{422, "", "", "refused"},
		{400, "E1", "手机号错误", "invalid"},
		{422, "E1", "查无", "not found"},
		{400, "E1", "invalid token", "unauthorized"},
		{400, "E1", "余额不足", "no_balance"},
		{400, "E1", "请求频繁", "throttled"},
		{401, "", "", "unauthorized"},
		{401, "E1", "手机号错误", "unauthorized"},
		{401, "E1", "余额不足", "no_balance"},
		{402, "E1", "invalid token", "no_balance"},
		{403, "", "", "forbidden"},
		{403, "E1", "手机号错误", "forbidden"},
		{403, "E1", "无权限", "unauthorized"},
		{403, "E1", "qps", "throttled"},
		{404, "E1", "查无", "misconfigured"},
		{405, "E1", "手机号错误", "misconfigured"},
		{429, "E1", "余额不足", "throttled"},
		{500, "E1", "手机号错误", "unavailable"},
		{502, "", "", "unavailable"},
		{500, "E5", "x", "not found"},
		{404, "E6", "x", "number rejected"},
	} {
		body, err := json.Marshal(map[string]any{"code": tt.code, "message": tt.message})
		require.NoError(t, err)
		require.Equal(t, tt.want, meaning(reply(p, tt.status, string(body))), "%d %s", tt.status, tt.message)
	}
}

func TestCodeMapGoesFirst(t *testing.T) {
	t.Parallel()
	p := sample(t, `code_map: {1: invalid_number, 2: not_found, 3: reject_number, 4: retry, 5: unknown, 6: pause_key, 7: no_balance, 8: disable_key, 9: forbidden, 10: bug, 11: misconfigured}`)
	want := strings.Split("invalid,not found,number rejected,unavailable,undocumented,throttled,no_balance,unauthorized,forbidden,internal,misconfigured", ",")
	for i, w := range want {
		code, err := json.Marshal(i + 1)
		require.NoError(t, err)
		require.Equal(t, w, meaning(reply(p, 200, `{"code":`+string(code)+`,"message":"余额不足"}`)), i+1)
		require.Equal(t, w, meaning(reply(p, 200, `{"code":" `+string(code)+`","message":"手机号"}`)), i+1)
	}
	require.Equal(t, 5, reply(p, 200, `{"code":4}`).Failure.Tries, "their fault is tried five times")
	require.Zero(t, reply(p, 200, `{"code":6}`).Failure.Tries)
	require.Equal(t, 5, reply(p, 502, ``).Failure.Tries)
	require.Equal(t, 5, reply(p, 200, `<html>`).Failure.Tries)
}

func TestRetryAfterBesideWords(t *testing.T) {
	t.Parallel()
	p, q := sample(t, ""), query()
	res := upstream.Response{Status: 200, Body: []byte(`{"code":"E","message":"限流"}`), Header: map[string][]string{"Retry-After": {"7"}}}
	r := reading{p: p, q: &q, res: &res}
	require.Equal(t, 7*time.Second, r.read().Failure.RetryAfter)
}

func TestData(t *testing.T) {
	t.Parallel()
	p := sample(t, "")
	for body, want := range map[string]string{
		`{"code":"SUCCESS","data":null}`:                               "not found",
		`{"code":"SUCCESS","data":{}}`:                                 "not found",
		`{"code":"SUCCESS","data":[]}`:                                 "not found",
		`{"code":"SUCCESS","data":" "}`:                                "not found",
		`{"code":"SUCCESS","data":{"transfer":null}}`:                  "not found",
		`{"code":"SUCCESS","data":{"transfer":"空号"}}`:                  "not found",
		`{"code":"SUCCESS","message":"查无"}`:                            "not found",
		`{"code":"SUCCESS","message":"手机号查询成功"}`:                       "garbled",
		`{"code":"SUCCESS"}`:                                           "garbled",
		`{"code":"SUCCESS","data":7}`:                                  "garbled",
		`{"code":"SUCCESS","data":"x"}`:                                "garbled",
		`{"code":"SUCCESS","data":[{"transfer":"是"}]}`:                 "garbled",
		`{"code":"SUCCESS","data":{"state":"是"}}`:                      "garbled",
		`{"code":"SUCCESS","data":{"transfer":{"a":1}}}`:               "garbled",
		`{"code":"success","data":{"transfer":"是"}}`:                   "undocumented",
		`{"code":["SUCCESS"],"data":{"transfer":"是"}}`:                 "garbled",
		`{"data":{"transfer":"是"}}`:                                    "garbled",
		`[]`:                                                           "garbled",
		`7`:                                                            "garbled",
		`{"code":"SUCCESS","data":{"transfer":"是"}}}`:                  "garbled",
		`{"code":"SUCCESS","data":{"transfer":"是"}} {}`:                "garbled",
		`{"code":" SUCCESS ","data":{"transfer":true}}`:                "found",
		`{"code":"SUCCESS","data":{"transfer":"是"},"message":["odd"]}`: "found",
		strings.Repeat("[", 100_000):                                   "garbled",
	} {
		require.Equal(t, want, meaning(reply(p, 200, body)), "%.60s", body)
	}
	plain := sample(t, "{fields: {transfer: data}, transfer_map: {M: not_ported}}")
	require.Equal(t, providers.No, reply(plain, 200, `{"code":"SUCCESS","data":"m"}`).Outcomes[0].Facts.Ported)
	echo := sample(t, "fields: {number: data.n}")
	for number, want := range map[string]string{
		"13800138000": "found", "+86 138-0013-8000": "found", "138****8000": "found", "": "found", "13800138001": "garbled", "138****8001": "garbled",
	} {
		require.Equal(t, want, meaning(reply(echo, 200, `{"code":"SUCCESS","data":{"transfer":"是","n":"`+number+`"}}`)), number)
	}
}

func TestRawIsTheDataAsItStands(t *testing.T) {
	t.Parallel()
	data := []byte(`{"transfer":"是", "reason":"靓号", "n":1.50}`)
	body := ` {"code":"SUCCESS","data":` + string(data) + `}`
	require.Equal(t, data, reply(sample(t, ""), 200, body).Outcomes[0].Raw)
	inList := sample(t, "fields: {data: list.1, transfer: list.1.transfer}")
	require.Equal(t, data, reply(inList, 200, `{"code":"SUCCESS","list":[0,`+string(data)+`]}`).Outcomes[0].Raw)
	// Data without a fact that is known brings nothing, but may say why.
	unread := `{"transfer":null,"originalOperator":"","reason":"靓号"}`
	out := reply(sample(t, ""), 200, `{"code":"SUCCESS","data":`+unread+`}`).Outcomes[0]
	require.Equal(t, providers.NotFound, out.Kind)
	require.Equal(t, unread, string(out.Raw))
	whole := sample(t, "fields: {data: '', transfer: transfer, code: ''}")
	require.Equal(t, data, reply(whole, 200, string(data)+"\n").Outcomes[0].Raw)
}

func TestPortedAndItsBasis(t *testing.T) {
	t.Parallel()
	p := sample(t, "transfer_map: {携 转中: unknown, Moved: ported, 未携转者: not_ported}")
	for _, tt := range []struct {
		transfer, original, current string
		ported                      providers.Tri
		basis                       string
	}{
		{"未携转", "移动", "移动", providers.No, ""},
		{" 未 携转 ", "", "", providers.No, ""},
		{"已携转", "移动", "电信", providers.Yes, ""},
		{"携转", "", "电信", providers.Yes, ""},
		{"已携转", "移动", "中国移动", providers.Yes, normal.Inconsistent},
		{"未携转", "移动", "电信", providers.Yes, normal.Inconsistent},
		{"", "移动", "电信", providers.Yes, normal.Derived},
		{"未知", "移动", "电信", providers.Yes, normal.Derived},
		{"神秘", "移动", "CMCC", providers.No, normal.Derived},
		{"", "移动", "移动", providers.No, normal.Derived},
		{"未知", "移动", "移动", providers.Unknown, ""},
		{"神秘", "移动", "虚拟运营商", providers.Unknown, ""},
		{"神秘", "移动", "电信虚拟", providers.Yes, normal.Derived},
		{"神秘", "移动", "铁通", providers.Unknown, ""},
		{"携转中", "移动", "移动", providers.Unknown, ""},
		{"moved", "", "", providers.Yes, ""},
		{"未携转者", "", "", providers.No, ""},
		{"空号", "移动", "移动", providers.Unknown, ""},
	} {
		body, err := json.Marshal(map[string]any{"code": "SUCCESS", "data": map[string]string{
			"transfer": tt.transfer, "originalOperator": tt.original, "currentOperator": tt.current,
		}})
		require.NoError(t, err)
		f := reply(p, 200, string(body)).Outcomes[0].Facts
		require.Equal(t, tt.ported, f.Ported, tt)
		require.Equal(t, tt.basis, f.PortedBasis, tt)
		require.Equal(t, tt.original, f.OriginalCarrier.Name)
		require.Equal(t, tt.current, f.CurrentCarrier.Name)
		require.Equal(t, tt.transfer == "空号", f.Valid == providers.Unknown, tt)
	}
}

func TestOtherFacts(t *testing.T) {
	t.Parallel()
	p := sample(t, `{operator_map: {A B: china_telecom, nobody: unknown, vm: virtual},
		fields: {area: data.area, province: data.p, city: data.c, line_type: data.kind, mcc: data.mcc, mnc: data.mnc}}`)
	facts := func(data string) providers.Facts {
		return reply(p, 200, `{"code":"SUCCESS","data":`+data+`}`).Outcomes[0].Facts
	}
	base := providers.Facts{Country: "CN", LineType: providers.LineMobile, Valid: providers.Yes, Ported: providers.Yes}
	want := base
	want.Area, want.MCC, want.MNC = "广东深圳", "460", "00"
	require.Equal(t, want, facts(`{"transfer":1,"area":"广东深圳","p":"x","mcc":460,"mnc":0}`))
	want = base
	want.Area = "北京"
	require.Equal(t, want, facts(`{"transfer":1,"area":"北京市-北京市"}`))
	want.Area, want.LineType = "广东-深圳", providers.LineVoIP
	require.Equal(t, want, facts(`{"transfer":1,"p":"广东省","c":"深圳市","kind":"VOIP","mcc":"46","mnc":"01"}`))
	want = base
	want.OriginalCarrier = providers.Carrier{ID: "china_telecom", Name: "ab"}
	require.Equal(t, want, facts(`{"transfer":1,"originalOperator":"ab","currentOperator":"NOBODY"}`))
	long := facts(`{"transfer":1,"area":"` + strings.Repeat("京", 1000) + `"}`)
	require.LessOrEqual(t, len(long.Area), 256+3)
}

// Whatever a product says, with any status, the outcome is a sound one and texts
// show neither key nor number.
func FuzzReply(f *testing.F) {
	for _, body := range []string{
		`{"code":"SUCCESS","message":"success","data":{"transfer":"未携转","originalOperator":"中国移动","currentOperator":"中国移动"}}`,
		`{"code":"SUCCESS","data":null}`, `{"code":7,"message":"余额不足"}`, `{"code":"E","message":"手机号13800138000"}`, `[]`, `<html>`, "\xff",
		`{"ret":0,"result":[{"isTrans":1,"ori":"移动","new":"电信","phone":"13800138000","mcc":460,"mnc":0}]}`,
	} {
		f.Add(200, body)
		f.Add(400, body)
	}
	products := []*Provider{
		sample(f, ""),
		sample(f, "{success_codes: [0], code_map: {7: not_found}, fields: {code: ret, message: msg, data: result.0, transfer: result.0.isTrans, original: result.0.ori, current: result.0.new, number: result.0.phone, mcc: result.0.mcc, mnc: result.0.mnc, area: result.0.ori}}"),
		sample(f, "fields: {code: '', data: '', transfer: transfer, message: message}"),
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, p := range products {
			r := reply(p, status, body)
			if r.Failure != nil {
				require.Nil(t, r.Outcomes)
				require.NotContains(t, r.Failure.Message+r.Failure.Code, "13800138000")
				continue
			}
			require.Len(t, r.Outcomes, 1)
			out := r.Outcomes[0]
			require.Equal(t, out.Kind == providers.Failed || out.Kind == providers.Invalid, out.Failure != nil)
			if out.Kind == providers.Found {
				require.True(t, json.Valid(out.Raw))
				require.False(t, empty(&out.Facts) && out.Facts.LineType == "")
			} else {
				require.Equal(t, providers.Facts{}, out.Facts)
			}
		}
	})
}
