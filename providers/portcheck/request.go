package portcheck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// minSecret is the length from which a setting's text is hidden in messages: it
// may be a credential, and a shorter one would black out half of every message.
const minSecret = 6

// asking is how the product is asked. Nothing in it changes.
type asking struct {
	method, path, contentType string
	auth                      auth
	header                    http.Header
	extra                     map[string]any
	// head is a JSON body up to the number.
	head          []byte
	field, format string
	plain         bool
	// success are the codes of a reply that answers.
	success []string
	secrets []providers.Secret
}

func newAsking(s *settings) asking {
	a := asking{
		method: s.Method, path: s.Path, contentType: s.ContentType, auth: s.Auth, header: http.Header{},
		extra: s.ExtraBody, head: jsonHead(s.ExtraBody, s.RequestField), field: s.RequestField, format: s.NumberFormat, plain: s.plain(), success: s.SuccessCodes,
	}
	for name, value := range s.ExtraHeaders {
		a.header.Set(name, value.Reveal())
		a.hide(value.Reveal())
	}
	a.hideAll(s.ExtraBody)
	return a
}

func (a *asking) hide(text string) {
	if len(text) >= minSecret {
		a.secrets = append(a.secrets, providers.NewSecret(text))
	}
}

func (a *asking) hideAll(value any) {
	switch v := value.(type) {
	case string:
		a.hide(v)
	case map[string]any:
		for _, inner := range v {
			a.hideAll(inner)
		}
	case []any:
		for _, inner := range v {
			a.hideAll(inner)
		}
	}
}

// jsonHead is an object with the fields of extra and the name of one more. What
// JSON cannot hold has been refused before.
func jsonHead(extra map[string]any, field string) []byte {
	head := []byte("{")
	if inner, err := json.Marshal(extra); err == nil && len(extra) > 0 {
		head = slices.Concat(inner[:len(inner)-1], []byte(","))
	}
	return slices.Concat(head, upstream.Quote(field), []byte(":"))
}

// request is the call for one number.
func (a *asking) request(key providers.Key, n providers.Number) upstream.Request {
	r := upstream.Request{
		Method: a.method, Path: a.path, Header: a.header.Clone(), Query: url.Values{},
		Secrets: append(slices.Clip(a.secrets), key.Secret),
	}
	switch {
	case a.method == http.MethodGet:
		r.Query = a.values(n)
	case a.plain:
		r.ContentType, r.Body = a.contentType, []byte(a.values(n).Encode())
	default:
		r.ContentType, r.Body = a.contentType, slices.Concat(a.head, upstream.Quote(a.number(n)), []byte("}"))
	}
	a.auth.apply(&r, key.Secret)
	return r
}

func (a *asking) values(n providers.Number) url.Values {
	values := url.Values{a.field: {a.number(n)}}
	for name, value := range a.extra {
		text, _ := plainText(value)
		values.Set(name, text)
	}
	return values
}

func (a *asking) number(n providers.Number) string {
	switch a.format {
	case formatE164:
		return n.E164
	case formatDigits:
		return strings.TrimPrefix(n.E164, "+")
	default:
		return n.National
	}
}

// plainText is a setting's value as a form holds it; false for lists and mappings.
func plainText(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case map[string]any, map[any]any, []any:
		return "", false
	}
	return fmt.Sprint(value), true
}
