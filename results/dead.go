package results

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// The headers of a dead letter (contract section 1).
const (
	HeaderReason  = "Lookup-Reason"
	HeaderSubject = "Lookup-Subject"
	HeaderError   = "Lookup-Error"
	// headerMsgID keeps the message id that the job came with: the letter needs one
	// of its own.
	headerMsgID = "Lookup-Msg-Id"
)

// Reason is why a job is dead; it is a token of the dead letter's subject.
type Reason string

// The reasons.
const (
	ReasonMalformed     Reason = "malformed_job"
	ReasonTooManyItems  Reason = "too_many_items"
	ReasonIDReused      Reason = "id_reused"
	ReasonUnknownTenant Reason = "unknown_tenant"
	ReasonUnknownRoute  Reason = "unknown_route"
	ReasonClosed        Reason = "campaign_closed"
	ReasonCrashLoop     Reason = "crash_loop"
)

const (
	// maxErrorText bounds the text of an error in a header or an event.
	maxErrorText = 1 << 10
	// headerRoom is left for the protocol's own bytes around headers.
	headerRoom = 1 << 10
)

// Letter is a job that could not be processed, as received.
type Letter struct {
	Reason Reason
	// Lane is what the job's subject says, Subject the subject itself.
	Lane    names.Lane
	Subject string
	// JobID is empty if the job has none that can be read.
	JobID  string
	Header nats.Header
	Body   []byte
	// Seq is the job's sequence in the jobs stream, which tells it from all others.
	Seq uint64
	// Err is for the operator; its text holds no number and no secret.
	Err error
}

// BuildDead makes the message for the dead stream: the job as received, without
// the headers that steer JetStream, cut so that it fits into maxPayload bytes.
func BuildDead(n names.Names, l Letter, maxPayload int) *nats.Msg {
	h := make(nats.Header, len(l.Header)+5)
	size := headerRoom
	set := func(key, value string) {
		if value != "" && size+len(key)+len(value) < maxPayload/2 {
			h.Set(key, value)
			size += len(key) + len(value) + 4
		}
	}
	set(nats.MsgIdHdr, "dead."+strconv.FormatUint(l.Seq, 10)+"."+string(l.Reason))
	set(HeaderReason, string(l.Reason))
	set(HeaderSubject, l.Subject)
	set(HeaderError, errorText(l.Err))
	set(headerMsgID, l.Header.Get(nats.MsgIdHdr))
	for key, values := range l.Header {
		if !strings.HasPrefix(strings.ToLower(key), "nats-") && h[key] == nil && len(values) > 0 {
			set(key, values[0])
		}
	}
	body := l.Body[:min(len(l.Body), max(maxPayload-size, 0))]
	return &nats.Msg{Subject: n.DeadSubject(string(l.Reason), l.Lane.Tenant), Header: h, Data: body}
}

// errorText is an error's text as it may stand in a header: one short line.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, err.Error())
	return clip(line, maxErrorText)
}

// Burier publishes dead letters and their events. Safe in parallel.
type Burier struct {
	confirm    Confirmer
	names      names.Names
	maxPayload int
}

// NewBurier makes a Burier; maxPayload is what the server takes (nats.Conn.MaxPayload).
func NewBurier(c Confirmer, n names.Names, maxPayload int64) *Burier {
	return &Burier{confirm: c, names: n, maxPayload: int(maxPayload)}
}

// Bury stores a dead letter and its event job_dead. done is called once, from
// another goroutine, and must not block: with nil when both are stored, so that
// the job may be acknowledged. It sends for ever, and blocks like
// Publisher.Publish; after an error done is not called and nothing may be taken
// for stored. A letter buried twice within the duplicate window is stored once.
func (b *Burier) Bury(ctx context.Context, l Letter, done func(error)) error {
	join := &joined{left: 2, done: done}
	if err := b.confirm.Publish(ctx, BuildDead(b.names, l, b.maxPayload), 0, join.one); err != nil {
		return err
	}
	if err := b.confirm.Publish(ctx, jobDead(b.names, l).Message(b.names), 0, join.one); err != nil {
		// The first is on its way and will report: let this count as the other half.
		join.one(nil, err)
	}
	return nil
}

// joined calls done when left publishes have reported.
type joined struct {
	left  int32
	first atomic.Pointer[error]
	done  func(error)
}

func (j *joined) one(_ *jetstream.PubAck, err error) {
	if err != nil {
		j.first.CompareAndSwap(nil, &err)
	}
	if atomic.AddInt32(&j.left, -1) > 0 {
		return
	}
	if first := j.first.Load(); first != nil {
		j.done(*first)
		return
	}
	j.done(nil)
}

// jobDead is the event of a dead job.
func jobDead(n names.Names, l Letter) Event {
	b := append([]byte(nil), `{"job_id":`...)
	b = appendText(b, l.JobID)
	b = append(b, `,"stream_seq":`...)
	b = strconv.AppendUint(b, l.Seq, 10)
	b = append(b, `,"reason":`...)
	b = appendText(b, string(l.Reason))
	b = append(b, `,"error":`...)
	b = appendText(b, errorText(l.Err))
	return Event{
		Tenant: l.Lane.Tenant, Campaign: l.Lane.Campaign, Name: EventJobDead,
		ID: n.JobsStream() + "." + strconv.FormatUint(l.Seq, 10), Data: append(b, '}'),
	}
}

// Event names.
const (
	EventJobDead = "job_dead"
	// EventRouteUnserved tells that jobs wait for a route that no live worker serves.
	EventRouteUnserved = "route_unserved"
)

// Event is one message of the events stream.
type Event struct {
	Tenant, Campaign, Name string
	// ID tells it from other events of its name, so that it is stored once; empty
	// if every copy counts.
	ID string
	// Data is its JSON.
	Data []byte
}

// Message makes the event's message.
func (e Event) Message(n names.Names) *nats.Msg {
	m := &nats.Msg{Subject: n.EventSubject(e.Tenant, e.Campaign, e.Name), Data: e.Data}
	if e.ID != "" {
		m.Header = nats.Header{nats.MsgIdHdr: {e.Name + "." + e.ID}}
	}
	return m
}

// Tell publishes an event and waits until it is stored, or for at most giveUp.
func (b *Burier) Tell(ctx context.Context, e Event, giveUp time.Duration) error {
	stored := make(chan error, 1)
	if err := b.confirm.Publish(ctx, e.Message(b.names), giveUp, func(_ *jetstream.PubAck, err error) { stored <- err }); err != nil {
		return err
	}
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), errors.New("publish event "+e.Name))
	}
}
