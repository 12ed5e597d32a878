// Package confirm publishes to JetStream and does not forget: what goes in is
// an acknowledgement of a job or a message for a stream; what comes out is one
// call of done when the server has said that it is stored (or removed).
// Whatever gets no answer is sent again, through restarts of the server,
// changes of leader and full disks.
//
// A Confirmer owns one subscription (all replies) and one goroutine (resends).
// Close stops both and waits for them. A message costs no goroutine, no timer
// and no channel.
package confirm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrUnconfirmed says that no confirmation came within the time given. Whether
// the message is stored is not known.
var ErrUnconfirmed = errors.New("no confirmation from JetStream")

// ErrClosed says that the Confirmer was closed before the confirmation came.
var ErrClosed = errors.New("confirmer closed")

// Options of a Confirmer; the zero value takes the defaults.
type Options struct {
	// Window is how many publishes may be unanswered; 4096 by default, the knee
	// of the throughput curve. Acks are not counted: there are never more of
	// them than messages held, and Ack must not block.
	Window int
	// Resend is how long to wait for a reply before sending again; 500 ms by
	// default. A server that is slow but answers is given more time.
	Resend time.Duration
	// MaxResend bounds the waits between resends; 5 s by default.
	MaxResend time.Duration
}

func (o Options) withDefaults() Options {
	if o.Window <= 0 {
		o.Window = 4096
	}
	if o.Resend <= 0 {
		o.Resend = 500 * time.Millisecond
	}
	if o.MaxResend < o.Resend {
		o.MaxResend = max(5*time.Second, o.Resend)
	}
	return o
}

// Stats is a snapshot for metrics and the status page.
type Stats struct {
	// Acks and Publishes are sent and unanswered now.
	Acks, Publishes int
	// Resends counts messages sent again, Refusals replies that said "not now"
	// (no leader, disk full, stream full), both since the start.
	Resends, Refusals uint64
	// LastRefusal is what the newest of them said; LastRefusalAt is zero if there was none.
	LastRefusal   string
	LastRefusalAt time.Time
}

// Confirmer sends and resends until confirmed. Safe for parallel use.
type Confirmer struct {
	nc      *nats.Conn
	opt     Options
	start   time.Time // origin of all monotonic times below
	inbox   string    // replies arrive at inbox + token
	sub     *nats.Subscription
	subDone chan struct{} // closed when the subscription's goroutine is gone
	window  chan struct{} // one element per unanswered publish
	stop    chan struct{} // closed by Close
	ended   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	table  table
	pace   [kinds]pace
	stats  Stats
	stream string // name in the newest publish ack, to spare a string per ack
}

// New subscribes for replies on nc and starts the resender. The caller closes
// the Confirmer before nc. The error is that of the subscription.
func New(nc *nats.Conn, opt Options) (*Confirmer, error) {
	opt = opt.withDefaults()
	c := &Confirmer{
		nc: nc, opt: opt, start: time.Now(), inbox: nc.NewInbox() + ".",
		subDone: make(chan struct{}), window: make(chan struct{}, opt.Window), stop: make(chan struct{}),
	}
	sub, err := nc.Subscribe(c.inbox+"*", c.onReply)
	if err != nil {
		return nil, fmt.Errorf("subscribe for confirmations: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(c.subDone) })
	// Replies are bounded by what was sent; a dropped one would cost a resend.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe for confirmations: %w", err), sub.Unsubscribe())
	}
	c.sub = sub
	c.ended.Go(c.resendLoop)
	return c, nil
}

// Ack sends "+ACK" to the reply subject of a JetStream message and calls done
// once: nil when the server has confirmed it, ErrClosed at Close. It is resent
// until then, for ever. Ack never blocks on a window, so done of another call
// may call it. done may be nil. An error means that nothing was sent and done
// will not be called.
func (c *Confirmer) Ack(reply string, done func(error)) error {
	return c.send(&entry{kind: kindAck, subject: reply, acked: done})
}

// Publish sends m to the stream of its subject and calls done once, from one of
// the Confirmer's goroutines: with the stream's acknowledgement; with a
// *jetstream.APIError that no resend would mend (wrong last sequence, message
// too large); with ErrUnconfirmed after giveUp (0: never); or with ErrClosed.
// m needs a Nats-Msg-Id if a second copy would matter, and must not be changed
// before done. Its Reply is ignored.
//
// Publish blocks while Options.Window publishes are unanswered, until ctx ends;
// so done must not call it, and must not block: it holds up all other
// confirmations. An error means that nothing was sent and done will not be
// called. Messages may be stored in another order than sent.
func (c *Confirmer) Publish(ctx context.Context, m *nats.Msg, giveUp time.Duration, done func(*jetstream.PubAck, error)) error {
	select {
	case c.window <- struct{}{}:
	default:
		select {
		case c.window <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("publish to %s: %w", m.Subject, context.Cause(ctx))
		case <-c.stop:
			return ErrClosed
		}
	}
	e := &entry{kind: kindPublish, subject: m.Subject, msg: nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, published: done}
	if giveUp > 0 {
		e.deadline = c.now() + int64(giveUp)
	}
	if err := c.send(e); err != nil {
		<-c.window
		return err
	}
	return nil
}

// now is the monotonic time since the start, in nanoseconds.
func (c *Confirmer) now() int64 { return int64(time.Since(c.start)) }

// send registers e and sends it for the first time.
func (c *Confirmer) send(e *entry) error {
	e.sent = c.now()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	e.wait = c.opt.Resend
	e.due = e.sent + int64(e.wait)
	e.reply = c.table.add(e, c.inbox)
	e.msg.Reply = e.reply
	c.mu.Unlock()

	err := c.transmit(e)
	if err == nil || !hopeless(err) {
		// What could not be sent now (reconnect buffer full) is sent by the resender.
		return nil
	}
	if !c.take(e) {
		// Answered by Close or a deadline meanwhile: done has been called.
		return nil
	}
	return fmt.Errorf("publish to %s: %w", e.subject, err)
}

func (c *Confirmer) transmit(e *entry) error {
	if e.kind == kindAck {
		return c.nc.PublishRequest(e.subject, e.reply, ackPayload())
	}
	return c.nc.PublishMsg(&e.msg)
}

func ackPayload() []byte { return []byte("+ACK") }

// hopeless tells errors of the client library that no resend would mend.
func hopeless(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) ||
		errors.Is(err, nats.ErrHeadersNotSupported) || errors.Is(err, nats.ErrConnectionClosed)
}

// take removes e from the table; false if somebody else has done so.
func (c *Confirmer) take(e *entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.remove(e)
}

// finish reports e, which the caller has taken from the table.
func (c *Confirmer) finish(e *entry, ack *jetstream.PubAck, err error) {
	if e.kind == kindPublish {
		<-c.window
		e.published(ack, err)
		return
	}
	if e.acked != nil {
		e.acked(err)
	}
}

// Stats returns a snapshot.
func (c *Confirmer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Acks, s.Publishes = c.table.count[kindAck], c.table.count[kindPublish]
	return s
}

// Close stops resending, answers everything outstanding with ErrClosed and
// waits for both goroutines; call it once, and not from a done. Whoever wants
// confirmations of what is outstanding waits for them first.
func (c *Confirmer) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	close(c.stop)
	c.ended.Wait()
	// An error means that the connection is closed, and the subscription with it.
	_ = c.sub.Unsubscribe()
	<-c.subDone
	c.mu.Lock()
	rest := c.table.drain()
	c.mu.Unlock()
	for _, e := range rest {
		c.finish(e, nil, ErrClosed)
	}
}
