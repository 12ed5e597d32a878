package confirm

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// onReply handles one reply; called by the subscription's goroutine.
func (c *Confirmer) onReply(m *nats.Msg) {
	now := c.now()
	c.mu.Lock()
	e := c.table.find(m.Subject[len(c.inbox):])
	if e == nil {
		// A second reply, to a copy; or one of a publish that was given up.
		c.mu.Unlock()
		return
	}
	ack, err := c.read(e, m)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		c.refuse(e, refused.text, now)
		c.mu.Unlock()
		return
	}
	if !e.strayed {
		c.pace[e.kind].sample(e.sent, now)
	}
	c.table.remove(e)
	c.mu.Unlock()
	c.finish(e, ack, err)
}

// refusedError is a reply that says "not now".
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// read judges the reply to e: nil error is a confirmation. c.mu is held.
func (c *Confirmer) read(e *entry, m *nats.Msg) (*jetstream.PubAck, error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return nil, &refusedError{text: "no responders (JetStream or the consumer is away)"}
	}
	if e.kind == kindAck {
		return nil, nil //nolint:nilnil // an ack's reply carries nothing
	}
	if stream, seq, dup, ok := fastPubAck(m.Data); ok {
		if string(stream) != c.stream {
			c.stream = string(stream)
		}
		return &jetstream.PubAck{Stream: c.stream, Sequence: seq, Duplicate: dup}, nil
	}
	return slowPubAck(m.Data)
}

// refuse schedules e again after a reply that said "not now". c.mu is held.
func (c *Confirmer) refuse(e *entry, text string, now int64) {
	e.refusal, e.strayed = text, true
	c.stats.Refusals++
	c.stats.LastRefusal, c.stats.LastRefusalAt = text, time.Now()
	e.due = now + int64(jitter(e.wait))
	e.wait = min(2*e.wait, c.opt.MaxResend)
}

// jitter spreads d by ±20 %, so that what failed together is not resent together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // not a secret
}

// fastPubAck reads the acknowledgement as the server writes it nearly always:
// {"stream":"S","seq":5} or {"stream":"S","seq":5,"duplicate": true}.
func fastPubAck(b []byte) (stream []byte, seq uint64, dup, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return nil, 0, false, false
	}
	stream, rest, ok = bytes.Cut(rest, []byte(`"`))
	if !ok {
		return nil, 0, false, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`,"seq":`))
	if !ok {
		return nil, 0, false, false
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	seq, err := strconv.ParseUint(string(rest[:n]), 10, 64)
	if err != nil {
		return nil, 0, false, false
	}
	switch string(rest[n:]) {
	case "}":
	case `,"duplicate": true}`, `,"duplicate":true}`:
		dup = true
	default:
		return nil, 0, false, false
	}
	return stream, seq, dup, true
}

// slowPubAck reads any other form, errors above all.
func slowPubAck(b []byte) (*jetstream.PubAck, error) {
	var r struct {
		*jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, &refusedError{text: "reply is not a publish acknowledgement: is another service answering on this subject?"}
	}
	switch {
	case r.Error != nil && temporary(r.Error):
		return nil, &refusedError{text: r.Error.Description}
	case r.Error != nil:
		return nil, r.Error
	case r.PubAck == nil || r.Stream == "" || r.Sequence == 0:
		return nil, &refusedError{text: "reply is not a publish acknowledgement: is another service answering on this subject?"}
	}
	return r.PubAck, nil
}

// Error codes of the server (errors.json) that need a word.
const (
	codeAccountLimit  = 10002 // "resource limits exceeded for account", though sent as 400
	codeStoreFailed   = 10077 // stream full, disk full, but also "message too large"
	codeDuplicateBusy = 10158 // the first copy is still being stored
)

// temporary tells whether sending the same message again may succeed: no
// leader, no disk, a full stream (back-pressure), too many requests.
func temporary(e *jetstream.APIError) bool {
	switch e.ErrorCode {
	case codeAccountLimit, codeDuplicateBusy:
		return true
	case codeStoreFailed:
		return e.Description != "message too large"
	}
	return e.Code >= 500 || e.Code == 429
}
