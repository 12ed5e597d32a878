package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
)

func TestReleaseHandsBackAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := testLane("acme", "c1")
	r.publish(l, "j", 1, 1)
	c := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(100))
	first := c.next()
	first.Release()
	first.Release() // the second does nothing
	second := c.next()
	require.Equal(t, first.Seq, second.Seq)
	require.EqualValues(t, 2, second.Delivered)
	require.NotSame(t, first, second)

	err := make(chan error, 1)
	first.Ack(func(e error) { err <- e })
	require.ErrorIs(t, <-err, ErrNotHeld)
	require.EqualValues(t, 1, r.left(), "the ack of a job handed back must not count")
	c.ack(second)
}

func TestStopHandsBackAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 200, 1)
	d := newDemand(100)
	d.counted = true
	a := r.claim(Config{}, d)
	held := map[uint64]bool{}
	for range 100 {
		held[a.next().Seq] = true
	}
	b := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(1000))
	for range 100 {
		h := b.next()
		require.False(t, held[h.Seq], "given to two workers")
		b.ack(h)
	}
	b.none(100 * time.Millisecond)
	start := time.Now()
	a.stop()
	for range 100 {
		h := b.next()
		require.True(t, held[h.Seq])
		require.EqualValues(t, 2, h.Delivered)
		b.ack(h)
	}
	require.Less(t, time.Since(start), 5*time.Second, "not AckWait")
	require.Zero(t, r.left())
}

// Nothing is left in the air when a worker stops while jobs stream in.
func TestStopUnderLoadStrandsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 3000, 1)
	b := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(0))
	for range 5 {
		a := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(1_000_000))
		for range 100 {
			a.next()
		}
		a.stop()
	}
	b.cfg.Demand.(*demand).room.Store(1_000_000) //nolint:forcetypeassert // set above
	b.Wake()
	start := time.Now()
	for range 3000 {
		b.next().Ack(nil)
	}
	require.Less(t, time.Since(start), 10*time.Second, "not AckWait")
}

func TestDropTellsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 1, 1)
	c := r.claim(Config{AckWait: time.Second, Poll: 50 * time.Millisecond}, newDemand(100))
	first := c.next()
	first.Drop()
	require.Zero(t, c.Status().Held)
	second := c.next() // no heartbeats any more, so it comes back after AckWait
	require.Equal(t, first.Seq, second.Seq)
	require.EqualValues(t, 2, second.Delivered)
	c.ack(second)
}

func TestHeartbeatsKeepJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 50, 1)
	c := r.claim(Config{AckWait: 3 * time.Second, Poll: 50 * time.Millisecond}, newDemand(1000))
	var held []*Held
	for range 50 {
		held = append(held, c.next())
	}
	c.none(4500 * time.Millisecond)
	require.Zero(t, c.Status().Redeliveries)
	for _, h := range held {
		require.True(t, h.Fresh())
		c.ack(h)
	}
}

// Heartbeats go on after Run, while calls in flight are finished.
func TestHeartbeatsGoOnAfterRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 1, 1)
	nc, js := r.connect()
	c := NewClaimer(nc, js, Config{
		Names: r.n, Demand: newDemand(10), AckWait: 3 * time.Second,
		Confirm: newTestConfirmer(t, nc),
	})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan *Held, 1)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, func(b []*Held) { got <- b[0] }) }()
	h := <-got
	cancel()
	require.NoError(t, <-ended)
	other := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(10))
	other.none(4500 * time.Millisecond)
	require.True(t, h.Fresh())
	done := make(chan error, 1)
	h.Ack(func(err error) { done <- err })
	require.NoError(t, c.Close(t.Context()))
	require.NoError(t, <-done)
	require.Zero(t, r.left())
}

// A worker whose heartbeats do not arrive knows that its jobs may be another's,
// and does not believe otherwise when they arrive again.
func TestStalledHeartbeatsMakeJobsStale(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 1, 1)
	c := r.claim(Config{AckWait: 2 * time.Second, Poll: 50 * time.Millisecond}, newDemand(100))
	h := c.next()
	require.True(t, h.Fresh())
	r.Stop()
	eventually(t, "stale without heartbeats", func() bool { return !h.Fresh() })
	r.Start()
	eventually(t, "heartbeats again", func() bool { return time.Duration(c.now()-h.beat.Load()) < time.Second })
	require.False(t, h.Fresh(), "a later heartbeat must not hide the gap")
	h.Reclaimed(time.Now())
	require.True(t, h.Fresh())
	c.ack(h)
}

// A job that is held and comes again, after a restart of the server or because
// heartbeats were late, is not handed out again.
func TestRedeliveryOfAHeldJobIsSwallowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := testLane("acme", "c1")
	r.publish(l, "j", 10, 1)
	c := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(100))
	var held []*Held
	for range 10 {
		held = append(held, c.next())
	}
	// The durable is deleted: a new one delivers everything at once, as never before.
	require.NoError(t, r.js.DeleteConsumer(t.Context(), r.n.JobsStream(), l.Durable()))
	r.publish(l, "k", 1, 1)
	k := c.next()
	require.Equal(t, "k-0", jobID(k), "only the new job comes")
	eventually(t, "redeliveries are taken", func() bool { return c.Status().Redeliveries >= 10 })
	for _, h := range append(held, k) {
		c.ack(h)
	}
	require.Zero(t, r.left())
}

// The durable vanishes while acks are on their way: they are confirmed all the
// same, by way of a new one, though nothing else is pulled.
func TestAcksSurviveTheEndOfTheDurable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := testLane("acme", "c1")
	r.publish(l, "j", 30, 1)
	d := newDemand(30)
	d.counted = true
	c := r.claim(Config{Poll: 50 * time.Millisecond}, d)
	var held []*Held
	for range 30 {
		held = append(held, c.next())
	}
	require.NoError(t, r.js.DeleteConsumer(t.Context(), r.n.JobsStream(), l.Durable()))
	done := make(chan error, len(held))
	for _, h := range held {
		h.Ack(func(err error) { done <- err })
	}
	for range held {
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "ack was not confirmed")
		}
	}
	require.Zero(t, r.left())
	c.none(100 * time.Millisecond)
}

func TestCloseTellsOfUnconfirmedAcks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 1, 1)
	c := r.claim(Config{}, newDemand(10))
	h := c.next()
	r.Stop()
	h.Ack(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Close(ctx), context.DeadlineExceeded)
	r.Start()
}

func TestHeldTable(t *testing.T) {
	t.Parallel()
	table := newHeldTable()
	l := &lane{class: &class{}}
	at := time.Unix(1, 0)
	a := &Held{Seq: 7, Stored: at, lane: l, reply: "r1"}
	require.True(t, table.add(a))
	require.False(t, table.add(&Held{Seq: 7, Stored: at, lane: l, reply: "r2"}))
	require.Equal(t, "r2", a.reply, "acks go to the newest delivery")
	// The stream was deleted and made anew: the same sequence is another job.
	b := &Held{Seq: 7, Stored: at.Add(time.Second), lane: l, reply: "r3"}
	require.True(t, table.add(b))
	require.EqualValues(t, 1, l.held.Load())
	_, ok := table.acking(a, 1)
	require.False(t, ok)
	reply, ok := table.acking(b, 1)
	require.True(t, ok)
	require.Equal(t, "r3", reply)
	_, ok = table.acking(b, 2)
	require.False(t, ok, "acknowledged once")
	_, ok = table.forget(b)
	require.False(t, ok, "not handed back while acknowledged")
	require.True(t, table.overdue(2)[l])
	table.settled(b, true)
	require.NoError(t, table.wait(t.Context()))
	require.Zero(t, table.len())
	require.Zero(t, l.held.Load())
	require.Zero(t, l.class.held.Load())
}

func jobID(h *Held) string {
	id := h.Header.Get(jetstream.MsgIDHeader)
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '.' {
			return id[i+1:]
		}
	}
	return id
}

func TestOrphanLanes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	foreign := names.Lane{Route: "other", Priority: names.High, Tenant: "acme", Campaign: "_"}
	unserved := names.Lane{Route: "nowhere", Priority: names.Bulk, Tenant: "acme", Campaign: "c1"}
	r.publish(foreign, "f", 2, 1)
	r.publish(unserved, "u", 2, 1)
	type told struct {
		lane names.Lane
		age  time.Duration
	}
	orphans := make(chan told, 10)
	c := r.claim(Config{
		Poll: 50 * time.Millisecond, Served: func(route string) bool { return route == "other" },
		Orphan: func(l names.Lane, age time.Duration) { orphans <- told{l, age} }, OrphanAfter: 300 * time.Millisecond, UnservedAfter: 800 * time.Millisecond,
	}, newDemand(100))
	o := <-orphans
	require.Equal(t, unserved, o.lane)
	require.GreaterOrEqual(t, o.age, 300*time.Millisecond)
	require.Empty(t, c.jobs, "not yet claimed")
	for range 2 {
		h := c.next()
		require.Equal(t, unserved, h.Lane)
		require.Equal(t, UnknownRoute, h.Problem)
		c.ack(h)
	}
	c.none(200 * time.Millisecond)
	require.Empty(t, orphans, "told once")
	require.EqualValues(t, 2, r.left(), "the other worker's jobs are left alone")
}

// A job under a subject that names no lane is handed out, to be made dead.
func TestBadSubject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	subjects := []string{"lookup.jobs.r.urgent.acme.c1", "lookup.jobs.r", "lookup.jobs.r.high._bad.c1", "lookup.jobs.r.high.acme.c1.more"}
	for _, s := range subjects {
		r.publishSubject(s, "j", 1, 1)
	}
	c := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(100))
	var got []string
	for range subjects {
		h := c.next()
		require.Equal(t, BadSubject, h.Problem)
		require.Zero(t, h.Lane)
		got = append(got, h.Subject)
		c.ack(h)
	}
	require.ElementsMatch(t, subjects, got)
}

// Jobs that another worker holds for long make a lane look stranded; they are
// left where they are.
func TestJobsHeldElsewhereAreNotStranded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(testLane("acme", "c1"), "j", 5, 1)
	a := r.claim(Config{Poll: 50 * time.Millisecond}, newDemand(100))
	var held []*Held
	for range 5 {
		held = append(held, a.next())
	}
	b := r.claim(Config{Poll: 50 * time.Millisecond, stranded: 200 * time.Millisecond}, newDemand(100))
	b.none(1500 * time.Millisecond)
	for _, h := range held {
		a.ack(h)
	}
	require.Zero(t, r.left())
	require.Zero(t, a.Status().Redeliveries)
}
