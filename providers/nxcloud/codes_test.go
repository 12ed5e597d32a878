package nxcloud

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// Every code of the vendor's tables, as the answer to a submit of one number, with
// HTTP 200 and beside an error status.
func TestSubmitCodes(t *testing.T) {
	t.Parallel()
	tests := map[int]providers.Kind{
		88: providers.KindInternal, 201: providers.KindRefused, 202: providers.KindUnauthorized, 203: providers.KindUnsupported,
		204: providers.KindUnavailable, 205: providers.KindUnsupported, 206: providers.KindUnavailable, 207: providers.KindUnsupported,
		210: providers.KindUnauthorized, 211: providers.KindNoBalance, 212: providers.KindInternal, 266: providers.KindNoBalance,
		288: providers.KindUnavailable, 299: providers.KindUnavailable,
		1001: providers.KindInternal, 1002: providers.KindInternal, 1003: providers.KindUnauthorized, 1004: providers.KindUnavailable,
		1005: providers.KindUnauthorized,
	}
	for code, want := range tests {
		for _, status := range []int{200, 400, 500} {
			v := newVendor(t, reply{status, map[string]string{"Retry-After": "9"}, `{"code":` + strconv.Itoa(code) + `,"msg":"words ` + testAccess + `"}`})
			r := v.provider(t, "").Submit(t.Context(), query(numberA), testTicket, "")
			require.Equal(t, want, r.Failure.Kind, code)
			require.Equal(t, strconv.Itoa(code), r.Failure.Code)
			require.Equal(t, "words [redacted]", r.Failure.Message)
			require.Equal(t, status != 200, r.Failure.RetryAfter > 0)
			require.Empty(t, r.Ticket)
		}
	}
	for _, code := range []string{"1", "-1", "103", "300", "9999"} {
		r := newVendor(t, ok(`{"code":`+code+`}`)).provider(t, "").Submit(t.Context(), query(numberA), testTicket, "")
		require.Equal(t, providers.KindUndocumented, r.Failure.Kind, code)
	}
}

// Every code of a receipt.
func TestReceiptCodes(t *testing.T) {
	t.Parallel()
	failed := func(k providers.Kind, tries int) providers.Outcome {
		return providers.Outcome{Kind: providers.Failed, Failure: &providers.Failure{Kind: k, Tries: tries}}
	}
	invalid := providers.Outcome{Kind: providers.Invalid, Failure: &providers.Failure{Kind: providers.KindRejected}}
	tests := map[int]providers.Outcome{
		103: failed(providers.KindRetryable, 3), 108: invalid, 112: failed(providers.KindRetryable, 3), 114: invalid,
		120: failed(providers.KindUnsupported, 0), 121: failed(providers.KindRetryable, 3), 122: {Kind: providers.NotFound},
		266: failed(providers.KindNoBalance, 3),
		// Codes of a submit, should a receipt have them.
		201: failed(providers.KindRejected, 0), 203: failed(providers.KindUnsupported, 0), 204: failed(providers.KindRetryable, 3),
		205: failed(providers.KindUnsupported, 0), 206: failed(providers.KindRetryable, 3), 211: failed(providers.KindNoBalance, 3),
		288: failed(providers.KindRetryable, 3), 299: failed(providers.KindRetryable, 3),
		// Whatever else there is.
		88: failed(providers.KindUndocumented, 3), 202: failed(providers.KindUndocumented, 3), 1005: failed(providers.KindUndocumented, 3),
		7: failed(providers.KindUndocumented, 3), -1: failed(providers.KindUndocumented, 3),
	}
	p := unconnected(t, "")
	for code, want := range tests {
		for _, form := range []string{strconv.Itoa(code), strconv.Quote(strconv.Itoa(code))} {
			got, err := p.Receipt([]byte(`{"code":`+form+`,"message":"called 13800138000","phone":"8613800138000","data":null,"cost":{"price":0.002,"currency":"CNY"}}`), false)
			require.NoError(t, err)
			if want.Failure != nil {
				want.Failure.Code, want.Failure.Message = strconv.Itoa(code), "called …8000"
			}
			require.Equal(t, want, got.Outcome, "%d: and no cost, nothing was charged", code)
		}
	}
}

// Code 88 of a query means what its words say.
func TestQueryWords(t *testing.T) {
	t.Parallel()
	tests := map[string]providers.Kind{
		"Incorrect date format [yyyy-MM-dd]": providers.KindInternal,
		"":                                   providers.KindInternal,
		"请求过于频繁":                             providers.KindThrottled,
		"Too many requests":                  providers.KindThrottled,
		"系统繁忙，请稍后再试":                         providers.KindUnavailable,
		"System error":                       providers.KindUnavailable,
	}
	for words, want := range tests {
		v := newVendor(t, ok(`{"code":88,"msg":"`+words+`","data":{}}`))
		page := v.provider(t, "").Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Page: 1})
		require.Equal(t, want, page.Failure.Kind, words)
		require.Equal(t, "88", page.Failure.Code)
		require.False(t, page.Known)
	}
	for _, words := range []string{"批次不存在", "No data found", "batchNo not found"} {
		v := newVendor(t, ok(`{"code":88,"msg":"`+words+`","data":{}}`))
		page := v.provider(t, "").Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Page: 1})
		require.Nil(t, page.Failure, words)
		require.False(t, page.Known)
	}
}
