package providertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// clock is the time for every provider examined.
func clock() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// nowhere is an address that nobody listens at.
const nowhere = "http://127.0.0.1:1"

// exam is one provider type with its recorded calls.
type exam struct {
	typ    Type
	sample providers.Provider // only to be asked what it can do
	limits providers.Limits
	// found is found.json; every fault is made of it.
	found *Case
	// cases are found.json and the calls recorded beside those asked for by name;
	// answering are those of them that find every number.
	cases, answering []*Case
}

func newExam(typ Type) (*exam, error) {
	found, err := load(typ.Testdata, fileFound, "a call of two numbers or more, all of them found (one number, if the provider takes no more)")
	if err != nil {
		return nil, err
	}
	x := &exam{typ: typ, found: found, cases: []*Case{found}, answering: []*Case{found}}
	if x.sample, err = x.build(found, "", nil); err != nil {
		// Some types have no address of their own.
		if x.sample, err = x.build(found, nowhere, nil); err != nil {
			return nil, err
		}
	}
	x.limits = x.sample.Limits()
	files, err := others(typ.Testdata)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		c, err := load(typ.Testdata, file, "")
		if err != nil {
			return nil, err
		}
		x.cases = append(x.cases, c)
		if c.answers() {
			x.answering = append(x.answering, c)
		}
	}
	if err := x.complete(); err != nil {
		return nil, err
	}
	return x, nil
}

// complete says what found.json lacks for the rules to be made of it.
func (x *exam) complete() error {
	switch c := x.found; {
	case !c.answers():
		return fmt.Errorf("%s: every number has to be found", c.file)
	case overNetwork(x) && (c.Request == nil || c.Response == nil || c.Secret == ""):
		return fmt.Errorf("%s: request, response and secret are needed", c.file)
	case inBatches(x) && (len(c.numbers) < 2 || c.Response.Entries == nil):
		return fmt.Errorf("%s: two numbers or more and response.entries are needed", c.file)
	}
	return nil
}

func (x *exam) build(c *Case, base string, transport http.RoundTripper) (providers.Provider, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	cfg.BaseURL, cfg.Transport = base, transport
	p, err := x.typ.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be built for %s: %w", x.typ.Name, c.file, err)
	}
	return p, nil
}

// session is a provider and the upstream that it calls.
type session struct {
	provider  providers.Provider
	transport *http.Transport
	server    *httptest.Server // nil for a provider that calls nobody
}

// open builds the provider of case c against an upstream that answers with h.
func (x *exam) open(c *Case, h http.Handler) (*session, error) {
	s := &session{}
	base := ""
	if overNetwork(x) {
		s.server = httptest.NewServer(h)
		s.transport = &http.Transport{DisableCompression: true}
		base = s.server.URL
	}
	var err error
	if s.provider, err = x.build(c, base, transportOf(s.transport)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// transportOf keeps a nil pointer from becoming an interface that is not nil.
func transportOf(t *http.Transport) http.RoundTripper {
	if t == nil {
		return nil
	}
	return t
}

// close ends what requests there still are, and waits for them to be over.
func (s *session) close() {
	if s.server == nil {
		return
	}
	s.transport.CloseIdleConnections()
	s.server.CloseClientConnections()
	s.server.Close()
}

// call asks the provider; a reply that is not well formed, or a panic, is an error.
func (s *session) call(ctx context.Context, q providers.Query) (r providers.Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the provider panicked: %v", p)
		}
	}()
	r = s.provider.Call(ctx, q)
	return r, wellFormed(q, r)
}

// try is one call of case c against an upstream that answers with h.
func (x *exam) try(ctx context.Context, c *Case, h http.Handler) (providers.Reply, error) {
	s, err := x.open(c, h)
	if err != nil {
		return providers.Reply{}, err
	}
	defer s.close()
	return s.call(ctx, c.query())
}

// wantCall is try, and check of what came of it; the error says which fault it was.
func (x *exam) wantCall(ctx context.Context, fault string, h http.Handler, check func(providers.Reply) error) error {
	for _, c := range x.answering {
		r, err := x.try(ctx, c, h)
		if err == nil {
			err = check(r)
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c.file, fault, err)
		}
	}
	return nil
}
