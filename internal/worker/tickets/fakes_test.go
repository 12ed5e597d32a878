package tickets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 15 * time.Second
	look     = 5 * time.Millisecond
)

// never is a pace at which nothing is asked within a test.
func never() providers.Pace {
	return providers.Pace{PollAfter: time.Hour, PollEvery: time.Hour, GiveUpAfter: 2 * time.Hour, UnknownAfter: time.Hour, Outstanding: 1000}
}

// quick is a pace at which everything happens within a test.
func quick() providers.Pace {
	return providers.Pace{
		PollAfter: 40 * time.Millisecond, PollEvery: 40 * time.Millisecond, GiveUpAfter: 400 * time.Millisecond,
		UnknownAfter: 200 * time.Millisecond, Outstanding: 1000,
	}
}

// upstream is a scripted deferred provider; every worker of a test has the same.
type upstream struct {
	mu sync.Mutex
	// script takes the place of a plain yes.
	script  func(ctx context.Context, q providers.Query, ticket string) providers.Reply
	pace    providers.Pace
	batches map[string]*taken
	// answers are what a Fetch finds, by ticket.
	answers map[string][][]byte
	down    bool
	page    int
	// pages takes the place of what answers say.
	pages func(f providers.Fetch) providers.Page

	submits, fetches, receipts atomic.Int64
}

type taken struct {
	numbers []string
	token   string
}

func newUpstream(pace providers.Pace) *upstream {
	return &upstream{pace: pace, page: 100, batches: make(map[string]*taken), answers: make(map[string][][]byte)}
}

func (u *upstream) Limits() providers.Limits { return providers.Limits{MaxBatch: 5000} }

func (u *upstream) Partition(providers.Number, providers.Options) (string, *providers.Failure) {
	return "", nil
}

func (u *upstream) Defers(q providers.Query) bool { return q.Options["now"] == nil }

func (u *upstream) Pace() providers.Pace { return u.pace }

func (u *upstream) Call(_ context.Context, q providers.Query) providers.Reply {
	return providers.Reply{Outcomes: slices.Repeat([]providers.Outcome{{Kind: providers.Found}}, len(q.Numbers))}
}

func (u *upstream) Submit(ctx context.Context, q providers.Query, ticket, callbackURL string) providers.Reply {
	u.submits.Add(1)
	u.mu.Lock()
	script := u.script
	t := &taken{token: path.Base(callbackURL)}
	for _, n := range q.Numbers {
		t.numbers = append(t.numbers, n.E164)
	}
	u.batches[ticket] = t
	u.mu.Unlock()
	if script == nil {
		return providers.Reply{Outcomes: pending(len(q.Numbers))}
	}
	return script(ctx, q, ticket)
}

func (u *upstream) setScript(s func(ctx context.Context, q providers.Query, ticket string) providers.Reply) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.script = s
}

// forget makes the upstream one that never saw the ticket.
func (u *upstream) forget(ticket string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.batches, ticket)
}

// answer lets a Fetch find answers.
func (u *upstream) answer(ticket string, numbers ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range numbers {
		u.answers[ticket] = append(u.answers[ticket], body("", n, "ok"))
	}
}

func (u *upstream) Fetch(_ context.Context, f providers.Fetch) providers.Page {
	u.fetches.Add(1)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pages != nil {
		return u.pages(f)
	}
	if u.down {
		return providers.Page{Failure: &providers.Failure{Kind: providers.KindUnavailable}}
	}
	all := u.answers[f.Ticket]
	from := min((f.Page-1)*u.page, len(all))
	to := min(from+u.page, len(all))
	return providers.Page{Entries: all[from:to], More: to < len(all), Known: u.batches[f.Ticket] != nil}
}

type fakeReceipt struct {
	Ticket string `json:"ticket"`
	Number string `json:"number"`
	Status string `json:"status"`
}

func body(ticket, number, status string) []byte {
	return fmt.Appendf(nil, `{"ticket":%q,"number":%q,"status":%q}`, ticket, number, status)
}

func (u *upstream) Receipt(b []byte, raw bool) (providers.Receipt, error) {
	u.receipts.Add(1)
	var r fakeReceipt
	if json.Unmarshal(b, &r) != nil || r.Number == "" {
		return providers.Receipt{}, errors.New("no receipt")
	}
	o := providers.Outcome{Kind: providers.Found, Facts: providers.Facts{CallResponse: r.Status}}
	if raw {
		o.Raw = b
	}
	return providers.Receipt{Ticket: r.Ticket, Number: r.Number, Outcome: o}, nil
}

// token is the callback token that the upstream was given for a ticket.
func (u *upstream) token(tb testing.TB, ticket string) string {
	tb.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	require.Contains(tb, u.batches, ticket)
	return u.batches[ticket].token
}

// freely grants every question.
type freely struct{}

func (freely) Acquire(ctx context.Context, _ string) (func(), error) { return func() {}, ctx.Err() }

// fleet is NATS, an upstream and who lives.
type fleet struct {
	t       testing.TB
	nats    *embeddedtest.NATS
	connect func() *nats.Conn
	up      *upstream
	mu      sync.Mutex
	live    map[string]bool
}

func newFleet(tb testing.TB, up *upstream) *fleet {
	tb.Helper()
	f := &fleet{t: tb, nats: embeddedtest.RunNATS(tb), up: up, live: make(map[string]bool)}
	f.connect = f.nats.Connect
	f.ensure()
	return f
}

func (f *fleet) ensure() {
	f.t.Helper()
	js, err := jetstream.New(f.connect())
	require.NoError(f.t, err)
	require.NoError(f.t, jobs.EnsureStreams(f.t.Context(), js, names.Default(), jobs.StreamOptions{}))
}

func (f *fleet) alive(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live[id]
}

func (f *fleet) setAlive(id string, yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[id] = yes
}

// worker is a Desk with a packer that writes down what is delivered.
type worker struct {
	*Desk
	fleet *fleet
	id    string
	nc    *nats.Conn
	js    jetstream.JetStream
	stop  func() // ends Run and waits

	mu   sync.Mutex
	got  map[string]map[string][]batch.Late // by ticket and number
	logs *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *safeBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// start starts a worker; change may alter the Desk before it runs.
func (f *fleet) start(id string, change ...func(*Desk)) *worker {
	f.t.Helper()
	w := &worker{fleet: f, id: id, nc: f.connect(), got: make(map[string]map[string][]batch.Late), logs: &safeBuffer{}}
	var err error
	w.js, err = jetstream.New(w.nc)
	require.NoError(f.t, err)
	c, err := confirm.New(w.nc, confirm.Options{Resend: 50 * time.Millisecond, MaxResend: 200 * time.Millisecond})
	require.NoError(f.t, err)
	f.t.Cleanup(c.Close)
	w.Desk, err = New(Config{
		Names: names.Default(), JS: w.js, Confirm: c, Provider: "nx", Impl: f.up, WorkerID: id, Alive: f.alive,
		CallbackURL: "https://host.example/callbacks/nx", Permits: freely{}, Timeout: time.Second, Log: zerolog.New(w.logs),
		Key: func(name string) (providers.Key, bool) { return providers.Key{Name: name}, name == "main" },
	})
	require.NoError(f.t, err)
	w.adopt = 20 * time.Millisecond
	for _, c := range change {
		c(w.Desk)
	}
	w.Bind(w.deliver)
	f.setAlive(id, true)
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(f.t, <-ended)
	})
	f.t.Cleanup(w.stop)
	require.Eventually(f.t, func() bool { return w.Status().Ready }, patience, look)
	return w
}

// die is what a SIGKILL does: the connection is gone, nothing is said.
func (w *worker) die() {
	w.nc.Close()
	w.fleet.setAlive(w.id, false)
	w.stop()
}

func (w *worker) deliver(ticket string, late []batch.Late) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.got[ticket] == nil {
		w.got[ticket] = make(map[string][]batch.Late)
	}
	for _, l := range late {
		w.got[ticket][l.Number] = append(w.got[ticket][l.Number], l)
	}
}

// late is what was delivered for a number, which is at most one thing.
func (w *worker) late(ticket, number string) (batch.Late, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.got[ticket][number]
	require.LessOrEqual(w.fleet.t, len(all), 1, "delivered twice")
	if len(all) == 0 {
		return batch.Late{}, false
	}
	return all[0], true
}

func (w *worker) delivered(ticket string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.got[ticket] {
		n += len(l)
	}
	return n
}

// awaitLate waits for the outcomes of numbers.
func (w *worker) awaitLate(ticket string, numbers ...string) []batch.Late {
	w.fleet.t.Helper()
	all := make([]batch.Late, len(numbers))
	for i, n := range numbers {
		require.Eventually(w.fleet.t, func() bool {
			l, ok := w.late(ticket, n)
			all[i] = l
			return ok
		}, patience, look, "outcome %d of %d", i, len(numbers))
	}
	return all
}

// call hands numbers in, as the packer does.
func (w *worker) call(numbers ...string) providers.Reply {
	ctx, cancel := context.WithTimeout(w.fleet.t.Context(), patience)
	defer cancel()
	reply := w.Provider().Call(ctx, query(numbers...))
	if reply.Ticket != "" {
		var waiting []string
		for i, o := range reply.Outcomes {
			if o.Kind == providers.Pending {
				waiting = append(waiting, numbers[i])
			}
		}
		w.Parked(reply.Ticket, waiting)
	}
	return reply
}

func query(numbers ...string) providers.Query {
	q := providers.Query{Key: providers.Key{Name: "main"}, Partition: "p"}
	for _, n := range numbers {
		q.Numbers = append(q.Numbers, providers.Number{E164: n})
		q.ShareGroups = append(q.ShareGroups, "acme")
	}
	return q
}

// post sends a receipt to a worker and returns the status.
func (w *worker) post(token string, b []byte) int {
	r := httptest.NewRequestWithContext(w.fleet.t.Context(), http.MethodPost, "/", strings.NewReader(string(b)))
	rec := httptest.NewRecorder()
	w.ServeReceipt(rec, r, token)
	return rec.Code
}

// eventually waits for what the worker's Status says.
func (w *worker) eventually(cond func(Status) bool) {
	w.fleet.t.Helper()
	require.Eventually(w.fleet.t, func() bool { return cond(w.Status()) }, patience, look)
}

// stored is the state of a ticket in the bucket, "" if there is none.
func (w *worker) stored(ticket string) string {
	ctx, cancel := context.WithTimeout(w.fleet.t.Context(), time.Second)
	defer cancel()
	kv, err := w.js.KeyValue(ctx, names.Default().TicketsBucket())
	if err != nil {
		return err.Error()
	}
	record, err := kv.Get(ctx, "nx."+ticket)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	r, err := decodeRecord(record.Value())
	if err != nil {
		return err.Error()
	}
	e, err := kv.Get(ctx, "nx."+ticket+".state")
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return "submitting"
	}
	if err != nil {
		return err.Error()
	}
	s, err := decodeStatus(e.Value(), len(r.Numbers))
	if err != nil {
		return err.Error()
	}
	return s.State
}

func (w *worker) awaitStored(ticket, want string) {
	w.fleet.t.Helper()
	require.Eventually(w.fleet.t, func() bool { return w.stored(ticket) == want }, patience, look)
}

func number(i int) string { return fmt.Sprintf("+86138%08d", i) }

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = number(i)
	}
	return all
}
