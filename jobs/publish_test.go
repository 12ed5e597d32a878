package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
)

func TestJobID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, seed := range []string{"a", "b"} {
		for _, campaign := range []string{"c", "d"} {
			for _, i := range []uint64{0, 1, 999, MaxJobs - 1} {
				id := JobID(seed, campaign, i)
				require.Equal(t, id, JobID(seed, campaign, i))
				require.True(t, names.ValidToken(id), id)
				require.False(t, seen[id])
				seen[id] = true
				got, ok := JobIndex(id)
				require.True(t, ok)
				require.Equal(t, i, got)
			}
		}
	}
	for _, id := range []string{"", "01JD2Z8QK5X7Q0M3W9V6T4R2AB", strings.Repeat("a", 20) + "-00000000x", strings.Repeat("a", 30)} {
		_, ok := JobIndex(id)
		require.False(t, ok, id)
	}
}

func TestDraft(t *testing.T) {
	t.Parallel()
	var d Draft
	for range 2 { // the second round uses the emptied draft
		d.Add([]byte("13800138000"), []byte(`a"b\c`), false)
		d.Add([]byte("１３８"), nil, false)
		d.Add([]byte("\x00tab\t"), []byte("42"), true)
		require.Equal(t, 3, d.Len())
		body := d.Cut("j1", Shared{Region: "CN", Callback: "https://x.example/?a=1&b=2", MaxAge: "24h", ExpiresAt: "2026-11-22T06:00:00Z"})
		require.Zero(t, d.Len())
		require.JSONEq(t, `{"id":"j1","items":[{"number":"13800138000","ref":"a\"b\\c"},{"number":"１３８"},{"number":"\u0000tab\t","ref":42}],
			"region":"CN","callback":{"url":"https://x.example/?a=1&b=2"},"max_age":"24h","expires_at":"2026-11-22T06:00:00Z"}`, string(body))
		job, err := Decode(body)
		require.NoError(t, err, "our own decoder reads it")
		require.Len(t, job.Items, 3)
		require.Empty(t, job.Items[0].Fault)
	}
	d.Add([]byte("1"), nil, false)
	require.JSONEq(t, `{"id":"j2","items":[{"number":"1"}]}`, string(d.Cut("j2", Shared{})))
}

// publishBundle is a server with a jobs stream and a Confirmer.
type publishBundle struct {
	srv     *embeddedtest.NATS
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	confirm *confirm.Confirmer
	lane    names.Lane
}

func newPublishBundle(tb testing.TB, change func(*jetstream.StreamConfig)) publishBundle {
	tb.Helper()
	srv := embeddedtest.RunNATS(tb)
	b := publishBundle{srv: srv, nc: srv.Connect(), lane: names.Lane{Route: "r", Tenant: "acme", Campaign: "c1"}}
	var err error
	b.js, err = jetstream.New(b.nc)
	require.NoError(tb, err)
	cfg := jetstream.StreamConfig{
		Name: names.Default().JobsStream(), Subjects: []string{names.Default().JobsWildcard()}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, Duplicates: 10 * time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	b.stream, err = b.js.CreateStream(tb.Context(), cfg)
	require.NoError(tb, err)
	b.confirm, err = confirm.New(b.nc, confirm.Options{Resend: 50 * time.Millisecond})
	require.NoError(tb, err)
	tb.Cleanup(b.confirm.Close)
	return b
}

func (b publishBundle) publisher(from Checkpoint, inFlight int64) *Publisher {
	return NewPublisher(PublisherConfig{Names: names.Default(), Lane: b.lane, Confirm: b.confirm, InFlight: inFlight}, from)
}

func (b publishBundle) messages(tb testing.TB) uint64 {
	tb.Helper()
	info, err := b.stream.Info(tb.Context())
	require.NoError(tb, err)
	return info.State.Msgs
}

func outgoing(i uint64) Outgoing {
	id := JobID("seed", "c1", i)
	return Outgoing{Index: i, ID: id, Body: fmt.Appendf(nil, `{"id":%q,"items":[{"number":"1"}]}`, id), Mark: fmt.Sprint("m", i)}
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	b := newPublishBundle(t, nil)
	p := b.publisher(Checkpoint{}, 2000) // far less than what is sent
	const n = 3000
	for i := range uint64(n) {
		if i == 7 {
			p.Skip(outgoing(i))
			continue
		}
		require.NoError(t, p.Publish(t.Context(), outgoing(i)))
		cp := p.Checkpoint()
		require.LessOrEqual(t, cp.Published, i+1)
	}
	require.NoError(t, p.Flush(t.Context()))
	require.EqualValues(t, n-1, b.messages(t))
	require.Equal(t, Checkpoint{Published: n, After: n - 1, Mark: fmt.Sprint("m", n-1)}, p.Checkpoint())
	stored, dups := p.Counts()
	require.EqualValues(t, n-1, stored)
	require.Zero(t, dups)

	again := b.publisher(Checkpoint{}, 0)
	for i := range uint64(7) {
		require.NoError(t, again.Publish(t.Context(), outgoing(i)))
	}
	require.NoError(t, again.Flush(t.Context()))
	_, dups = again.Counts()
	require.EqualValues(t, 7, dups, "JetStream knows the ids")
	require.EqualValues(t, n-1, b.messages(t))
}

// What a checkpoint does not count is found in the stream behind its After.
func TestWaitingJobsBehindACheckpoint(t *testing.T) {
	t.Parallel()
	b := newPublishBundle(t, nil)
	store := NewCampaigns(b.nc, names.Default(), "")
	p := b.publisher(Checkpoint{}, 0)
	other := b
	other.lane.Campaign = "c2"
	q := other.publisher(Checkpoint{}, 0)
	var checkpoints []Checkpoint
	for i := range uint64(60) {
		require.NoError(t, p.Publish(t.Context(), outgoing(i)))
		require.NoError(t, q.Publish(t.Context(), outgoing(i)))
		checkpoints = append(checkpoints, p.Checkpoint())
	}
	require.NoError(t, p.Flush(t.Context()))
	checkpoints = append(checkpoints, p.Checkpoint())
	for _, cp := range checkpoints {
		stored := map[uint64]bool{}
		require.NoError(t, store.WaitingJobs(t.Context(), "acme", "c1", cp.After+1, func(id string) {
			i, ok := JobIndex(id)
			require.True(t, ok)
			require.Equal(t, JobID("seed", "c1", i), id)
			stored[i] = true
		}))
		for i := cp.Published; i < 60; i++ {
			require.True(t, stored[i], "job %d behind %+v", i, cp)
		}
	}
	left, err := store.JobsLeft(t.Context(), "acme", "c1")
	require.NoError(t, err)
	require.EqualValues(t, 60, left)
}

// A full stream holds publishing up until there is room; nothing is lost, nothing
// is an error.
func TestPublisherWaitsForRoom(t *testing.T) {
	t.Parallel()
	b := newPublishBundle(t, func(cfg *jetstream.StreamConfig) { cfg.MaxMsgs = 10 })
	p := b.publisher(Checkpoint{}, 0)
	for i := range uint64(25) {
		require.NoError(t, p.Publish(t.Context(), outgoing(i)))
	}
	require.Eventually(t, func() bool {
		return b.confirm.Stats().Refusals > 0 && p.Checkpoint().Published == 10
	}, 10*time.Second, 5*time.Millisecond)
	full, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Flush(full), context.DeadlineExceeded)
	require.EqualValues(t, 10, p.Checkpoint().Published)

	cons, err := b.stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	seen := map[string]int{}
	for len(seen) < 25 {
		batch, err := cons.Fetch(25, jetstream.FetchMaxWait(200*time.Millisecond))
		require.NoError(t, err)
		for m := range batch.Messages() {
			var job struct{ ID string }
			require.NoError(t, json.Unmarshal(m.Data(), &job))
			seen[job.ID]++
			require.NoError(t, m.Ack())
		}
	}
	require.NoError(t, p.Flush(t.Context()))
	require.EqualValues(t, 25, p.Checkpoint().Published)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// A server that restarts in the middle costs time and nothing else.
func TestPublisherOverARestart(t *testing.T) {
	t.Parallel()
	b := newPublishBundle(t, nil)
	p := b.publisher(Checkpoint{}, 4000)
	const n = 2000
	for i := range uint64(n) {
		if i == n/2 {
			b.srv.Restart()
		}
		require.NoError(t, p.Publish(t.Context(), outgoing(i)))
	}
	require.NoError(t, p.Flush(t.Context()))
	require.EqualValues(t, n, b.messages(t))
}

// An error that no resend would mend is reported, and ends everything.
func TestPublisherFinalError(t *testing.T) {
	t.Parallel()
	b := newPublishBundle(t, func(cfg *jetstream.StreamConfig) { cfg.MaxMsgSize = 300 })
	p := b.publisher(Checkpoint{}, 0)
	require.NoError(t, p.Publish(t.Context(), outgoing(0)))
	big := outgoing(1)
	big.Body = make([]byte, 1000)
	require.NoError(t, p.Publish(t.Context(), big))
	require.Error(t, p.Flush(t.Context()))
	require.Error(t, p.Publish(t.Context(), outgoing(2)))
	require.EqualValues(t, 1, p.Checkpoint().Published)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	q := b.publisher(Checkpoint{}, 1)
	require.NoError(t, q.Publish(t.Context(), outgoing(0)))
	err := q.Publish(ended, outgoing(1))
	if err != nil { // the first may have been confirmed by now
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, q.Flush(t.Context()))
}
