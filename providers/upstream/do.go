package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/lookupq/lookupq/providers"
)

// Request is one call. A secret may stand in Header and Body, never in Path or
// Query: those end up in access logs that are not ours.
type Request struct {
	Method string
	// Path is appended to the base URL and starts with a slash.
	Path  string
	Query url.Values
	// Header is added to what every request carries.
	Header      http.Header
	ContentType string
	Body        []byte
	// Secrets are hidden in every text that leaves the package, and in replies.
	Secrets []providers.Secret
}

// Response is what came back, read to its end.
type Response struct {
	Status int
	Header http.Header
	// Body is plain, whatever the encoding was, without a byte order mark, and
	// without the request's secrets, if the upstream repeated them. It is the
	// caller's. Of a status outside 2xx it is the first 64 KiB at most.
	Body []byte
}

// Do makes one call. A status outside 2xx is a Failure by StatusKind, with the
// Response beside it: a provider whose upstream says more in the body may refine
// it. Any other Failure has no Response. KindUnavailable without a code means
// that nothing was sent; KindTimeout and KindCutOff that the upstream may have
// done the work.
func (c *Client) Do(ctx context.Context, r Request) (Response, *providers.Failure) {
	sent := sentTrace{reliable: c.traces}
	req, err := c.build(sent.with(ctx), r)
	if err != nil {
		return Response{}, &providers.Failure{Kind: providers.KindInternal, Message: Clean(err.Error(), r.Secrets...)}
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return Response{}, sent.failure(ctx, err, r.Secrets)
	}
	defer func() { _ = res.Body.Close() }()
	out := Response{Status: res.StatusCode, Header: res.Header}
	if !success(res.StatusCode) {
		// The status says enough; a body that breaks off only loses its words.
		out.Body, _ = c.read(res, maxErrorBody)
		out.Body = redactBody(out.Body, r.Secrets)
		return out, c.statusFailure(out, r.Secrets)
	}
	out.Body, err = c.read(res, c.maxBody)
	if err != nil {
		return Response{}, bodyFailure(ctx, err, r.Secrets)
	}
	out.Body = redactBody(out.Body, r.Secrets)
	return out, nil
}

// Quote is text as a JSON string. A string can always be encoded.
func Quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

func success(status int) bool { return status >= 200 && status < 300 }

func (c *Client) build(ctx context.Context, r Request) (*http.Request, error) {
	address, err := c.address(r)
	if err != nil {
		return nil, err
	}
	var body io.Reader // nil, not a nil *Reader: a GET has no body
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, stripURL(err)
	}
	maps.Copy(req.Header, r.Header)
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	return req, nil
}

// sentTrace notices whether a request can have reached the upstream. Its hooks
// run on the transport's goroutines, also after Do has returned.
type sentTrace struct {
	// reliable: the transport is known to call the hooks.
	reliable bool
	got      atomic.Bool // a connection to write to
}

func (t *sentTrace) with(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Not WroteHeaders: a request that has a connection may still be written after
		// RoundTrip has returned because its time was over.
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
}

// maySent is false only if nothing can have left, or leave yet: there was no
// connection. A transport that may not trace is judged by its error.
func (t *sentTrace) maySent(err error) bool {
	return !notConnected(err) && (!t.reliable || t.got.Load())
}

func (t *sentTrace) failure(ctx context.Context, err error, secrets []providers.Secret) *providers.Failure {
	f := &providers.Failure{Kind: providers.KindCutOff, Message: describe(err, secrets)}
	switch {
	case !t.maySent(err):
		f.Kind = providers.KindUnavailable
		f.Message = "not sent: " + f.Message
	case ctx.Err() != nil || isTimeout(err):
		f.Kind = providers.KindTimeout
	}
	if ctx.Err() != nil {
		f.Message = waited(ctx, f.Kind)
	}
	return f
}

// waited words the end of a context; its cause may be anything, so it is not quoted.
func waited(ctx context.Context, kind providers.Kind) string {
	what := "no reply in time"
	if errors.Is(ctx.Err(), context.Canceled) {
		what = "cancelled before the reply"
	}
	if kind == providers.KindUnavailable {
		what += ", nothing was sent"
	}
	return what
}

func (c *Client) statusFailure(r Response, secrets []providers.Secret) *providers.Failure {
	return &providers.Failure{
		Kind:       StatusKind(r.Status),
		Code:       strconv.Itoa(r.Status),
		Message:    statusMessage(r, secrets),
		RetryAfter: RetryAfter(r.Header, c.clock()),
	}
}

func statusMessage(r Response, secrets []providers.Secret) string {
	text := http.StatusText(r.Status)
	body := bytes.TrimSpace(r.Body)
	switch {
	case len(body) == 0:
	case body[0] == '<':
		text += " (an HTML page)"
	default:
		text += ": " + string(body)
	}
	return Clean(text, secrets...)
}
