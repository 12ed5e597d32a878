package results_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/results"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return v
}

// contractResult is the example of the contract, section 3.
func contractResult(t testing.TB) results.Result {
	t.Helper()
	return results.Result{
		Index: 0, Ref: json.RawMessage(`"crm-42"`), Number: "13972565391", E164: "+8613972565391", Status: results.StatusOK,
		Lookup: &results.Lookup{
			Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes, Ported: results.Yes,
			OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"},
			CurrentCarrier:  results.Carrier{ID: "china_telecom", Name: "电信"},
		},
		Provider: "qxt", Source: results.SourceUpstream, AnsweredAt: at(t, "2026-11-21T19:02:11.213Z"),
		Cost: results.Cost{Amount: "0.0020", Currency: "CNY"}, Attempts: 1,
	}
}

const contractJSON = `{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","ref":"crm-42","number":"13972565391","e164":"+8613972565391","status":"ok",` +
	`"lookup":{"country":"CN","area":"湖北-襄樊","line_type":"mobile","valid":true,"ported":true,` +
	`"original_carrier":{"id":"china_mobile","name":"移动"},"current_carrier":{"id":"china_telecom","name":"电信"}},` +
	`"provider":"qxt","source":"upstream","answered_at":"2026-11-21T19:02:11.213Z","cost":{"amount":"0.0020","currency":"CNY"},"attempts":1}`

func TestAppend(t *testing.T) {
	t.Parallel()
	whole := contractResult(t)
	for name, c := range map[string]struct {
		result results.Result
		want   string
	}{
		"contract": {whole, contractJSON},
		"least":    {results.Result{Index: 999, Status: results.StatusCancelled}, `{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.999","number":"","status":"cancelled"}`},
		"error": {
			results.Result{Number: "1\"2\n", Status: results.StatusFailed, Error: &results.Error{
				Code: results.CodeProviderRejected, Message: "余额不足", ProviderCode: "-6",
			}},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"1\"2\n","status":"failed","error":{"code":"provider_rejected","message":"余额不足","provider_code":"-6"}}`,
		},
		"no, and empty lookup": {
			results.Result{Status: results.StatusOK, Lookup: &results.Lookup{}, Ref: json.RawMessage(`7`)},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","ref":7,"number":"","status":"ok","lookup":{}}`,
		},
		"zones and no": {
			results.Result{Status: results.StatusOK, Lookup: &results.Lookup{Ported: results.No, TimeZones: []string{"a", "b"}}},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","lookup":{"ported":false,"time_zones":["a","b"]}}`,
		},
		"portability": {
			results.Result{Status: results.StatusOK, Lookup: &results.Lookup{
				Portable: results.No, FastPortable: results.No, NotPortableReason: "No coverage",
			}},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","lookup":{"portable":false,"fast_portable":false,"not_portable_reason":"No coverage"}}`,
		},
		"network and call": {
			results.Result{Status: results.StatusOK, Lookup: &results.Lookup{
				Ported: results.Yes, PortedBasis: "derived", PortedAt: at(t, "2025-02-03T01:00:00+01:00"), MCC: "460", MNC: "00",
				Reachable: results.WordYes, Roaming: results.WordNo, Ringing: results.WordUnknown, Answered: results.WordNo, CallResponse: "busy",
			}},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","lookup":{"ported":true,"ported_basis":"derived","ported_at":"2025-02-03T00:00:00.000Z",` +
				`"mcc":"460","mnc":"00","reachable":"yes","roaming":"no","ringing":"unknown","answered":"no","call_response":"busy"}}`,
		},
		"porting": {
			results.Result{Status: results.StatusOK, Lookup: &results.Lookup{Porting: &results.Porting{
				OrderID: "eef10fb8-f3df-4c67-97c5-e18179723222", OrderStatus: "exception", ActivationStatus: "New",
				FOCAt: at(t, "2026-12-01T16:00:00Z"), Exceptions: []string{"FOC_EXPIRED", "OTHER"},
			}}},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","lookup":{"porting":{"order_id":"eef10fb8-f3df-4c67-97c5-e18179723222",` +
				`"order_status":"exception","activation_status":"New","foc_at":"2026-12-01T16:00:00.000Z","exceptions":["FOC_EXPIRED","OTHER"]}}}`,
		},
		"raw": {
			results.Result{Status: results.StatusOK, Raw: json.RawMessage(`{"a":1}`)},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","raw":{"a":1}}`,
		},
		"broken raw": {
			results.Result{Status: results.StatusOK, Raw: json.RawMessage(`{"a":1`)},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","raw_truncated":true}`,
		},
		"large raw": {
			results.Result{Status: results.StatusOK, Raw: json.RawMessage(`"` + strings.Repeat("x", results.MaxRaw) + `"`)},
			`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB.0","number":"","status":"ok","raw_truncated":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(results.Append(nil, "01JD2Z8QK5X7Q0M3W9V6T4R2AB", &c.result))
			require.Equal(t, c.want, got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	r := contractResult(t)
	buf := make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = results.Append(buf[:0], "01JD2Z8QK5X7Q0M3W9V6T4R2AB", &r) }))
}

// reference is what encoding/json makes of the same fields.
func reference(t *testing.T, jobID string, r *results.Result) string {
	t.Helper()
	wire := struct {
		ID string `json:"id"`
		results.Result
	}{ID: jobID + "." + strconv.Itoa(r.Index), Result: *r}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(wire))
	return strings.TrimSuffix(b.String(), "\n")
}

// FuzzAppend compares Append with encoding/json, byte by byte, and reads it back.
func FuzzAppend(f *testing.F) {
	f.Add("13972565391", "+8613972565391", "湖北-襄樊", "a\x00\"\\\u2028\xff", "移动", int64(1795287731213), uint8(3))
	f.Add("", "", "", "", "", int64(0), uint8(0))
	f.Add("<a href='x'>&\x7f", "\b\f\r\t", "\u2029", "é\xe9", "\xf0\x9f\x98\x80", int64(253402300799999), uint8(255))
	f.Fuzz(func(t *testing.T, number, e164, area, message, carrier string, ms int64, bits uint8) {
		for _, s := range []string{number, e164, area, message, carrier} {
			if len(s) > 256 {
				t.Skip("longer texts are cut")
			}
		}
		// Years that RFC 3339 has; whole seconds, for encoding/json writes no .000.
		ms = ((ms%2e14 + 2e14) % 2e14) / 1000 * 1000
		r := results.Result{
			Index: int(bits), Number: number, E164: e164, Status: results.StatusOK, Source: results.Source(carrier),
			Lookup: &results.Lookup{
				Area: area, Country: carrier, Valid: results.Tri(bits % 3), Ported: results.Tri(bits / 3 % 3),
				OriginalCarrier: results.Carrier{ID: e164, Name: carrier}, TimeZones: []string{area, message}[:bits%3/2*2],
				Portable: results.Tri(bits / 9 % 3), FastPortable: results.Tri(bits / 27 % 3), NotPortableReason: message, PortedBasis: carrier,
				MCC: number, MNC: area, Reachable: results.Word(carrier), Roaming: results.Word(area), CallResponse: message,
				Porting: &results.Porting{OrderID: carrier, ActivationStatus: area, Exceptions: []string{message, area}[:bits%3/2*2]},
			},
			Error:    &results.Error{Code: results.Code(area), Message: message, ProviderCode: number},
			Attempts: int(bits / 2), Cost: results.Cost{Amount: number, Currency: area},
		}
		got := string(results.Append(nil, "j", &r))
		want := reference(t, "j", &r)
		// omitempty leaves out what is empty, as Append does.
		require.Equal(t, want, got)

		r.AnsweredAt = time.UnixMilli(ms).UTC()
		got = string(results.Append(nil, "j", &r))
		stamp := r.AnsweredAt.Format("2006-01-02T15:04:05")
		require.Equal(t, strings.Replace(reference(t, "j", &r), `"`+stamp+`Z"`, `"`+stamp+`.000Z"`, 1), got)
		part, err := results.DecodePart([]byte(`{"job_id":"j","results":[` + got + `]}`))
		require.NoError(t, err)
		require.True(t, part.Results[0].AnsweredAt.Equal(r.AnsweredAt))
		if utf8.ValidString(area + message + carrier + number + e164) {
			r.AnsweredAt = part.Results[0].AnsweredAt
			require.Equal(t, r.Number, part.Results[0].Number)
			require.Equal(t, *r.Error, *part.Results[0].Error)
			require.Equal(t, r.Lookup.OriginalCarrier, part.Results[0].Lookup.OriginalCarrier)
		}
	})
}

// Texts that no real upstream sends must not make a result that fits no part.
func TestAppendIsBounded(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("\x00", 1<<20)
	zones := make([]string, 10000)
	for i := range zones {
		zones[i] = huge[:2000]
	}
	r := results.Result{
		Number: huge, E164: huge, Provider: huge, Cost: results.Cost{Amount: huge, Currency: huge},
		Lookup: &results.Lookup{
			Area: huge, TimeZones: zones, Country: huge, LineType: huge, NotPortableReason: huge, MCC: huge, MNC: huge, CallResponse: huge,
			PortedBasis: huge, Porting: &results.Porting{OrderID: huge, OrderStatus: huge, ActivationStatus: huge, Exceptions: zones},
			OriginalCarrier: results.Carrier{ID: huge, Name: huge}, CurrentCarrier: results.Carrier{ID: huge, Name: huge},
		},
		Error: &results.Error{Message: huge, ProviderCode: huge}, Raw: json.RawMessage(`"` + strings.Repeat("x", results.MaxRaw-2) + `"`),
	}
	got := results.Append(nil, "j", &r)
	require.Less(t, len(got), results.MaxPartBytes*3/4)
	require.True(t, json.Valid(got))
	// Not cut inside a character.
	got = results.Append(nil, "j", &results.Result{Number: strings.Repeat("湖", 1000)})
	require.NotContains(t, string(got), `\ufffd`)
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"0.0020", "0.0020", "0.0040"},
		{"1", "0.5", "1.5"},
		{"0.5", "1", "1.5"},
		{"-0.50", "0.5", "0.00"},
		{"999999999999999999", "1", "1000000000000000000"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{"922337203685477580", "0.000000000000000001", "922337203685477580.000000000000000001"},
		{"-9", "-0.9", "-9.9"},
		{"0", "-0.05", "-0.05"},
		{"000", "0", "0"},
	} {
		a, err := results.ParseDecimal(c.a)
		require.NoError(t, err)
		b, err := results.ParseDecimal(c.b)
		require.NoError(t, err)
		require.Equal(t, c.want, a.Add(b).String(), "%s + %s", c.a, c.b)
		require.Equal(t, c.want, b.Add(a).String(), "%s + %s", c.b, c.a)
	}
	for _, s := range []string{"", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1,5", "0x1", "1.2.3", "--1", strings.Repeat("1", 65), "١"} {
		_, err := results.ParseDecimal(s)
		require.ErrorIs(t, err, results.ErrDecimal, s)
	}
	require.Equal(t, "0", results.Decimal{}.String())
}
