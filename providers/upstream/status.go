package upstream

import (
	"net/http"

	"github.com/lookupq/lookupq/providers"
)

// StatusKind is what a status outside 2xx means for every provider.
func StatusKind(status int) providers.Kind {
	switch status {
	case http.StatusTooManyRequests:
		return providers.KindThrottled
	case http.StatusUnauthorized:
		return providers.KindUnauthorized
	case http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusUnavailableForLegalReasons:
		return providers.KindForbidden
	case http.StatusPaymentRequired:
		return providers.KindNoBalance
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		return providers.KindTooMany
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return providers.KindRefused
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
		http.StatusMisdirectedRequest, http.StatusNotImplemented:
		return providers.KindMisconfigured
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly:
		return providers.KindUnavailable // "later", none of them our fault
	case http.StatusNotAcceptable, http.StatusLengthRequired, http.StatusUnsupportedMediaType,
		http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge:
		return providers.KindInternal
	}
	switch {
	case status >= 500:
		return providers.KindUnavailable
	case status >= 300 && status < 400:
		return providers.KindMisconfigured // redirects are never followed: the key would go along
	default:
		return providers.KindUndocumented
	}
}
