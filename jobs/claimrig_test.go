package jobs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
)

// rig is a real nats-server in this process with the jobs stream.
type rig struct {
	*embeddedtest.NATS
	tb testing.TB
	nc *nats.Conn
	js jetstream.JetStream
	n  names.Names
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{NATS: embeddedtest.RunNATS(tb), tb: tb, n: names.Default()}
	r.nc, r.js = r.connect()
	_, err := r.js.CreateStream(tb.Context(), jetstream.StreamConfig{
		Name: r.n.JobsStream(), Subjects: []string{r.n.JobsWildcard()}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, Duplicates: 10 * time.Minute, MaxConsumers: 100_000,
		RePublish: &jetstream.RePublish{Source: r.n.JobsWildcard(), Destination: r.n.WakeWildcard(), HeadersOnly: true},
	})
	require.NoError(tb, err)
	return r
}

func (r *rig) connect() (*nats.Conn, jetstream.JetStream) {
	r.tb.Helper()
	nc := r.Connect()
	js, err := jetstream.New(nc)
	require.NoError(r.tb, err)
	return nc, js
}

func testLane(tenant, campaign string) names.Lane {
	return names.Lane{Route: "r", Priority: names.Normal, Tenant: tenant, Campaign: campaign}
}

// body is a job of so many items.
func body(id string, items int) []byte {
	b := fmt.Appendf(nil, `{"id":%q,"items":[`, id)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"number":"138%08d"}`, i)
	}
	return append(b, "]}"...)
}

// publish stores jobs named prefix-0… of so many items on the lane.
func (r *rig) publish(l names.Lane, prefix string, jobs, items int) {
	r.tb.Helper()
	r.publishSubject(r.n.JobsSubject(l), prefix, jobs, items)
}

func (r *rig) publishSubject(subject, prefix string, jobs, items int) {
	r.tb.Helper()
	acks := make([]jetstream.PubAckFuture, 0, jobs)
	for i := range jobs {
		id := fmt.Sprintf("%s-%d", prefix, i)
		m := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: body(id, items)}
		m.Header.Set(jetstream.MsgIDHeader, subject+"."+id)
		ack, err := r.js.PublishMsgAsync(m, jetstream.WithStallWait(5*time.Second))
		require.NoError(r.tb, err)
		acks = append(acks, ack)
	}
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			require.NoError(r.tb, err)
		}
	}
}

// left is how many jobs the stream holds.
func (r *rig) left() uint64 {
	r.tb.Helper()
	s, err := r.js.Stream(r.tb.Context(), r.n.JobsStream())
	require.NoError(r.tb, err)
	return s.CachedInfo().State.Msgs
}

// demand is a Demand with a room that, if counted, shrinks by what is given out;
// the test makes it larger again.
type demand struct {
	routes  []string
	room    atomic.Int64
	counted bool
	quantum int
	weights map[string]int
	paused  sync.Map // names.Lane
}

func newDemand(room int) *demand {
	d := &demand{routes: []string{"r"}, quantum: 1000}
	d.room.Store(int64(room))
	return d
}

func (d *demand) Routes() []string                     { return d.routes }
func (d *demand) Room(string, names.Priority) int      { return int(d.room.Load()) }
func (d *demand) Quantum(string) int                   { return d.quantum }
func (d *demand) Priority(l names.Lane) names.Priority { return l.Priority }
func (d *demand) Weight(tenant string) int             { return d.weights[tenant] }
func (d *demand) Paused(l names.Lane) bool             { _, ok := d.paused.Load(l); return ok }

// claiming is a running Claimer; what it hands out arrives on jobs.
type claiming struct {
	*Claimer
	r       *rig
	jobs    chan *Held
	confirm *confirm.Confirmer
	stop    func() // ends it, within a second for acks to be confirmed
}

// claim starts a Claimer with a connection of its own.
func (r *rig) claim(cfg Config, d *demand) *claiming {
	r.tb.Helper()
	nc, js := r.connect()
	conf := newTestConfirmer(r.tb, nc)
	cfg.Names, cfg.Demand, cfg.Confirm, cfg.Log = r.n, d, conf, zerolog.Nop()
	c := &claiming{Claimer: NewClaimer(nc, js, cfg), r: r, jobs: make(chan *Held, 200_000), confirm: conf}
	stop := startRun(r.tb, c.Claimer, func(batch []*Held) {
		for _, h := range batch {
			if d.counted {
				d.room.Add(-int64(h.Items))
			}
			c.jobs <- h
		}
	})
	c.stop = sync.OnceFunc(stop)
	r.tb.Cleanup(c.stop)
	return c
}

// startRun runs c until the function returned is called, which also closes it.
func startRun(tb testing.TB, c *Claimer, out func([]*Held)) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, out) }()
	return func() {
		cancel()
		require.NoError(tb, <-ended)
		closing, end := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Second)
		defer end()
		_ = c.Close(closing)
	}
}

func newTestConfirmer(tb testing.TB, nc *nats.Conn) *confirm.Confirmer {
	tb.Helper()
	conf, err := confirm.New(nc, confirm.Options{Resend: 100 * time.Millisecond})
	require.NoError(tb, err)
	tb.Cleanup(conf.Close)
	return conf
}

const patience = 15 * time.Second

// next waits for a job.
func (c *claiming) next() *Held {
	c.r.tb.Helper()
	select {
	case h := <-c.jobs:
		return h
	case <-time.After(patience):
		require.FailNow(c.r.tb, "no job came", "%+v", c.Status())
		panic("unreachable")
	}
}

// none checks that no job comes for d.
func (c *claiming) none(d time.Duration) {
	c.r.tb.Helper()
	select {
	case h := <-c.jobs:
		require.Fail(c.r.tb, "a job came that should not", "%s seq %d", h.Subject, h.Seq)
	case <-time.After(d):
	}
}

// ack acknowledges and waits for the confirmation.
func (c *claiming) ack(h *Held) {
	c.r.tb.Helper()
	done := make(chan error, 1)
	h.Ack(func(err error) { done <- err })
	select {
	case err := <-done:
		require.NoError(c.r.tb, err)
	case <-time.After(patience):
		require.FailNow(c.r.tb, "ack was not confirmed")
	}
}

// eventually waits until ok holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	require.Eventually(tb, ok, patience, 2*time.Millisecond, what)
}
