package nxcloud

import (
	"strconv"
	"strings"

	"github.com/lookupq/lookupq/providers"
)

// The vendor's codes. The tables of its newest document are cut in every copy
// that is known; what is not here is retried, not for long.
const (
	codeSuccess = 0
	codeFailed  = 88 // query: the words say why

	codeInternal    = 103 // receipts, to 122
	codeBadValue    = 108
	codeBackend     = 112
	codeBadFormat   = 114
	codeNotMobile   = 120
	codeUnknown     = 121
	codeNotDetected = 122

	codeParameter     = 201 // submit, to 299
	codeBadApp        = 202 // also query
	codeNoCountry     = 203 // country or operator not recognised
	codeDeduction     = 204 // deduction interface failed
	codeNoPrice       = 205 // no price for the app
	codeCheckFailed   = 206 // check interface failed
	codeBadLevel      = 207
	codeOtherCustomer = 210 // accessKey and appkey are of different customers; also query
	codeNoBalance     = 211
	codeLongBatchNo   = 212
	codeNotDeducted   = 266 // receipt: "subBalance failed"
	codeRequestFailed = 288
	codeSystem        = 299

	codeBadHeader    = 1001 // gateway, to 1005
	codeBadBody      = 1002 // or bizType, or action
	codeBadSign      = 1003
	codeStale        = 1004 // ts too far from their clock
	codeBadAccessKey = 1005
)

// receiptTries is how many calls may fail with a number whose receipt says that
// the vendor failed: the first and two more.
const receiptTries = 3

// callKind is what a code says of a whole call for so many numbers.
//
// 205 is about a country and level, not about the key: its numbers go to the next
// provider, and those of other countries are not held up. So is 207: only levels
// that some generation documents are asked for. 201 may mean one number of many;
// the batch is searched for it, and a number alone is judged by the caller, who
// knows whether others are taken.
func callKind(code, numbers int) providers.Kind {
	switch code {
	case codeParameter:
		return providers.KindRefused
	case codeNoCountry:
		if numbers > 1 {
			return providers.KindRefused
		}
		return providers.KindUnsupported
	case codeNoPrice, codeBadLevel:
		return providers.KindUnsupported
	case codeBadApp, codeOtherCustomer, codeBadSign, codeBadAccessKey:
		return providers.KindUnauthorized
	case codeNoBalance, codeNotDeducted:
		return providers.KindNoBalance
	case codeDeduction, codeCheckFailed, codeRequestFailed, codeSystem, codeStale:
		return providers.KindUnavailable
	case codeFailed, codeLongBatchNo, codeBadHeader, codeBadBody:
		return providers.KindInternal
	}
	return providers.KindUndocumented
}

// queryKind is callKind for a query, whose code 88 means whatever the words say.
func queryKind(code int, words string) providers.Kind {
	if code == codeFailed {
		words = strings.ToLower(words)
		switch {
		case has(words, "频繁", "频率", "过快", "限流", "frequen", "too many", "rate limit"):
			return providers.KindThrottled
		case has(words, "系统", "超时", "繁忙", "稍后", "system", "timeout", "timed out", "busy", "later"):
			return providers.KindUnavailable
		}
	}
	return callKind(code, 1)
}

// nothingThere reports whether the words beside code 88 say that the batch has no
// records, which other accounts say with an empty list.
func nothingThere(code int, words string) bool {
	return code == codeFailed && has(strings.ToLower(words), "不存在", "无数据", "无记录", "没有数据", "没有记录", "未查询到",
		"no data", "no record", "not exist", "not found")
}

// outcomeOf is what a code other than success says of one number, in a receipt or
// among the numbers that a submit refuses.
func outcomeOf(code int, words string) providers.Outcome {
	f := &providers.Failure{Code: strconv.Itoa(code), Message: words}
	switch code {
	case codeNotDetected:
		return providers.Outcome{Kind: providers.NotFound}
	case codeBadValue, codeBadFormat:
		f.Kind = providers.KindRejected
		return providers.Outcome{Kind: providers.Invalid, Failure: f}
	case codeNotMobile, codeNoCountry, codeNoPrice:
		f.Kind = providers.KindUnsupported
	case codeParameter:
		f.Kind = providers.KindRejected
	case codeInternal, codeBackend, codeUnknown, codeDeduction, codeCheckFailed, codeRequestFailed, codeSystem:
		f.Kind, f.Tries = providers.KindRetryable, receiptTries
	case codeNoBalance, codeNotDeducted:
		f.Kind, f.Tries = providers.KindNoBalance, receiptTries
	default:
		f.Kind, f.Tries = providers.KindUndocumented, receiptTries
	}
	return providers.Outcome{Kind: providers.Failed, Failure: f}
}

// has reports whether text, in lower case, has any of the words in it.
func has(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
