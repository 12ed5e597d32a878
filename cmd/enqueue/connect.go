package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/term"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/natsctx"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

// globals are the flags of every verb.
type globals struct {
	NATS         string `name:"nats" env:"LOOKUPQ_NATS,NATS_URL" placeholder:"URL" help:"NATS server, or several separated by commas (default nats://127.0.0.1:4222)."`
	Creds        string `placeholder:"FILE" help:"NATS credentials file."`
	Context      string `placeholder:"NAME" help:"A context of the NATS command line tool, for address and credentials."`
	JSPrefix     string `name:"js-prefix" placeholder:"PREFIX" help:"Prefix of JetStream's API where an account imports it (default $$JS.API)."`
	Prefix       string `default:"lookup" help:"First token of every subject."`
	StreamPrefix string `default:"LOOKUP" help:"First part of every stream's name."`
	Tenant       string `default:"default" help:"Tenant."`
	JSON         bool   `name:"json" help:"Write JSON lines for machines to standard output: notices, progress, summary."`
}

func (g *globals) names() names.Names {
	return names.Names{Prefix: g.Prefix, StreamPrefix: g.StreamPrefix}
}

// validate checks the flags that every verb shares.
func (g *globals) validate() error {
	if !names.ValidToken(g.Tenant) {
		return &usageError{fmt.Errorf("--tenant %q: use letters, digits, - and _, at most 64, and begin with a letter or digit", g.Tenant)}
	}
	if !names.ValidToken(g.Prefix) || !names.ValidToken(g.StreamPrefix) {
		return &usageError{fmt.Errorf("--prefix %q, --stream-prefix %q: use letters, digits, - and _", g.Prefix, g.StreamPrefix)}
	}
	return nil
}

// view makes what the user watches. Text for people goes to stderr.
func (g *globals) view(e env) *ui.UI {
	opt := ui.Options{Out: e.stderr, Terminal: e.terminal}
	if g.JSON {
		opt.JSON = e.stdout
	}
	return ui.New(opt)
}

// isTerminal reports whether f is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// session is a connection to NATS and what is reached over it.
type session struct {
	env       env
	nc        *nats.Conn
	js        jetstream.JetStream
	names     names.Names
	campaigns *jobs.Campaigns
	closed    chan struct{}
}

// campaign is what reads one campaign's results.
func (s *session) campaign(tenant, campaign string) follow.Campaign {
	stream := s.names.ResultsStream()
	return follow.Campaign{
		Reader: results.NewReader(s.js, s.names), Stream: stream, Tenant: tenant, Name: campaign,
		ResultsMessage: func(ctx context.Context, seq uint64) ([]byte, error) { return s.campaigns.Message(ctx, stream, seq) },
	}
}

// close closes the connection and waits for its goroutines.
func (s *session) close() {
	s.nc.Close()
	<-s.closed
}

// connect reaches NATS or says in one line why it cannot. denied is called, from
// the connection's goroutine, when the server refuses a subject that the verb
// cannot do without.
func (g *globals) connect(ctx context.Context, e env, denied func(error)) (*session, error) {
	if err := g.validate(); err != nil {
		return nil, err
	}
	var c natsctx.Context
	if g.Context != "" {
		var err error
		if c, err = natsctx.Load(g.Context, e.getenv); err != nil {
			return nil, &usageError{err}
		}
	}
	address := cmp.Or(g.NATS, c.URL, nats.DefaultURL)
	s := &session{env: e, names: g.names(), closed: make(chan struct{})}
	opts, err := options(c, cmp.Or(g.Creds, c.Creds))
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		nats.ClosedHandler(func(*nats.Conn) { close(s.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { g.onError(err, denied) }),
	)
	if s.nc, err = nats.Connect(address, opts...); err != nil {
		return nil, fmt.Errorf("cannot reach NATS at %s: %w: is it running, and are address and credentials right (--nats, --creds, --context)", redact(address), err)
	}
	prefix := cmp.Or(g.JSPrefix, c.JSPrefix, jobs.DefaultAPIPrefix)
	s.campaigns = jobs.NewCampaigns(s.nc, s.names, prefix)
	if s.js, err = jetstream.NewWithAPIPrefix(s.nc, prefix); err != nil {
		s.close()
		return nil, &usageError{fmt.Errorf("--js-prefix %q: %w", prefix, err)}
	}
	if err := ctx.Err(); err != nil {
		s.close()
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// options are the connection's options from a context file and credentials.
func options(c natsctx.Context, creds string) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name("lookupq enqueue"), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectBufSize(-1), // what was not confirmed is sent again: a second copy in a buffer helps nobody
	}
	if creds != "" {
		opts = append(opts, nats.UserCredentials(creds))
	}
	if c.User != "" {
		opts = append(opts, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.NKey != "" {
		o, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("the NATS context's nkey %s: %w", c.NKey, err)
		}
		opts = append(opts, o)
	}
	if c.Cert != "" || c.Key != "" {
		opts = append(opts, nats.ClientCert(c.Cert, c.Key))
	}
	if c.CA != "" {
		opts = append(opts, nats.RootCAs(c.CA))
	}
	if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// onError passes on refusals of what a verb cannot do without: to publish jobs
// and to write the campaign's record. Other refusals show as requests without an
// answer, which the verbs can do without.
func (g *globals) onError(err error, denied func(error)) {
	if denied == nil || !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	for _, subject := range []string{`"` + g.Prefix + ".jobs.", `"$KV.`} {
		if strings.Contains(err.Error(), subject) {
			denied(fmt.Errorf("NATS refuses this user: %w: check --tenant and --creds", err))
		}
	}
}

// redact removes passwords and tokens from server addresses.
func redact(addresses string) string {
	all := strings.Split(addresses, ",")
	for i, a := range all {
		u, err := url.Parse(strings.TrimSpace(a))
		if err != nil {
			all[i] = "(not an address)"
			continue
		}
		if u.User != nil {
			u.User = url.User("***")
		}
		all[i] = u.String()
	}
	return strings.Join(all, ",")
}
