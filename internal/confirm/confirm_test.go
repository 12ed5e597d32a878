package confirm

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
)

type published struct {
	ack *jetstream.PubAck
	err error
}

func message(subject, id string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header.Set(jetstream.MsgIDHeader, id)
	m.Data = []byte(id)
	return m
}

func createStream(tb testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	tb.Helper()
	s, err := js.CreateStream(tb.Context(), cfg)
	require.NoError(tb, err)
	return s
}

func TestPublishIsConfirmedAndDeduplicated(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, embeddedtest.RunNATS(t))
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	c := newConfirmer(t, nc, Options{})
	got := make(results[published], 1)
	done := func(a *jetstream.PubAck, err error) { got <- published{a, err} }

	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, done))
	require.Equal(t, published{ack: &jetstream.PubAck{Stream: "S", Sequence: 1}}, got.next(t))
	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, done))
	require.Equal(t, published{ack: &jetstream.PubAck{Stream: "S", Sequence: 1, Duplicate: true}}, got.next(t))
	require.Zero(t, c.Stats().Publishes)
}

func TestAckRemovesTheMessage(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, embeddedtest.RunNATS(t))
	s := createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Retention: jetstream.WorkQueuePolicy})
	cons, err := s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "d", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s.a", []byte("x"))
	require.NoError(t, err)
	m, err := cons.Next()
	require.NoError(t, err)

	c := newConfirmer(t, nc, Options{})
	got := make(results[error], 1)
	require.NoError(t, c.Ack(m.Reply(), func(err error) { got <- err }))
	require.NoError(t, got.next(t))
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs)
}

func TestFinalErrorsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, embeddedtest.RunNATS(t))
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgSize: 10_000})
	c := newConfirmer(t, nc, Options{})
	got := make(results[published], 1)
	done := func(a *jetstream.PubAck, err error) { got <- published{a, err} }

	wrongSeq := message("s.a", "1")
	wrongSeq.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "7")
	large := message("s.a", "2")
	large.Data = make([]byte, 20_000)
	for code, m := range map[jetstream.ErrorCode]*nats.Msg{jetstream.JSErrCodeStreamWrongLastSequence: wrongSeq, 10054: large} {
		require.NoError(t, c.Publish(t.Context(), m, 0, done))
		var api *jetstream.APIError
		require.ErrorAs(t, got.next(t).err, &api)
		require.Equal(t, code, api.ErrorCode)
	}

	// Larger than the connection takes: refused before it is sent, done stays silent.
	large.Data = make([]byte, 2<<20)
	require.ErrorIs(t, c.Publish(t.Context(), large, 0, done), nats.ErrMaxPayload)
	require.Zero(t, c.Stats().Publishes)
	require.Empty(t, got)
}

func TestAFullStreamIsBackPressure(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, embeddedtest.RunNATS(t))
	s := createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	c := newConfirmer(t, nc, Options{Resend: 20 * time.Millisecond, MaxResend: 100 * time.Millisecond})
	got := make(results[published], 2)
	done := func(a *jetstream.PubAck, err error) { got <- published{a, err} }
	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, done))
	require.NoError(t, got.next(t).err)

	require.NoError(t, c.Publish(t.Context(), message("s.a", "2"), 300*time.Millisecond, done))
	err := got.next(t).err
	require.ErrorIs(t, err, ErrUnconfirmed)
	require.ErrorContains(t, err, "maximum messages exceeded")
	require.Positive(t, c.Stats().Refusals)

	require.NoError(t, c.Publish(t.Context(), message("s.a", "3"), 0, done))
	require.NoError(t, s.Purge(t.Context()))
	require.NoError(t, got.next(t).err)
}

func TestNoStreamYetIsResent(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, embeddedtest.RunNATS(t))
	c := newConfirmer(t, nc, Options{Resend: 10 * time.Millisecond, MaxResend: 50 * time.Millisecond})
	got := make(results[published], 1)
	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, func(a *jetstream.PubAck, err error) { got <- published{a, err} }))
	require.Eventually(t, func() bool { return c.Stats().Refusals > 0 }, 5*time.Second, time.Millisecond)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, got.next(t).err)
}

func TestSilenceIsResent(t *testing.T) {
	t.Parallel()
	nc, _ := connect(t, embeddedtest.RunNATS(t))
	c := newConfirmer(t, nc, Options{Resend: 20 * time.Millisecond})
	var seen atomic.Int32
	sub, err := nc.Subscribe("ack.1", func(m *nats.Msg) {
		if seen.Add(1) == 3 { // the first two copies are lost
			_ = m.Respond(nil)
			_ = m.Respond(nil) // a second answer must not count for anybody
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	got := make(results[error], 2)
	require.NoError(t, c.Ack("ack.1", func(err error) { got <- err }))
	require.NoError(t, got.next(t))
	require.GreaterOrEqual(t, c.Stats().Resends, uint64(2))
	require.Zero(t, c.Stats().Acks)
}

func TestWindowBlocksUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	nc, _ := connect(t, embeddedtest.RunNATS(t))
	c := newConfirmer(t, nc, Options{Window: 1})
	sub, err := nc.SubscribeSync("s.a") // swallows
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, func(*jetstream.PubAck, error) {}))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err = c.Publish(ctx, message("s.a", "2"), 0, func(*jetstream.PubAck, error) { t.Error("done of a message not sent") })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, c.Ack("s.a", nil), "acks do not count")
}

func TestCloseAnswersWhatIsOutstanding(t *testing.T) {
	t.Parallel()
	nc, _ := connect(t, embeddedtest.RunNATS(t))
	c, err := New(nc, Options{Window: 2})
	require.NoError(t, err)
	sub, err := nc.SubscribeSync("s.a") // swallows
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	got := make(results[error], 3)
	done := func(_ *jetstream.PubAck, err error) { got <- err }
	require.NoError(t, c.Publish(t.Context(), message("s.a", "1"), 0, done))
	require.NoError(t, c.Publish(t.Context(), message("s.a", "2"), 0, done))
	blocked := make(results[error], 1)
	go func() { blocked <- c.Publish(t.Context(), message("s.a", "3"), 0, done) }()
	c.Close()
	require.ErrorIs(t, got.next(t), ErrClosed)
	require.ErrorIs(t, got.next(t), ErrClosed)
	// The third either found the window full and heard of the end there, or came too late.
	require.ErrorIs(t, blocked.next(t), ErrClosed)
	require.ErrorIs(t, c.Ack("s.a", nil), ErrClosed)
}

// The server goes away and comes back twice while messages flow: each is stored
// once and reported once.
func TestServerRestartUnderLoad(t *testing.T) {
	t.Parallel()
	srv := embeddedtest.RunNATS(t)
	nc, js := connect(t, srv)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Duplicates: time.Minute})
	c := newConfirmer(t, nc, Options{Window: 256, Resend: 50 * time.Millisecond, MaxResend: 200 * time.Millisecond})

	const total = 20_000
	got := make(results[published], total)
	sent := make(results[error], 1)
	go func() {
		for i := range total {
			err := c.Publish(t.Context(), message("s.a", strconv.Itoa(i)), 0, func(a *jetstream.PubAck, err error) { got <- published{a, err} })
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	seqs := make(map[uint64]bool, total)
	for i := range total {
		if i == total/4 || i == total/2 {
			srv.Restart()
		}
		p := got.next(t)
		require.NoError(t, p.err)
		require.False(t, seqs[p.ack.Sequence], "two messages under one sequence")
		seqs[p.ack.Sequence] = true
	}
	require.NoError(t, sent.next(t))
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.EqualValues(t, total, s.CachedInfo().State.Msgs)
}

// A server that takes longer than Resend for each message, because it syncs,
// is not sent everything twice.
func TestSlowServerIsNotFlooded(t *testing.T) {
	t.Parallel()
	nc, _ := connect(t, embeddedtest.RunNATS(t))
	c := newConfirmer(t, nc, Options{Window: 64, Resend: 20 * time.Millisecond})
	const total = 600
	sub, err := nc.Subscribe("s.slow", func(m *nats.Msg) {
		<-time.After(time.Millisecond) // one at a time, so a full window takes 64 ms
		_ = m.Respond([]byte(`{"stream":"S","seq":1}`))
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	got := make(results[error], total)
	for i := range total {
		require.NoError(t, c.Publish(t.Context(), message("s.slow", strconv.Itoa(i)), 0, func(_ *jetstream.PubAck, err error) { got <- err }))
	}
	for range total {
		require.NoError(t, got.next(t))
	}
	// Resending each at 20, 40 and 60 ms would make it 1,800.
	require.Less(t, c.Stats().Resends, uint64(total))
}

func TestPubAckForms(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]published{
		`{"stream":"S","seq":5}`:                   {ack: &jetstream.PubAck{Stream: "S", Sequence: 5}},
		`{"stream":"S","seq":5,"duplicate": true}`: {ack: &jetstream.PubAck{Stream: "S", Sequence: 5, Duplicate: true}},
		`{"stream":"S","domain":"D","seq":6}`:      {ack: &jetstream.PubAck{Stream: "S", Sequence: 6, Domain: "D"}},
		`{"seq":5,"stream":"S"}`:                   {ack: &jetstream.PubAck{Stream: "S", Sequence: 5}},
	} {
		var c Confirmer
		ack, err := c.read(&entry{kind: kindPublish}, &nats.Msg{Data: []byte(in)})
		require.NoError(t, err, in)
		require.Equal(t, want.ack, ack, in)
	}
	for _, in := range []string{
		``, `{}`, `OK`, `{"stream":"S","seq":}`, `{"stream":"S"}`, `null`,
		`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`,
		`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`,
		`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"}}`,
		`{"error":{"code":400,"err_code":10002,"description":"resource limits exceeded for account"}}`,
	} {
		var c Confirmer
		_, err := c.read(&entry{kind: kindPublish}, &nats.Msg{Data: []byte(in)})
		var refused *refusedError
		require.ErrorAs(t, err, &refused, in)
	}
	for _, in := range []string{
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"}}`,
		`{"error":{"code":503,"err_code":10077,"description":"message too large"}}`,
	} {
		var c Confirmer
		_, err := c.read(&entry{kind: kindPublish}, &nats.Msg{Data: []byte(in)})
		var api *jetstream.APIError
		require.ErrorAs(t, err, &api, in)
	}
}

func TestTableTokensNameOneEntry(t *testing.T) {
	t.Parallel()
	var tab table
	a, b := &entry{}, &entry{kind: kindPublish}
	ta, tb := tab.add(a, ""), tab.add(b, "")
	require.Same(t, a, tab.find(ta))
	require.Same(t, b, tab.find(tb))
	require.True(t, tab.remove(a))
	require.False(t, tab.remove(a))
	require.Nil(t, tab.find(ta))
	again := &entry{}
	require.NotEqual(t, ta, tab.add(again, ""), "a slot used again has another token")
	require.Nil(t, tab.find(ta))
	for _, bad := range []string{"", "zzzzzzzzzzzzzzz", "!", "zz"} {
		require.Nil(t, tab.find(bad), bad)
	}
	require.Len(t, tab.drain(), 2)
	require.Equal(t, [kinds]int{}, tab.count)
}

func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	err := unconfirmed(&entry{subject: "s.a", refusal: "maximum bytes exceeded"})
	require.ErrorIs(t, err, ErrUnconfirmed)
	require.Equal(t, "no confirmation from JetStream for a message on s.a; last refusal: maximum bytes exceeded", fmt.Sprint(err))
}
