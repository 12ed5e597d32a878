package nxcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const contentJSON = "application/json"

// request is one call to the vendor.
type request struct {
	key  providers.Key
	path string
	body any
	// hide are texts besides the credentials that no words may repeat.
	hide []string
	// again: a refused signature or time is answered with one more request. It is
	// for calls that are worth exceeding the rate of their permit by that one.
	again bool
	// paid: what the call asks for is charged.
	paid bool
	// kindOf says what a code means here.
	kindOf func(code int, words string) providers.Kind
}

// signAfter is when to ask again after a refused signature or time.
const signAfter = time.Second

// call signs and sends r and returns the reply's object if its code is success.
// The body is encoded once: the signature is about these very bytes. A reply that
// refuses the signature or the time is followed by at most one request signed
// anew, with r.again; without it the call fails with KindUnavailable, and the next
// one is signed by the clock that was learned. With a failure the object is that
// of the refusal, nil if there is none.
func (p *Provider) call(ctx context.Context, r request) (object, *providers.Failure) {
	a := p.settings.account(r.key.Name)
	if !a.AccessKey.set() || !a.AppKey.set() {
		return nil, &providers.Failure{
			Kind: providers.KindUnauthorized, Message: fmt.Sprintf("the settings name no access_key or no app_key for key %q", r.key.Name),
		}
	}
	raw, err := json.Marshal(r.body)
	if err != nil {
		return nil, &providers.Failure{Kind: providers.KindInternal, Message: "the request cannot be encoded"}
	}
	secrets := p.secrets(r.key)
	for _, text := range r.hide {
		secrets = append(secrets, providers.NewSecret(text))
	}
	send := func() (upstream.Response, *providers.Failure) {
		return p.client.Do(ctx, upstream.Request{
			Method: http.MethodPost, Path: r.path, ContentType: contentJSON, Body: raw,
			Header: signed(a, r.key.Secret, raw, p.now()), Secrets: secrets,
		})
	}
	res, failure := send()
	again := p.signAgain(res)
	if again && r.again {
		res, failure = send()
	}
	o, failure := judge(r, res, failure, secrets)
	if again && !r.again && failure != nil {
		failure.Kind, failure.RetryAfter = providers.KindUnavailable, max(failure.RetryAfter, signAfter)
	}
	return o, failure
}

// signAgain reports whether the vendor's gateway found fault with nothing but the
// signature or its time.
func (p *Provider) signAgain(res upstream.Response) bool {
	if !speaks(res.Status) {
		return false
	}
	o, _ := readObject(res.Body)
	switch code, _ := o.code(); code {
	case codeStale:
		p.measureSkew(res.Header)
		return true
	case codeBadSign:
		return true
	}
	return false
}

// judge lets the vendor's code decide, also beside an error status. A code that no
// table has says less than the status.
func judge(r request, res upstream.Response, failure *providers.Failure, secrets []providers.Secret) (object, *providers.Failure) {
	o, _ := readObject(res.Body)
	code, ok := o.code()
	switch {
	case failure != nil && !speaks(res.Status):
		return nil, doubt(r, res, failure)
	case failure == nil && !ok:
		return nil, upstream.Unreadable(res)
	case failure == nil && code == codeSuccess:
		return o, nil
	}
	words := o.words()
	said := &providers.Failure{Kind: r.kindOf(code, words), Code: strconv.Itoa(code), Message: upstream.Clean(words, secrets...)}
	if failure != nil {
		if !ok || code == codeSuccess || said.Kind == providers.KindUndocumented {
			return nil, doubt(r, res, failure)
		}
		said.RetryAfter = failure.RetryAfter
	}
	return o, said
}

// speaks: a body with this status may be the vendor's own. With "too many
// requests" its words add nothing.
func speaks(status int) bool {
	switch status / 100 {
	case 2, 4:
		return status != http.StatusTooManyRequests
	case 5:
		return !gateway(status)
	}
	return false
}

// gateway: whoever stands before the vendor got no proper reply from it.
func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}

// doubt leaves open whether the vendor did the work, and charges for it, where an
// error status comes without its word: a gateway cannot know, and whatever broke
// may have broken after the work. Only 503 and 501 say that nothing is done.
func doubt(r request, res upstream.Response, f *providers.Failure) *providers.Failure {
	if !r.paid || res.Status/100 != 5 || res.Status == http.StatusServiceUnavailable || res.Status == http.StatusNotImplemented {
		return f
	}
	open := *f
	open.Kind = providers.KindCutOff
	return &open
}
