package nxcloud

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func found(f providers.Facts, amount, currency string) providers.Outcome {
	return providers.Outcome{Kind: providers.Found, Facts: f, Cost: providers.Cost{Amount: amount, Currency: currency}}
}

// The samples of all generations, their masked numbers filled in.
func TestReceiptGenerations(t *testing.T) {
	t.Parallel()
	telecom := providers.Carrier{ID: "china_telecom", Name: "China Telecom"}
	unicom := providers.Carrier{ID: "china_unicom", Name: "china union"}
	basic := `"basic":{"preCheck":"YES","regionCode":"CN","countryCode":"86","nationalNumber":"13800138000","standNumber":"8613800138000","numberType":2,"carrier":"China Telecom"}`
	oldest := func(more, price string) string {
		return `{"messageId":"83ac9512","code":0,"msg":"success","batchNo":"ticket-0001","phone":"8613800138000","data":{` + basic + more + `},"cost":{"price":` + price + `,"currency":"USD"}}`
	}
	newest := func(data string) string {
		return `{"message":"请求成功","code":0,"batchNo":"ticket-0001","requestId":"9ddd1a86-250142","phone":"8613800138000","data":` + data + `,"cost":{"price":0.002,"currency":"cny"}}`
	}
	facts := providers.Facts{Country: "CN", LineType: providers.LineMobile, Valid: providers.Yes, OriginalCarrier: telecom}
	with := func(f providers.Facts, change func(*providers.Facts)) providers.Facts {
		change(&f)
		return f
	}
	tests := map[string]struct {
		body string
		want providers.Outcome
	}{
		"G1 basic": {oldest("", "0.1912"), found(facts, "0.1912", "USD")},
		"G1 HLR": {
			oldest(`,"live":{"validity":"YES","reachable":"UNKNOWN","roaming":"UNKNOWN"}`, "0.9230"),
			found(with(facts, func(f *providers.Facts) {
				f.Reachable, f.Roaming = providers.Undetermined, providers.Undetermined
			}), "0.9230", "USD"),
		},
		"G1 HLR, none": {
			oldest(`,"live":{"validity":"no","reachable":"NO","roaming":""}`, "1"),
			found(with(facts, func(f *providers.Facts) { f.Valid, f.Reachable = providers.No, providers.No }), "1", "USD"),
		},
		"G1 call": {
			oldest(`,"dial":{"early":"NO","answered":"NO","response":"invalid_number"}`, "1.0231"),
			found(with(facts, func(f *providers.Facts) {
				f.Ringing, f.Answered, f.CallResponse = providers.No, providers.No, "invalid_number"
			}), "1.0231", "USD"),
		},
		"G2 HLR, lower case": {
			newest(`{"numberType":"mobile","operator":"china union","mcc":"310","mnc":"10","ported":"yes","active":"yes","country":"CN"}`),
			found(providers.Facts{
				Country: "CN", LineType: providers.LineMobile, CurrentCarrier: unicom, MCC: "310", MNC: "10",
				Ported: providers.Yes, Reachable: providers.Yes,
			}, "0.002", "CNY"),
		},
		"G2 call": {
			newest(`{"numberType":"mobile","country":"CN","operator":"china union","ring":"YES","answer":"NO","response":"voicemail"}`),
			found(providers.Facts{
				Country: "CN", LineType: providers.LineMobile, OriginalCarrier: unicom,
				Ringing: providers.Yes, Answered: providers.No, CallResponse: "voicemail",
			}, "0.002", "CNY"),
		},
		"G2 call, first draft": {
			newest(`{"numberType":"mobile","country":"CN","operator":"china union","ring":"yes","answer":"no","responseStatus":"Voicemail"}`),
			found(providers.Facts{
				Country: "CN", LineType: providers.LineMobile, OriginalCarrier: unicom,
				Ringing: providers.Yes, Answered: providers.No, CallResponse: "voicemail",
			}, "0.002", "CNY"),
		},
		"G3 basic": {
			newest(`{"numberType":"mobile","operator":"china union","country":"CN"}`),
			found(providers.Facts{Country: "CN", LineType: providers.LineMobile, OriginalCarrier: unicom}, "0.002", "CNY"),
		},
		"G3 HLR, not ported": {
			newest(`{"numberType":"mobile","operator":"china union","mcc":460,"mnc":"01","ported":"NO","active":"UNKNOWN","country":"cn"}`),
			found(providers.Facts{
				Country: "CN", LineType: providers.LineMobile, OriginalCarrier: unicom, CurrentCarrier: unicom, MCC: "460", MNC: "01",
				Ported: providers.No, Reachable: providers.Undetermined,
			}, "0.002", "CNY"),
		},
		"G3, none": {
			newest(`{"numberType":"invalid","operator":"","country":""}`), found(providers.Facts{Valid: providers.No}, "0.002", "CNY"),
		},
		"G3, others abroad": {
			newest(`{"numberType":"others","operator":"US OP","country":"HK"}`),
			found(providers.Facts{Country: "HK", LineType: providers.LineOther, OriginalCarrier: providers.Carrier{Name: "US OP"}}, "0.002", "CNY"),
		},
		"success without anything":         {newest(`null`), providers.Outcome{Kind: providers.NotFound, Cost: providers.Cost{Amount: "0.002", Currency: "CNY"}}},
		"success with empty fields":        {newest(`{"numberType":"","operator":"","country":""}`), providers.Outcome{Kind: providers.NotFound, Cost: providers.Cost{Amount: "0.002", Currency: "CNY"}}},
		"an operator that nobody knows":    {newest(`{"operator":"unknown"}`), found(providers.Facts{}, "0.002", "CNY")},
		"format refused, with code 0":      {newest(`{"preCheck":"NO","regionCode":"","numberType":"","carrier":""}`), invalidFormat("0.002")},
		"a format that is none, but known": {newest(`{"preCheck":"NO","numberType":2}`), found(providers.Facts{Valid: providers.No, LineType: providers.LineMobile}, "0.002", "CNY")},
	}
	p := unconnected(t, "")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Receipt([]byte(tt.body), false)
			require.NoError(t, err)
			require.Equal(t, providers.Receipt{Ticket: testTicket, Number: "+8613800138000", Outcome: tt.want}, got)
			tt.want.Raw = []byte(tt.body)
			got, err = p.Receipt([]byte(tt.body), true)
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Outcome)
		})
	}
}

func invalidFormat(amount string) providers.Outcome {
	return providers.Outcome{
		Kind: providers.Invalid, Cost: providers.Cost{Amount: amount, Currency: "CNY"},
		Failure: &providers.Failure{Kind: providers.KindRejected, Message: "the number did not pass the vendor's check of formats"},
	}
}

// A query's entries have no code.
func TestEntries(t *testing.T) {
	t.Parallel()
	entry := func(more string) string { return `{"phone":"84912345678","batchNo":"ticket-0001",` + more + `}` }
	viettel := `"standNumber":"84912345678","preCheck":"YES","checkLevel":2,"numberType":2,"roaming":"","messageId":"33f7-2","reachable":"","regionCode":"VN","carrier":"Viettel","nationalNumber":"912345678","countryCode":"84","price":0,"currency":"VND","validity":""`
	facts := providers.Facts{Country: "VN", LineType: providers.LineMobile, Valid: providers.Yes, OriginalCarrier: providers.Carrier{Name: "Viettel"}}
	hlr := facts
	hlr.Valid, hlr.Reachable = providers.Undetermined, providers.Yes
	tests := map[string]struct {
		body string
		want providers.Outcome
		err  error
	}{
		"as documented":          {body: entry(viettel), want: found(facts, "0", "VND")},
		"HLR":                    {body: entry(`"checkLevel":5,"preCheck":"YES","numberType":"2","regionCode":"VN","carrier":"Viettel","validity":"UNKNOWN","reachable":"YES","price":"0.5","currency":"USD"`), want: found(hlr, "0.5", "USD")},
		"HLR to come":            {body: entry(`"checkLevel":5,"preCheck":"YES","numberType":2,"regionCode":"VN","validity":"","reachable":"","price":0,"currency":"USD"`), err: errNoAnswer},
		"HLR, paid for nothing":  {body: entry(`"checkLevel":"5","preCheck":"YES","numberType":2,"regionCode":"VN","carrier":"Viettel","validity":"","price":0.50,"currency":"USD"`), want: found(facts, "0.50", "USD")},
		"call to come":           {body: entry(`"checkLevel":4,"preCheck":"YES","regionCode":"VN","early":""`), err: errNoAnswer},
		"nothing yet":            {body: entry(`"checkLevel":1,"regionCode":"","carrier":null`), err: errNoAnswer},
		"none":                   {body: entry(`"preCheck":"NO","regionCode":"","numberType":"","price":"0.002","currency":"CNY"`), want: invalidFormat("0.002")},
		"with a code":            {body: entry(`"code":122,"message":"x"`), want: providers.Outcome{Kind: providers.NotFound}},
		"with a code in words":   {body: entry(`"code":"none","regionCode":"VN"`), err: errDamaged},
		"with a senseless field": {body: entry(`"regionCode":{},"carrier":""`), err: errDamaged},
		"with one that has more": {body: entry(`"regionCode":{},"numberType":2,"price":{},"currency":"CNY"`), want: providers.Outcome{Kind: providers.Found, Facts: providers.Facts{LineType: providers.LineMobile}}},
		"batch of another type":  {body: `{"phone":"84912345678","batchNo":[1]}`, err: errNoBatch},
		"no phone":               {body: `{"regionCode":"VN"}`, err: errNoPhone},
		"short phone":            {body: `{"phone":"186","regionCode":"VN"}`, err: errNoPhone},
		"long phone":             {body: `{"phone":"1234567890123456"}`, err: errNoPhone},
		"masked phone":           {body: `{"phone":"8491xxx678"}`, err: errNoPhone},
		"a list":                 {body: `[]`, err: errNoObject},
		"text":                   {body: `"x"`, err: errNoObject},
		"null":                   {body: `null`, err: errNoObject},
		"nothing":                {body: ``, err: errNoObject},
		"two":                    {body: entry(viettel) + entry(viettel), err: errNoObject},
	}
	p := unconnected(t, "")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Receipt([]byte(tt.body), false)
			require.ErrorIs(t, err, tt.err)
			if tt.err == nil {
				require.Equal(t, providers.Receipt{Ticket: testTicket, Number: "+84912345678", Outcome: tt.want}, got)
			}
		})
	}
}

func TestPhoneForms(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "")
	for _, form := range []string{`"phone":"8613800138000"`, `"phone":"+8613800138000"`, `"phone":"008613800138000"`, `"phone":8613800138000`, `"data":{"basic":{"standNumber":"8613800138000"}}`, `"phone":"","data":{"phone":" 8613800138000 "}`} {
		got, err := p.Receipt([]byte(`{"code":122,`+form+`}`), false)
		require.NoError(t, err, form)
		require.Equal(t, "+8613800138000", got.Number)
		require.Empty(t, got.Ticket)
	}
}

func TestLineTypes(t *testing.T) {
	t.Parallel()
	want := map[string]providers.LineType{
		"0": providers.LineOther, "1": providers.LineFixed, "2": providers.LineMobile, "3": providers.LineTollFree, "4": providers.LineVoIP,
		"5": providers.LineUAN, "6": providers.LineOther, "7": providers.LineVoicemail, "8": providers.LineOther, "9": "", "": "", "invalid": "",
		"mobile": providers.LineMobile, "others": providers.LineOther, "fixed_line": providers.LineFixed, "nonsense": "",
	}
	for kind, lt := range want {
		require.Equal(t, lt, lineType(kind), kind)
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"0": "0", "0.1912": "0.1912", "0.9230": "0.9230", "12": "12", "2e-3": "0.002", "1E2": "100", ".5": "0.5", "5.": "5", "+1": "1", "-0": "0",
		"": "", "-1": "", "x": "", "NaN": "", "inf": "", "1e999999999": "", "1e300": "", "1_000": "", "0x10": "",
		"0.00000000000000000000000000000000000001": "",
	}
	for text, d := range want {
		require.Equal(t, d, decimal(text), text)
	}
}

// A price without a currency is none, and the words of a receipt hide the names
// of the account.
func TestReceiptSecrets(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "accounts: {other: {app_key: another-app}}")
	got, err := p.Receipt([]byte(`{"code":121,"phone":"8613800138000","msg":"`+testApp+` another-app 8613800138000"}`), false)
	require.NoError(t, err)
	require.Equal(t, "[redacted] [redacted] …8000", got.Outcome.Failure.Message)
	got, err = p.Receipt([]byte(`{"code":0,"phone":"8613800138000","data":{"country":"CN"},"cost":{"price":1}}`), false)
	require.NoError(t, err)
	require.Equal(t, providers.Cost{}, got.Outcome.Cost)
}
