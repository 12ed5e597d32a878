package nxcloud

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// wellFormed holds for every outcome that comes of a reply.
func wellFormed(t *testing.T, o providers.Outcome) {
	t.Helper()
	switch o.Kind {
	case providers.Failed, providers.Invalid:
		require.NotNil(t, o.Failure)
		require.Equal(t, providers.Facts{}, o.Facts)
		require.NotContains(t, o.Failure.Message, "\n")
		require.Less(t, len(o.Failure.Code), 7)
	case providers.NotFound, providers.Pending:
		require.Nil(t, o.Failure)
		require.Equal(t, providers.Facts{}, o.Facts)
	case providers.Found:
		require.Nil(t, o.Failure)
		f := o.Facts
		for _, s := range []string{f.OriginalCarrier.Name, f.CurrentCarrier.Name, f.CallResponse, f.Country, f.MCC, f.MNC, string(f.LineType)} {
			require.True(t, utf8.ValidString(s))
			require.LessOrEqual(t, len(s), 3*maxWord)
		}
	}
	if o.Cost != (providers.Cost{}) {
		require.Equal(t, o.Cost.Amount, decimal(o.Cost.Amount))
		require.Len(t, o.Cost.Currency, 3)
	}
}

func FuzzReceipt(f *testing.F) {
	for _, seed := range []string{
		`{"messageId":"m","code":0,"msg":"success","batchNo":"ticket-0001","phone":"8613800138000","data":{"basic":{"preCheck":"YES","regionCode":"CN","countryCode":"86","numberType":2,"carrier":"China Telecom"},"live":{"validity":"YES","reachable":"UNKNOWN","roaming":"NO"},"dial":{"early":"NO","answered":"NO","response":"busy"}},"cost":{"price":0.1912,"currency":"USD"}}`,
		`{"requestId":"r","code":266,"message":"subBalance failed","batchNo":"ticket-0001","phone":"8613800138000","data":null,"cost":{"price":2e-3,"currency":"CNY"}}`,
		`{"code":"0","phone":8613800138000,"data":{"numberType":"invalid","operator":"","mcc":460,"mnc":"01","ported":"yes","active":"NO"}}`,
		`{"phone":"84912345678","checkLevel":5,"preCheck":"NO","price":0,"currency":"VND","validity":""}`,
		`{"code":{},"phone":"1234"}`, `[]`, `null`, ``, `{"phone":"86138001380","data":{"basic":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	p := unconnected(f, "")
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := p.Receipt(body, true)
		if err != nil {
			require.Equal(t, providers.Receipt{}, r)
			return
		}
		require.Regexp(t, `^\+[0-9]{4,15}$`, r.Number)
		require.LessOrEqual(t, len(r.Ticket), maxTicket)
		require.Equal(t, body, r.Outcome.Raw)
		wellFormed(t, r.Outcome)
	})
}

func FuzzSubmitReply(f *testing.F) {
	for _, seed := range []string{
		`{"code":0,"msg":"success","data":{"messageId":"m","batchNo":"ticket-0001"}}`,
		`{"code":0,"data":{"batchNo":"ticket-0001","failNumber":["8613800138000",{"number":"+8613900139000","reason":"格式"},7,null]}}`,
		`{"code":202,"msg":"x","data":{"messageId":"","batchNo":""}}`, `{"code":1004}`, `{"code":"x"}`, `<html>`, `{"code":0,"data":[]}`,
	} {
		f.Add([]byte(seed), 200)
		f.Add([]byte(seed), 500)
	}
	p := unconnected(f, "")
	q := query(numberA, numberB)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		res := upstream.Response{Status: status, Body: body}
		var failure *providers.Failure
		if status/100 != 2 {
			failure = &providers.Failure{Kind: upstream.StatusKind(status)}
		}
		p.signAgain(res)
		o, failure := judge(request{key: testKey(), paid: true, kindOf: kindFor(q)}, res, failure, p.secrets(testKey()))
		if failure != nil {
			require.NotContains(t, failure.Error(), testSecret)
			return
		}
		for _, reply := range []func() (providers.Reply, *providers.Failure){
			func() (providers.Reply, *providers.Failure) { return p.submitted(q, o, testTicket) },
			func() (providers.Reply, *providers.Failure) { r := p.answeredAtOnce(q, o); return r, r.Failure },
		} {
			r, failure := reply()
			if failure != nil {
				require.Equal(t, providers.KindGarbled, failure.Kind)
				continue
			}
			require.Len(t, r.Outcomes, 2)
			for _, out := range r.Outcomes {
				wellFormed(t, out)
			}
		}
	})
}

func FuzzQueryReply(f *testing.F) {
	for _, seed := range []string{
		`{"msg":"ok","code":0,"data":{"result":[{"batchNo":"ticket-0001","phone":"8498","checkLevel":2},{"batchNo":"x"},7,null],"totalSize":2,"totalPage":1,"pageSize":100,"page":1}}`,
		`{"code":0,"data":{"totalSize":0,"result":[],"totalPage":0}}`, `{"code":0,"data":{"result":{}}}`, `{"code":88,"msg":"Incorrect date format","data":{}}`,
	} {
		f.Add([]byte(seed))
	}
	p := unconnected(f, "")
	f.Fuzz(func(t *testing.T, body []byte) {
		o, ok := readObject(body)
		if !ok {
			return
		}
		page, total, failure := readPage(o, testTicket)
		if failure != nil {
			require.Equal(t, providers.Page{}, page)
			require.Zero(t, total)
			return
		}
		for _, entry := range page.Entries {
			require.True(t, page.Known)
			r, err := p.Receipt(entry, false)
			if err == nil && r.Ticket != "" {
				require.Equal(t, testTicket, r.Ticket, "an entry of another batch")
			}
		}
	})
}

func FuzzFailNumber(f *testing.F) {
	for _, seed := range []string{
		`"8613800138000"`, `8613900139000`, `{"number":"8613800138000","reason":"长度"}`, `{"number":"+8613900139000","code":114}`,
		`{"number":["x"]}`, `null`, `true`, `{"number":"8613800138000","a":"b\nc","code":"7","x":{"y":1}}`,
	} {
		f.Add([]byte(seed))
	}
	p := unconnected(f, "")
	q := query(numberA, numberB)
	f.Fuzz(func(t *testing.T, element []byte) {
		o, ok := readObject([]byte(`{"failNumber":[` + string(element) + `]}`))
		if !ok {
			return
		}
		list, ok := o.list("failNumber")
		if !ok {
			return
		}
		join := upstream.NewJoin(q.Numbers, phoneOf)
		for _, raw := range list {
			p.refuse(join, q, raw)
		}
		join.Rest(providers.Outcome{Kind: providers.Pending})
		for i, out := range join.Reply().Outcomes {
			wellFormed(t, out)
			named := strings.Contains(string(element), q.Numbers[i].National) || strings.Contains(string(element), `\`)
			require.True(t, out.Kind == providers.Pending || named)
		}
	})
}
