package results_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const window = 2 * time.Minute

// rig is a NATS server with the streams that results go to.
type rig struct {
	t       testing.TB
	server  *embeddedtest.NATS
	nc      *nats.Conn
	js      jetstream.JetStream
	confirm *confirm.Confirmer
	names   names.Names
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, server: embeddedtest.RunNATS(t), names: names.Default()}
	r.nc = r.server.Connect()
	var err error
	r.js, err = jetstream.New(r.nc)
	require.NoError(t, err)
	for name, subjects := range map[string]string{
		r.names.ResultsStream(): "lookup.results.*.*", r.names.DeadStream(): "lookup.dead.*.*", r.names.EventsStream(): "lookup.events.>",
	} {
		_, err = r.js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{subjects}, Duplicates: window, AllowDirect: true,
		})
		require.NoError(t, err)
	}
	r.confirm, err = confirm.New(r.nc, confirm.Options{})
	require.NoError(t, err)
	t.Cleanup(r.confirm.Close)
	return r
}

// publish stores parts and waits for all of them.
func (r *rig) publish(msgs ...*nats.Msg) {
	r.t.Helper()
	p := results.NewPublisher(r.confirm, r.names.ResultsStream(), window)
	var wg sync.WaitGroup
	errs := make([]error, len(msgs))
	for i, m := range msgs {
		wg.Add(1)
		require.NoError(r.t, p.Publish(r.t.Context(), m, func(err error) {
			errs[i] = err
			wg.Done()
		}))
	}
	wg.Wait()
	require.NoError(r.t, errors.Join(errs...))
}

// partOf builds a part with the given items of a job of 10.
func (r *rig) partOf(campaign, job string, items ...int) *nats.Msg {
	r.t.Helper()
	var list []results.Settled
	for _, i := range items {
		s, _ := results.Settle(nil, job, &results.Result{
			Index: i, Number: "1", Status: results.StatusOK, Source: results.SourceUpstream, Cost: results.Cost{Amount: "0.002", Currency: "CNY"},
		})
		list = append(list, s)
	}
	info := results.JobInfo{ID: names.Identity{Tenant: "acme", Campaign: campaign, JobID: job}, Route: "r", Items: 10}
	return results.BuildPart(r.names, info, list)
}

func (r *rig) consumers() int {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), r.names.ResultsStream())
	require.NoError(r.t, err)
	return s.CachedInfo().State.Consumers
}

func TestPublishStoresOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.partOf("c", "a", 1, 2)
	r.publish(m, r.partOf("c", "a", 3))
	r.publish(m) // a copy
	s, err := r.js.Stream(t.Context(), r.names.ResultsStream())
	require.NoError(t, err)
	require.EqualValues(t, 2, s.CachedInfo().State.Msgs)
}

func TestPublishIntoAnotherStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := results.NewPublisher(r.confirm, "OTHER_RESULTS", window)
	done := make(chan error, 1)
	require.NoError(t, p.Publish(t.Context(), r.partOf("c", "a", 1), func(err error) { done <- err }))
	require.ErrorContains(t, <-done, "is stored by stream LOOKUP_RESULTS, not by OTHER_RESULTS")
}

// TestPublishGivesUp: half the duplicate window without an answer, no more.
func TestPublishGivesUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := results.NewPublisher(r.confirm, r.names.ResultsStream(), 200*time.Millisecond)
	r.server.Stop()
	done := make(chan error, 1)
	require.NoError(t, p.Publish(t.Context(), r.partOf("c", "a", 1), func(err error) { done <- err }))
	require.ErrorIs(t, <-done, results.ErrUnconfirmed)
	r.server.Start()
}

func letter() results.Letter {
	return results.Letter{
		Reason: results.ReasonMalformed, Lane: names.Lane{Route: "r", Tenant: "acme", Campaign: "c1"},
		Subject: "lookup.jobs.r.bulk.acme.c1", JobID: `odd "id"`, Seq: 42, Body: []byte(`{"not json`),
		Header: nats.Header{
			nats.MsgIdHdr: {"acme.c1.x"}, "Nats-Expected-Stream": {"LOOKUP_JOBS"}, "nats-ttl": {"1s"},
			"traceparent": {"00-1"}, "Lookup-Reason": {"forged"},
		},
		Err: errors.New("unexpected end of JSON\r\ninput"),
	}
}

func TestBury(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := results.NewBurier(r.confirm, r.names, r.nc.MaxPayload())
	for range 2 { // the second is a copy
		done := make(chan error, 1)
		require.NoError(t, b.Bury(t.Context(), letter(), func(err error) { done <- err }))
		require.NoError(t, <-done)
	}
	dead, err := r.js.Stream(t.Context(), r.names.DeadStream())
	require.NoError(t, err)
	require.EqualValues(t, 1, dead.CachedInfo().State.Msgs)
	m, err := dead.GetLastMsgForSubject(t.Context(), "lookup.dead.malformed_job.acme")
	require.NoError(t, err)
	require.JSONEq(t, `"{\"not json"`, fmt.Sprintf("%q", m.Data))
	for _, added := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} {
		delete(m.Header, added) // by the direct get
	}
	require.Equal(t, nats.Header{
		nats.MsgIdHdr: {"dead.42.malformed_job"}, "Lookup-Reason": {"malformed_job"}, "Lookup-Subject": {"lookup.jobs.r.bulk.acme.c1"},
		"Lookup-Error": {"unexpected end of JSON  input"}, "Lookup-Msg-Id": {"acme.c1.x"}, "traceparent": {"00-1"},
	}, m.Header)

	events, err := r.js.Stream(t.Context(), r.names.EventsStream())
	require.NoError(t, err)
	require.EqualValues(t, 1, events.CachedInfo().State.Msgs)
	m, err = events.GetLastMsgForSubject(t.Context(), "lookup.events.acme.c1.job_dead")
	require.NoError(t, err)
	require.JSONEq(t, `{"job_id":"odd \"id\"","stream_seq":42,"reason":"malformed_job","error":"unexpected end of JSON  input"}`, string(m.Data))
}

// TestBuryOversize: what is as large as the server takes must still fit with the
// letter's headers.
func TestBuryOversize(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := results.NewBurier(r.confirm, r.names, r.nc.MaxPayload())
	l := letter()
	l.Body = make([]byte, r.nc.MaxPayload())
	l.Header["X-Large"] = []string{strings.Repeat("x", 600<<10)}
	l.Err = errors.New(strings.Repeat("y", 1<<20))
	done := make(chan error, 1)
	require.NoError(t, b.Bury(t.Context(), l, func(err error) { done <- err }))
	require.NoError(t, <-done)
	dead, err := r.js.Stream(t.Context(), r.names.DeadStream())
	require.NoError(t, err)
	m, err := dead.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Greater(t, len(m.Data), 1000<<10)
	require.Len(t, m.Header.Get("Lookup-Error"), 1<<10)
	require.Empty(t, m.Header.Get("X-Large"))
}

func TestBuryAfterClose(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := results.NewBurier(closedConfirmer{after: 1}, r.names, r.nc.MaxPayload())
	done := make(chan error, 2)
	require.NoError(t, b.Bury(t.Context(), letter(), func(err error) { done <- err }))
	require.ErrorIs(t, <-done, confirm.ErrClosed)
	require.Empty(t, done, "done is called once")
	b = results.NewBurier(closedConfirmer{}, r.names, r.nc.MaxPayload())
	require.ErrorIs(t, b.Bury(t.Context(), letter(), nil), confirm.ErrClosed)
}

// closedConfirmer takes the message with a Nats-Msg-Id of a letter if after is 1,
// and nothing else.
type closedConfirmer struct{ after int }

func (c closedConfirmer) Publish(_ context.Context, m *nats.Msg, _ time.Duration, done func(*jetstream.PubAck, error)) error {
	if c.after == 1 && strings.HasPrefix(m.Subject, "lookup.dead.") {
		done(&jetstream.PubAck{}, nil)
		return nil
	}
	return confirm.ErrClosed
}

func TestTell(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := results.NewBurier(r.confirm, r.names, r.nc.MaxPayload())
	e := results.Event{Tenant: names.SystemTenant, Campaign: "_", Name: results.EventRouteUnserved, Data: []byte(`{}`)}
	require.NoError(t, b.Tell(t.Context(), e, time.Minute))
	require.NoError(t, b.Tell(t.Context(), e, time.Minute), "without an id every copy counts")
	events, err := r.js.Stream(t.Context(), r.names.EventsStream())
	require.NoError(t, err)
	require.EqualValues(t, 2, events.CachedInfo().State.Msgs)
}

func TestReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(r.partOf("c", "a", 0, 1), r.partOf("other", "x", 5), r.partOf("c", "b", 3))
	_, err := r.js.Publish(t.Context(), "lookup.results.acme.c", []byte("no part"))
	require.NoError(t, err)
	reader := results.NewReader(r.js, r.names)

	var got []results.StoredPart
	require.NoError(t, reader.Read(t.Context(), results.ReadOptions{Tenant: "acme", Campaign: "c"}, func(p results.StoredPart) error {
		got = append(got, p)
		return nil
	}))
	require.Len(t, got, 3)
	byJob := map[string]int{}
	for _, p := range got[:2] {
		require.NoError(t, p.Err)
		byJob[p.Part.JobID] = len(p.Part.Results)
	}
	require.Equal(t, map[string]int{"a": 2, "b": 1}, byJob)
	require.ErrorIs(t, got[2].Err, results.ErrNotPart)
	require.Zero(t, got[2].Pending)

	var sum results.Summary
	require.NoError(t, reader.Count(t.Context(), "acme", "c", &sum))
	require.Equal(t, 2, sum.Parts)
	require.Equal(t, 3, sum.Items)
	require.Equal(t, 1, sum.Unreadable)
	require.Equal(t, map[results.Status]int{results.StatusOK: 3}, sum.Counts)
	require.Equal(t, []results.Cost{{Amount: "0.006", Currency: "CNY"}}, sum.Costs.Costs())
	r.publish(r.partOf("c", "b", 4))
	require.NoError(t, reader.Count(t.Context(), "acme", "c", &sum), "goes on where it was")
	require.Equal(t, 4, sum.Items)
	require.NoError(t, reader.Count(t.Context(), "acme", "c", &sum))
	require.Equal(t, 4, sum.Items)
	require.NoError(t, reader.Count(t.Context(), "acme", "none", &results.Summary{}))
	require.Zero(t, r.consumers(), "nothing is left on the stream")
}

func TestReaderWithoutStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reader := results.NewReader(r.js, names.Names{Prefix: "other", StreamPrefix: "OTHER"})
	err := reader.Count(t.Context(), "acme", "c", &results.Summary{})
	require.True(t, results.IsNoStream(err), "%v", err)
}

// TestReaderFollows: parts to come, through a restart of the server, until told to stop.
func TestReaderFollows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reader := results.NewReader(r.js, r.names)
	seen := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reader.Read(ctx, results.ReadOptions{Tenant: "acme", Campaign: "c", Follow: true}, func(p results.StoredPart) error {
			seen <- p.Part.JobID
			return nil
		})
	}()
	r.publish(r.partOf("c", "a", 0))
	require.Equal(t, "a", <-seen)
	r.publish(r.partOf("c", "b", 0))
	require.Equal(t, "b", <-seen)
	r.server.Restart()
	r.publish(r.partOf("c", "d", 0))
	require.Equal(t, "d", <-seen, "nothing missed, nothing twice")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestReaderStopsWhileServerIsAway: the context ends the waiting for a server.
func TestReaderStopsWhileServerIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(r.partOf("c", "a", 0))
	ctx, cancel := context.WithCancel(t.Context())
	reader := results.NewReader(r.js, r.names)
	err := reader.Read(ctx, results.ReadOptions{Tenant: "acme", Campaign: "c", Follow: true}, func(results.StoredPart) error {
		r.server.Stop()
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	r.server.Start()
}

func TestReaderStops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(r.partOf("c", "a", 0), r.partOf("c", "b", 0))
	n := 0
	require.NoError(t, results.NewReader(r.js, r.names).Read(t.Context(), results.ReadOptions{Tenant: "acme", Campaign: "c", HeadersOnly: true},
		func(p results.StoredPart) error {
			require.Nil(t, p.Part)
			n++
			return results.ErrStop
		}))
	require.Equal(t, 1, n)
}

func storedJob(campaign, id string, redelivered bool) results.StoredJob {
	return results.StoredJob{ID: names.Identity{Tenant: "acme", Campaign: campaign, JobID: id}, At: time.Now().Add(-time.Minute), Redelivered: redelivered}
}

func TestStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(r.partOf("c", "a", 0, 1), r.partOf("c", "a", 7), r.partOf("c", "b", 3), r.partOf("d", "a", 9))
	s := results.NewStored(r.js, r.names)
	bitmap := func(items ...int) (b results.Bitmap) {
		for _, i := range items {
			b.Set(i)
		}
		return b
	}
	got, err := s.Items(t.Context(), []results.StoredJob{
		storedJob("c", "a", true), storedJob("c", "none", true), storedJob("d", "a", false), storedJob("empty", "a", false), storedJob("c", "b", false),
	})
	require.NoError(t, err)
	require.Equal(t, []results.Bitmap{bitmap(0, 1, 7), nil, bitmap(9), nil, bitmap(3)}, got)

	// What is stored later is seen at once by a job that was delivered before.
	r.publish(r.partOf("c", "none", 2))
	got, err = s.Items(t.Context(), []results.StoredJob{storedJob("c", "none", true)})
	require.NoError(t, err)
	require.Equal(t, []results.Bitmap{bitmap(2)}, got)
	// An older job makes the list anew, further back.
	old := storedJob("c", "a", true)
	old.At = old.At.Add(-24 * time.Hour)
	got, err = s.Items(t.Context(), []results.StoredJob{old})
	require.NoError(t, err)
	require.Equal(t, []results.Bitmap{bitmap(0, 1, 7)}, got)
	require.Zero(t, r.consumers())
}

// publishMany stores a part of one item for each of n jobs.
func (r *rig) publishMany(n int) {
	r.t.Helper()
	const batch = 2000
	for done := 0; done < n; done += batch {
		msgs := make([]*nats.Msg, batch)
		for i := range msgs {
			msgs[i] = r.partOf("c", fmt.Sprintf("job%d", done+i), 0)
		}
		r.publish(msgs...)
	}
}

// TestStoredManyParts: more parts than one window, and more than are remembered.
func TestStoredManyParts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const parts = 10_000
	r.publishMany(parts)
	jobs := []results.StoredJob{storedJob("c", "job0", true), storedJob("c", "job9999", true), storedJob("c", "job10000", true)}
	for _, limit := range []int{parts, parts - 1, 1000} {
		s := results.NewStored(r.js, r.names)
		s.Limit(limit)
		for range 2 {
			got, err := s.Items(t.Context(), jobs)
			require.NoError(t, err)
			require.Len(t, got, 3)
			require.True(t, got[0].Has(0))
			require.True(t, got[1].Has(0))
			require.Nil(t, got[2])
		}
		if limit < parts {
			require.Zero(t, s.Remembered())
		} else {
			require.LessOrEqual(t, s.Remembered(), 2*16*parts)
		}
	}
}

// TestStoredForgets: the campaign asked least recently goes first.
func TestStoredForgets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := results.NewStored(r.js, r.names)
	for i, campaign := range []string{"a", "b", "c"} {
		r.publish(r.partOf(campaign, "x", 0), r.partOf(campaign, "y", 0))
		if i == 2 {
			s.LimitAll(4)
		}
		_, err := s.Items(t.Context(), []results.StoredJob{storedJob(campaign, "x", true)})
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []string{"b", "c"}, s.Campaigns())
	got, err := s.Items(t.Context(), []results.StoredJob{storedJob("a", "y", true)})
	require.NoError(t, err)
	require.True(t, got[0].Has(0), "it is read again")
}

// BenchmarkStored is the first look at a campaign of 100,000 parts, and a later one.
func BenchmarkStored(b *testing.B) {
	r := newRig(b)
	r.publishMany(100_000)
	jobs := []results.StoredJob{storedJob("c", "job0", true), storedJob("c", "job99999", true)}
	for b.Loop() {
		s := results.NewStored(r.js, r.names)
		_, err := s.Items(b.Context(), jobs)
		require.NoError(b, err)
		began := time.Now()
		_, err = s.Items(b.Context(), jobs)
		require.NoError(b, err)
		b.ReportMetric(float64(time.Since(began).Microseconds()), "later-µs")
		b.ReportMetric(float64(s.Remembered())/100_000, "B/part")
	}
}
