package telnyx

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// route is one of the requests that can be made. There are no others: Telnyx has
// dozens of endpoints beside these that order, change and cancel ports with the
// same key, so a request is made of a route and of what goes into its one free
// place, and never of a path.
type route uint8

// The routes. All are reads; the POST is one by its meaning.
const (
	portabilityChecks route = iota
	numberLookup
	portingNumbers
	portingOrders
	portingOrder
	routes = int(portingOrder) + 1
)

// endpoint is a route's method and path. free, if set, says what may follow the path.
type endpoint struct {
	method, path string
	free         func(string) bool
}

// endpoint is the closed list; a route that is none has the zero value.
func (r route) endpoint() endpoint {
	switch r {
	case portabilityChecks:
		return endpoint{http.MethodPost, "/portability_checks", nil}
	case numberLookup:
		return endpoint{http.MethodGet, "/number_lookup/", isE164}
	case portingNumbers:
		return endpoint{http.MethodGet, "/porting_phone_numbers", nil}
	case portingOrders:
		return endpoint{http.MethodGet, "/porting_orders", nil}
	case portingOrder:
		return endpoint{http.MethodGet, "/porting_orders/", isUUID}
	}
	return endpoint{}
}

// allowed reports whether a request may leave: the same list, read the other way round.
func allowed(method, path string) bool {
	for r := range routes {
		e := route(r).endpoint()
		if method != e.method {
			continue
		}
		rest, ok := strings.CutPrefix(path, e.path)
		if ok && (e.free == nil && rest == "" || e.free != nil && e.free(rest)) {
			return true
		}
	}
	return false
}

// ask is one request: the route, what goes into its free place, and what comes with it.
type ask struct {
	route route
	free  string
	query url.Values
	body  []byte
}

// request builds what a is; false if it is none of what may be sent.
func (a ask) request(key providers.Key) (upstream.Request, bool) {
	e := a.route.endpoint()
	path := e.path + a.free
	fits := a.free == "" && e.free == nil || e.free != nil && e.free(a.free)
	if !fits || !allowed(e.method, path) || (a.body != nil) != (e.method == http.MethodPost) {
		return upstream.Request{}, false
	}
	req := upstream.Request{
		Method: e.method, Path: path, Query: a.query, Body: a.body,
		Header:  http.Header{"Authorization": {"Bearer " + key.Secret.Reveal()}},
		Secrets: []providers.Secret{key.Secret},
	}
	if a.body != nil {
		req.ContentType = "application/json"
	}
	return req, true
}

// wire is the one way out of the package.
type wire struct{ client *upstream.Client }

// send makes the request, or says why it brought nothing.
func (w wire) send(ctx context.Context, key providers.Key, a ask) (upstream.Response, *refusal) {
	req, ok := a.request(key)
	if !ok {
		return upstream.Response{}, &refusal{failure: &providers.Failure{
			Kind: providers.KindInternal, Message: "a request outside the list of allowed reads was not sent",
		}}
	}
	res, failure := w.client.Do(ctx, req)
	if failure != nil {
		return res, judge(res, failure, key.Secret)
	}
	return res, nil
}

// isE164 is strict: '+', no leading zero, 7 to 15 digits.
func isE164(s string) bool {
	rest, ok := strings.CutPrefix(s, "+")
	return ok && isDigits(rest) && rest[0] != '0' && len(rest) >= minDigits && len(rest) <= maxDigits
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isUUID takes 8-4-4-4-12 hexadecimal digits.
func isUUID(s string) bool {
	if len(s) != len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}
