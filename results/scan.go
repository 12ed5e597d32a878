package results

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullHeaders is how many messages without bodies are asked for at a time, and
	// pullBytes how many bytes of messages with; neither is small, for a small
	// window stalls a busy connection.
	pullHeaders = 2000
	pullBytes   = 8 << 20
	// idleConsumer is how long the server keeps a consumer whose reader has gone
	// without a word.
	idleConsumer = 30 * time.Second
)

// scan reads the messages of one subject in order, through restarts of the server.
type scan struct {
	js              jetstream.JetStream
	stream, subject string
	// from is the first stream sequence; if 0, since is the earliest time, if not zero.
	from  uint64
	since time.Time
	// headers leaves the bodies out, follow waits for messages to come.
	headers, follow bool
}

// run calls fn for each message, in this goroutine, until the newest one at the
// time (or for ever with follow), until fn returns an error, which it returns, or
// until ctx ends.
func (s scan) run(ctx context.Context, fn func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	cons, err := s.js.OrderedConsumer(ctx, s.stream, s.config())
	if err != nil {
		return fmt.Errorf("read %s of stream %s: %w", s.subject, s.stream, err)
	}
	defer s.forget(ctx, cons)
	if cons.CachedInfo().NumPending == 0 && !s.follow {
		return nil
	}
	window := jetstream.PullMessagesOpt(jetstream.PullMaxBytes(pullBytes))
	if s.headers {
		window = jetstream.PullMaxMessages(pullHeaders)
	}
	it, err := cons.Messages(window)
	if err != nil {
		return fmt.Errorf("read %s of stream %s: %w", s.subject, s.stream, err)
	}
	defer it.Stop()
	// Next does not look at its context while it waits for a server to come back.
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			return fmt.Errorf("read %s of stream %s: %w", s.subject, s.stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s of stream %s: %w", s.subject, s.stream, err)
		}
		if err := fn(m, meta); err != nil {
			return err
		}
		if meta.NumPending == 0 && !s.follow {
			return nil
		}
	}
}

func (s scan) config() jetstream.OrderedConsumerConfig {
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{s.subject}, HeadersOnly: s.headers, InactiveThreshold: idleConsumer,
	}
	switch {
	case s.from > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.from
	case !s.since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.since
	}
	return cfg
}

// forget removes the consumer; if that fails the server does after idleConsumer.
func (s scan) forget(ctx context.Context, cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.stream, cons.CachedInfo().Name)
}

// IsNoStream tells whether an error of a Reader means that the results stream
// does not exist: no worker has run yet, or the prefix is another one.
func IsNoStream(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }
