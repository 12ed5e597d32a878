package providertest

import (
	"context"
	"encoding/json"
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
	typ      Type
	settings json.RawMessage    // of every build
	sample   providers.Provider // only to be asked what it can do
	limits   providers.Limits
	// found is found.json.
	found *Case
	// cases are found.json and the calls recorded beside those asked for by name;
	// answering are those of them that find every number, lists those of them
	// whose answers are a list of entries. Every fault is made of these.
	cases, answering, lists []*Case
	// receipts are the cases with receipts.
	receipts []*Case
}

func newExam(typ Type) (*exam, error) {
	found, err := load(typ.Testdata, fileFound, "a call of two numbers or more, all of them found (one number, if the provider takes no more)")
	if err != nil {
		return nil, err
	}
	x := &exam{typ: typ, found: found}
	if x.settings, err = baseSettings(typ.Testdata, found); err != nil {
		return nil, err
	}
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
	all := []*Case{found}
	for _, file := range files {
		c, err := load(typ.Testdata, file, "")
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	for _, c := range all {
		x.sort(c)
	}
	if err := x.complete(); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *exam) sort(c *Case) {
	if len(c.Receipts) > 0 {
		x.receipts = append(x.receipts, c)
	}
	if !c.calls() {
		return
	}
	x.cases = append(x.cases, c)
	if !c.answers() {
		return
	}
	x.answering = append(x.answering, c)
	if overNetwork(x) && len(c.numbers) > 1 && c.answer() != nil && c.answer().Entries != nil {
		x.lists = append(x.lists, c)
	}
}

// complete says what found.json lacks for the rules to be made of it.
func (x *exam) complete() error {
	switch c := x.found; {
	case !c.calls() || !c.answers():
		return fmt.Errorf("%s: every number has to be found", c.file)
	case overNetwork(x) && (c.Request == nil || c.Response == nil || c.Secret == ""):
		return fmt.Errorf("%s: request, response and secret are needed", c.file)
	case inBatches(x) && len(x.lists) == 0:
		return fmt.Errorf("%s: two numbers or more and response.entries are needed", c.file)
	case deferred(x) && c.Query == nil:
		return fmt.Errorf("%s: a deferred provider's call needs its query", c.file)
	case deferred(x) && len(x.receipts) == 0:
		return fmt.Errorf("%s: no case has receipts; record some that the upstream pushes", c.file)
	}
	return nil
}

func (x *exam) build(c *Case, base string, transport http.RoundTripper) (providers.Provider, error) {
	cfg, err := x.config(c)
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

// most is how many numbers a call of partition may have.
func (x *exam) most(partition string) int {
	if l, ok := x.sample.(providers.PartitionLimiter); ok {
		return l.PartitionLimit(partition)
	}
	return x.limits.MaxBatch
}

// mostOf is how many numbers a call like c's may have.
func (x *exam) mostOf(c *Case) (int, error) {
	partition, failure := x.sample.Partition(c.numbers[0], c.Options)
	if failure != nil {
		return 0, fmt.Errorf("a number of %s is refused: %w", c.file, failure)
	}
	return x.most(partition), nil
}

// session is a provider and the upstream that it calls, for calls like those of
// a case.
type session struct {
	c         *Case
	provider  providers.Provider
	transport *http.Transport
	server    *httptest.Server // nil for a provider that calls nobody
}

// open builds the provider of case c against an upstream that answers with h.
func (x *exam) open(c *Case, h http.Handler) (*session, error) {
	s := &session{c: c}
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

// query is the call that the session's case records.
func (s *session) query() (providers.Query, error) { return s.queryOf(s.c.numbers) }

// queryOf is a call like the case's, of other numbers.
func (s *session) queryOf(numbers []providers.Number) (providers.Query, error) {
	partition, failure := s.provider.Partition(numbers[0], s.c.Options)
	if failure != nil {
		return providers.Query{}, fmt.Errorf("a number of %s is refused: %w", s.c.file, failure)
	}
	return providers.Query{Key: s.c.key(), Numbers: numbers, Options: s.c.Options, Partition: partition}, nil
}

// call asks the provider for what the case asks; a reply that is not well formed,
// or a panic, is an error.
func (s *session) call(ctx context.Context) (providers.Reply, error) {
	q, err := s.query()
	if err != nil {
		return providers.Reply{}, err
	}
	return s.ask(ctx, q, ticketOf(1))
}

// ask is call for any query. A deferred one is submitted under ticket and its
// answers fetched.
func (s *session) ask(ctx context.Context, q providers.Query, ticket string) (r providers.Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the provider panicked: %v", p)
		}
	}()
	d, ok := s.provider.(providers.Deferred)
	if !ok || !d.Defers(q) {
		r = s.provider.Call(ctx, q)
		return r, wellFormed(q, r, false)
	}
	if r, err = s.later(ctx, d, q, ticket); err != nil {
		return r, err
	}
	return r, wellFormed(q, r, s.pending())
}

// try is one call of case c against an upstream that answers with h.
func (x *exam) try(ctx context.Context, c *Case, h http.Handler) (providers.Reply, error) {
	s, err := x.open(c, h)
	if err != nil {
		return providers.Reply{}, err
	}
	defer s.close()
	return s.call(ctx)
}

// wantCall is try for each request of each call, which h answers in its place,
// and check of what came of it; the error says which fault it was.
func (x *exam) wantCall(ctx context.Context, fault string, h http.Handler, check func(providers.Reply) error) error {
	return x.eachStep(func(c *Case, at int, step step) error {
		r, err := x.try(ctx, c, c.serve(at, h))
		if err == nil {
			err = check(r)
		}
		if err != nil {
			return fmt.Errorf("%s, %s of %s: %w", c.file, fault, step.name, err)
		}
		return nil
	})
}

// eachStep is do for each request of each call that is answered.
func (x *exam) eachStep(do func(c *Case, at int, step step) error) error {
	for _, c := range x.answering {
		for at, step := range c.steps() {
			if err := do(c, at, step); err != nil {
				return err
			}
		}
	}
	return nil
}
