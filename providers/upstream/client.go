// Package upstream makes the HTTP call of every provider, once for all of them.
// What comes in: a context that is the only time limit, and a request. What goes
// out: the reply's bytes, or one classified providers.Failure whose text holds no
// secret, no number and no URL. It follows no redirect, uses no proxy, keeps no
// cookie, retries nothing and logs nothing. A Client is safe in parallel and
// needs no stopping: its idle connections close by themselves.
package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/internal/version"
	"github.com/lookupq/lookupq/providers/setup"
)

const (
	// DefaultMaxBody is the cap of a reply, plain and decompressed: fifty times
	// a batch of a thousand entries.
	DefaultMaxBody = 8 << 20
	// maxErrorBody is how much is read of a reply that is an error by its status.
	maxErrorBody = 64 << 10

	connectTimeout = 5 * time.Second
	// idleTimeout is short because a connection that the server is about to close
	// costs an ambiguous failure.
	idleTimeout = 30 * time.Second
	// idleConns is above any sensible concurrency: net/http's default of 2 would
	// make every further call connect anew.
	idleConns = 128
)

// Config makes a Client.
type Config struct {
	// BaseURL is what every request's path is appended to.
	BaseURL string
	// Transport carries the calls; nil is a pooled one of the Client's own.
	Transport http.RoundTripper
	// Clock tells the time a Retry-After date is measured against; nil is the system's.
	Clock func() time.Time
	// MaxBody caps a reply in bytes, 0 is DefaultMaxBody.
	MaxBody int64
}

// Client calls one upstream.
type Client struct {
	base      string // scheme://host/path, no slash at the end
	transport http.RoundTripper
	traces    bool // transport is one that tells what it has sent
	clock     func() time.Time
	maxBody   int64
	agent     string
	// lastSize is the length of the last reply without a Content-Length, where
	// the next one's buffer starts. Written by any call.
	lastSize atomic.Int64
}

// New checks the configuration; its error names the field and the remedy and
// does not repeat an address that may hold a password.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base, transport: cfg.Transport, clock: cfg.Clock, maxBody: cfg.MaxBody,
		agent: "lookupq/" + version.String(),
	}
	if c.transport == nil {
		c.transport = newTransport()
	}
	_, c.traces = c.transport.(*http.Transport)
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.maxBody <= 0 {
		c.maxBody = DefaultMaxBody
	}
	return c, nil
}

// parseBase accepts an absolute http or https address without user, query or
// fragment. Secrets belong in keys, where they are redacted.
func parseBase(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	var problem string
	switch {
	case err != nil:
		problem = "is not a URL" // err would quote it
	case u.Scheme != "https" && u.Scheme != "http":
		problem = "does not start with https:// or http://"
	case u.Hostname() == "":
		problem = "names no host"
	case u.User != nil:
		problem = "holds a user or password; put credentials under keys"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		problem = "has a query or fragment; give only scheme, host and path"
	case !validPort(u):
		problem = "has a port that is none"
	default:
		return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
	}
	return "", setup.FieldError{Path: "base_url", Problem: problem + "; write it like https://api.example.com"}
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	_, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil
}

// newTransport is a pooled transport without a proxy: one taken from the
// environment would see the keys. Compression is handled by Do, which has to
// cap both sizes.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    connectTimeout,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxErrorBody,
	}
}

// errRequest says that a request cannot even be built: a provider's bug.
var errRequest = errors.New("request cannot be built")

func (c *Client) address(r Request) (string, error) {
	if !strings.HasPrefix(r.Path, "/") {
		return "", fmt.Errorf("%w: path %q does not start with a slash", errRequest, r.Path)
	}
	address := c.base + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	return address, nil
}
