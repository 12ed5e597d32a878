package nxcloud

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func TestSubmissionBody(t *testing.T) {
	t.Parallel()
	v := newVendor(t, ok(`{"code":0}`))
	p := v.provider(t, "check_level: 5")
	q := query(numberA, numberB)
	require.Nil(t, p.Submit(t.Context(), q, testTicket, "").Failure)
	q.Options = providers.Options{"check_level": 4.0}
	require.Nil(t, p.Submit(t.Context(), q, testTicket, callback+"?a=1&b=<").Failure)
	got := v.requests()
	require.JSONEq(t, `{"phone":"8613800138000,8613900139000","batchNo":"ticket-0001","checkLevel":5,"appkey":"app0001"}`, got[0].body)
	require.JSONEq(t, `{"phone":"8613800138000,8613900139000","batchNo":"ticket-0001","checkLevel":4,"drUrl":"`+callback+`?a=1&b=<","appkey":"app0001"}`, got[1].body)
	for _, bad := range []string{"", strings.Repeat("x", 65)} {
		require.Equal(t, providers.KindInternal, p.Submit(t.Context(), q, bad, "").Failure.Kind)
	}
	q.Options = providers.Options{"check_level": 2}
	require.Equal(t, providers.KindUnsupported, p.Submit(t.Context(), q, testTicket, "").Failure.Kind)
	require.Len(t, v.requests(), 2, "nothing is sent that cannot be right")
}

// said sums up a reply.
func said(r providers.Reply) string {
	if r.Failure != nil {
		return "call: " + r.Failure.Error()
	}
	words := make([]string, len(r.Outcomes))
	for i, out := range r.Outcomes {
		words[i] = [...]string{"failed", "found", "not found", "invalid", "pending"}[out.Kind]
		if out.Failure != nil {
			words[i] += " " + out.Failure.Error()
		}
	}
	return strings.Join(words, "; ")
}

// Two numbers are submitted.
func TestSubmitReplies(t *testing.T) {
	t.Parallel()
	data := func(s string) string { return `{"code":0,"message":"Success","data":` + s + `,"traceId":"x"}` }
	fail := func(s string) string {
		return data(`{"requestId":"r","batchNo":"ticket-0001","failNumber":` + s + `}`)
	}
	tests := map[string]struct {
		body, want       string
		extra, duplicate int
	}{
		"oldest":                  {body: `{"code":0,"msg":"success","data":{"messageId":"m","batchNo":"ticket-0001"}}`, want: "pending; pending"},
		"newest":                  {body: fail(`[]`), want: "pending; pending"},
		"code as text":            {body: `{"code":"0","data":null}`, want: "pending; pending"},
		"no data":                 {body: `{"code":0}`, want: "pending; pending"},
		"no failNumber":           {body: fail(`null`), want: "pending; pending"},
		"bare":                    {body: fail(`["8613900139000"]`), want: "pending; failed rejected"},
		"bare, a JSON number":     {body: fail(`[8613900139000]`), want: "pending; failed rejected"},
		"object without words":    {body: fail(`[{"number":"8613900139000"}]`), want: "pending; failed rejected"},
		"format":                  {body: fail(`[{"number":"+8613900139000","reason":"号码格式错误"}]`), want: "pending; invalid rejected: 号码格式错误"},
		"format, other key":       {body: fail(`[{"number":"8613900139000","x":"Invalid number","b":7}]`), want: "pending; invalid rejected: 7; Invalid number"},
		"another reason":          {body: fail(`[{"number":"8613800138000","failReason":"blacklist"}]`), want: "failed rejected: blacklist; pending"},
		"with a code":             {body: fail(`[{"number":"8613800138000","code":114,"message":"?"}]`), want: "invalid rejected (code 114): ?; pending"},
		"with a code for later":   {body: fail(`[{"number":"8613800138000","code":"299"}]`), want: "failed retryable (code 299); pending"},
		"all":                     {body: fail(`["8613900139000",{"number":"8613800138000"}]`), want: "failed rejected; failed rejected"},
		"others and twice":        {body: fail(`["8613900139000","8613900139000","8613111111111","999***6789",7,true,null,{},[]]`), want: "pending; failed rejected", extra: 7, duplicate: 1},
		"the number in the words": {body: fail(`[{"number":"8613900139000","reason":"13900139000 ` + testSecret + " " + testApp + `"}]`), want: "pending; failed rejected: …9000 [redacted] [redacted]"},
		"another batch":           {body: data(`{"batchNo":"other"}`), want: "call: garbled: the reply is about another batch"},
		"batch of another type":   {body: data(`{"batchNo":{}}`), want: "call: garbled: the reply is about another batch"},
		"data of another type":    {body: data(`"x"`), want: "call: garbled: the reply's data is no object"},
		"failNumber is no list":   {body: fail(`"8613900139000"`), want: "call: garbled: the reply's failNumber is no list"},
		"no code":                 {body: `{"data":{}}`, want: "call: garbled: not the documented JSON"},
		"code in words":           {body: `{"code":"FAIL"}`, want: "call: garbled: not the documented JSON"},
		"code like a number":      {body: `{"code":8613900139000}`, want: "call: garbled: not the documented JSON"},
		"a list":                  {body: `[]`, want: "call: garbled: not the documented JSON"},
		"null":                    {body: `null`, want: "call: garbled: not the documented JSON"},
		"a page":                  {body: `<html>`, want: "call: garbled: an HTML page instead of JSON"},
		"nothing":                 {body: ``, want: "call: garbled: empty reply"},
		"cut":                     {body: `{"code":0,"da`, want: "call: garbled: not the documented JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newVendor(t, ok(tt.body)).provider(t, "").Submit(t.Context(), query(numberA, numberB), testTicket, callback)
			require.Equal(t, tt.want, said(r))
			require.Equal(t, tt.extra, r.Extra)
			require.Equal(t, tt.duplicate, r.Duplicates)
			waits := strings.Contains(tt.want, "pending") || strings.Contains(tt.want, "garbled")
			require.Equal(t, waits, r.Ticket == testTicket)
		})
	}
}

// The address of receipts is as secret as the key: its token is all that protects it.
func TestWordsHideTheAddress(t *testing.T) {
	t.Parallel()
	v := newVendor(t, ok(`{"code":201,"msg":"bad drUrl `+callback+` `+strings.ToUpper(callback)+`"}`))
	r := v.provider(t, "").Submit(t.Context(), query(numberA), testTicket, callback)
	require.Equal(t, "bad drUrl https://[redacted] HTTPS://[redacted]", r.Failure.Message)
}

func TestRefusedNumberKeepsItsObject(t *testing.T) {
	t.Parallel()
	q := query(numberA, numberB)
	q.Raw = true
	v := newVendor(t, ok(`{"code":0,"data":{"failNumber":[ {"number":"8613900139000", "why":"x"} ]}}`))
	r := v.provider(t, "").Submit(t.Context(), q, testTicket, "")
	require.JSONEq(t, `{"number":"8613900139000","why":"x"}`, string(r.Outcomes[1].Raw))
	require.Nil(t, r.Outcomes[0].Raw)
}

// A bare token, and the address as the vendor may write it, are hidden too.
func TestWordsHideTheToken(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("3f9a0cbe7711d2ab", 4)
	v := newVendor(t, ok(`{"code":201,"msg":"`+token+` https://lookup.example:443/callbacks/nxcloud/`+token+` /callbacks/nxcloud/`+strings.ToUpper(token)+`"}`))
	r := v.provider(t, "").Submit(t.Context(), query(numberA), testTicket, "https://lookup.example/callbacks/nxcloud/"+token)
	require.Equal(t, "[redacted] https://lookup.example:443/callbacks/nxcloud/[redacted] /callbacks/nxcloud/[redacted]", r.Failure.Message)
}

// What a status without the vendor's code means for a submit: only those that say
// so leave no doubt that the batch was not taken.
func TestSubmitStatus(t *testing.T) {
	t.Parallel()
	tests := map[int]providers.Kind{
		302: providers.KindMisconfigured, 400: providers.KindRefused, 401: providers.KindUnauthorized, 403: providers.KindForbidden,
		404: providers.KindMisconfigured, 429: providers.KindThrottled, 500: providers.KindCutOff, 501: providers.KindMisconfigured,
		502: providers.KindCutOff, 503: providers.KindUnavailable, 504: providers.KindCutOff, 520: providers.KindCutOff, 524: providers.KindCutOff,
	}
	for status, want := range tests {
		for _, body := range []string{"", "<html>", `{"code":0}`, `{"code":77777}`, `{}`} {
			v := newVendor(t, reply{status: status, header: map[string]string{"Retry-After": "7"}, body: body})
			p := v.provider(t, "sync_call: true")
			r := p.Submit(t.Context(), query(numberA), testTicket, "")
			require.Equal(t, want, r.Failure.Kind, "%d %s", status, body)
			require.Equal(t, 7*time.Second, r.Failure.RetryAfter)
			require.Equal(t, fmt.Sprint(status), r.Failure.Code)
			require.Equal(t, want == providers.KindCutOff, r.Ticket != "")
			require.Equal(t, want, p.Call(t.Context(), query(numberA)).Failure.Kind, "the synchronous call is paid too")
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	v := newVendor(t, ok(""))
	p := v.provider(t, "")
	v.server.Close()
	r := p.Submit(t.Context(), query(numberA), testTicket, "")
	require.Equal(t, providers.KindUnavailable, r.Failure.Kind, "nothing was sent")
	require.Empty(t, r.Ticket)
}

// A submit that times out may have been taken.
func TestSubmitTimeout(t *testing.T) {
	t.Parallel()
	v := newVendor(t, ok(""))
	p := v.provider(t, "")
	hang := make(chan struct{})
	v.server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := p.Submit(ctx, query(numberA), testTicket, "")
	require.Equal(t, providers.KindTimeout, r.Failure.Kind)
	require.Equal(t, testTicket, r.Ticket)
	require.Nil(t, r.Outcomes)
}

func TestKeyWithoutAccount(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "")
	p.settings.AppKey = credential{}
	r := p.Submit(t.Context(), query(numberA), testTicket, "")
	require.Equal(t, providers.KindUnauthorized, r.Failure.Kind)
	require.Contains(t, r.Failure.Message, `"main"`)
}

func TestSyncCall(t *testing.T) {
	t.Parallel()
	facts := `{"code":0,"message":"Success","data":{"requestId":"r","batchNo":"9","basic":{"phone":"8613800138000","country":"CN","numberType":"mobile","operator":"china mobile"},"cost":{"price":0.002,"currency":"CNY"}}}`
	tests := map[string]struct{ body, want string }{
		"found":               {facts, "found"},
		"without the number":  {strings.Replace(facts, `"phone":"8613800138000",`, "", 1), "found"},
		"the number is hid":   {strings.Replace(facts, `8613800138000`, "86138***8000", 1), "failed missing: the reply leaves this number out"},
		"another number":      {strings.Replace(facts, `8613800138000`, "8613900139000", 1), "failed missing: the reply leaves this number out"},
		"invalid":             {`{"code":0,"data":{"basic":{"phone":"8613800138000","country":"","numberType":"invalid","operator":"","failReason":"x"}}}`, "found"},
		"refused":             {`{"code":0,"data":{"requestId":"r","failNumber":[{"number":"8613800138000","failReason":"format error"}]}}`, "invalid rejected: format error"},
		"refused another":     {`{"code":0,"data":{"failNumber":["8613900139000"]}}`, "failed missing: the reply leaves this number out"},
		"nothing":             {`{"code":0,"data":{}}`, "not found"},
		"data of other types": {`{"code":0,"data":7}`, "call: garbled: the reply says nothing of the number"},
		"basic of other type": {`{"code":0,"data":{"basic":7}}`, "call: garbled: the reply says nothing of the number"},
		"no right to it":      {`{"code":1005,"msg":"no permission"}`, "call: unauthorized (code 1005): no permission"},
		"not recognised":      {`{"code":203}`, "call: unsupported (code 203)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, ok(tt.body))
			p := v.provider(t, "sync_call: true")
			q := query(numberA)
			q.Raw = true
			require.False(t, p.Defers(q))
			r := p.Call(t.Context(), q)
			require.Equal(t, tt.want, said(r))
			require.Equal(t, "/api/number/check/get", v.requests()[0].path)
			require.JSONEq(t, `{"phone":"8613800138000","checkLevel":1,"appkey":"app0001"}`, v.requests()[0].body)
			if tt.want == "found" && name != "invalid" {
				require.Equal(t, "CN", r.Outcomes[0].Facts.Country)
				require.Equal(t, providers.Carrier{ID: "china_mobile", Name: "china mobile"}, r.Outcomes[0].Facts.OriginalCarrier)
				require.Equal(t, providers.Cost{Amount: "0.002", Currency: "CNY"}, r.Outcomes[0].Cost)
				require.Contains(t, string(r.Outcomes[0].Raw), `"requestId"`)
			}
		})
	}
}

func TestDefers(t *testing.T) {
	t.Parallel()
	one, two := query(numberA), query(numberA, numberB)
	hlr := query(numberA)
	hlr.Options = providers.Options{"check_level": 5}
	plain, sync := unconnected(t, ""), unconnected(t, "sync_call: true")
	for _, q := range []providers.Query{one, two, hlr} {
		require.True(t, plain.Defers(q))
	}
	require.False(t, sync.Defers(one))
	require.True(t, sync.Defers(two))
	require.True(t, sync.Defers(hlr))
	require.Equal(t, providers.KindInternal, sync.Call(t.Context(), two).Failure.Kind)
	require.True(t, unconnected(t, "sync_call: true\ncheck_level: 5").Defers(one))
}

// The vendor's 203 and 201 are about one number of a batch.
func TestBatchCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][2]providers.Kind{
		"201": {providers.KindRefused, providers.KindRefused},
		"203": {providers.KindUnsupported, providers.KindRefused},
	} {
		p := newVendor(t, ok(`{"code":`+code+`}`)).provider(t, "")
		require.Equal(t, want[0], p.Submit(t.Context(), query(numberA), testTicket, "").Failure.Kind)
		require.Equal(t, want[1], p.Submit(t.Context(), query(numberA, numberB), testTicket, "").Failure.Kind)
	}
}

// Also when hundreds are refused in any order, nobody else's outcome is touched.
func TestRefusedAmongMany(t *testing.T) {
	t.Parallel()
	q := providers.Query{Key: testKey()}
	var refused []string
	for i := range maxBatch {
		q.Numbers = append(q.Numbers, cn(fmt.Sprintf("138%08d", i)))
		if i%7 == 0 {
			refused = append(refused, fmt.Sprintf(`"86138%08d"`, i))
		}
	}
	slices.Reverse(refused)
	v := newVendor(t, ok(`{"code":0,"data":{"failNumber":[`+strings.Join(refused, ",")+`]}}`))
	r := v.provider(t, "").Submit(t.Context(), q, testTicket, "")
	require.Len(t, r.Outcomes, maxBatch)
	for i, out := range r.Outcomes {
		require.Equal(t, i%7 == 0, out.Kind == providers.Failed)
		require.Equal(t, i%7 != 0, out.Kind == providers.Pending)
	}
	require.Equal(t, maxBatch-1, strings.Count(v.requests()[0].body, "86138")-1)
}

func TestTypesByConfiguration(t *testing.T) {
	t.Parallel()
	p, err := New(setup.Config{Settings: node(t, plainSettings)})
	require.NoError(t, err)
	_, reads := p.(providers.BalanceReader)
	require.False(t, reads)
	p, err = New(setup.Config{Settings: node(t, plainSettings+"balance_app_key: a\nbalance_secret: b\nbalance_currency: USD")})
	require.NoError(t, err)
	for _, ok := range []bool{is[providers.BalanceReader](p), is[providers.Deferred](p), is[providers.OptionsValidator](p), is[providers.Checker](p)} {
		require.True(t, ok)
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}
