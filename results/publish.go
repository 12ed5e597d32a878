package results

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/confirm"
)

// ErrUnconfirmed says that a publish was given up: half the duplicate window has
// passed without a word from JetStream. Whether the message is stored is not
// known; who still owns the job (journal.Owns) may publish again.
var ErrUnconfirmed = confirm.ErrUnconfirmed

// Confirmer publishes with confirmation; internal/confirm has it.
type Confirmer interface {
	// Publish sends m until JetStream confirms it, and calls done once.
	Publish(ctx context.Context, m *nats.Msg, giveUp time.Duration, done func(*jetstream.PubAck, error)) error
}

// Publisher puts messages into one stream. Safe in parallel.
type Publisher struct {
	confirm Confirmer
	stream  string
	giveUp  time.Duration
}

// NewPublisher makes a Publisher for a stream. window is its duplicate window: a
// message is sent again for half of it at most, so that a late copy is always
// told from a new message.
func NewPublisher(c Confirmer, stream string, window time.Duration) *Publisher {
	return &Publisher{confirm: c, stream: stream, giveUp: window / 2}
}

// Publish sends m, which must have a Nats-Msg-Id and not be changed before done.
// done is called once, from another goroutine, and must not block: with nil when
// the stream holds the message (now, or from an earlier copy), else with
// ErrUnconfirmed, confirm.ErrClosed or the server's refusal. Publish blocks while
// too many are unanswered, until ctx ends; after an error done is not called.
func (p *Publisher) Publish(ctx context.Context, m *nats.Msg, done func(error)) error {
	return p.confirm.Publish(ctx, m, p.giveUp, func(ack *jetstream.PubAck, err error) {
		if err == nil && ack.Stream != p.stream {
			err = fmt.Errorf("subject %s is stored by stream %s, not by %s: give each installation its own prefix",
				m.Subject, ack.Stream, p.stream)
		}
		done(err)
	})
}
