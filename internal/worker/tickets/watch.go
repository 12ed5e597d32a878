package tickets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullAhead is how many messages may be on the way to the watcher.
	pullAhead = 1000
	// pullExpiry is how long one pull stands, pullHeartbeat how often the server
	// says that it is there.
	pullExpiry    = 30 * time.Second
	pullHeartbeat = 5 * time.Second
	// idleConsumer is how long the server keeps the consumer of a watcher that
	// went without a word.
	idleConsumer = 30 * time.Second
	// consumerTimeout bounds the making of a consumer: a request that a restarting
	// server has swallowed gets no answer.
	consumerTimeout = 2 * time.Second
	// checkEvery is how often the watcher looks whether its connection was lost.
	checkEvery = 100 * time.Millisecond
	// stallAfter is how long a stored message may take to come back before the
	// consumer is taken for dead.
	stallAfter = time.Second
	// syncKey starts the keys of messages that only say how far the bucket is.
	syncKey = "_sync"
)

var errStalled = errors.New("a stored message did not come back")

// view is how far the watcher is. Guarded by Desk.mu.
type view struct {
	at       uint64 // the last stream sequence that was read
	round    uint64 // counts the readings of everything; what an older one saw and this did not is gone
	complete bool   // all of this round was read once
	behind   bool   // there is more than was read
	watching bool   // a consumer is there
	waiters  []waiter
}

// waiter waits for the watcher to reach a sequence.
type waiter struct {
	seq     uint64
	reached chan struct{}
}

// reader is one consumer of the watcher. take runs in one goroutine.
type reader struct {
	desk   *Desk
	cons   jetstream.Consumer
	next   uint64 // the consumer sequence that is to come
	failed chan error
	broken bool
}

// watch keeps the index like the bucket until ctx ends. Its consumers end with
// any doubt (lost connection, gap, silence), and the next one goes on where the
// last message was seen; or, after too long, reads everything again.
func (d *Desk) watch(ctx context.Context) {
	var upToDate time.Time // when the index was last known to be like the bucket
	for failures := 0; ; failures++ {
		if d.cfg.Now().Sub(upToDate) > markerTTL/2 {
			d.startOver()
		}
		behind, err := d.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if !behind {
			upToDate, failures = d.cfg.Now(), 0
		}
		if failures == 1 { // the first may be a restart of the server
			d.cfg.Log.Warn().Err(err).Str("provider", d.cfg.Provider).Msg("tickets cannot be watched, trying again")
		}
		wait(ctx, d.backoff(failures))
	}
}

// startOver begins a new round.
func (d *Desk) startOver() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.at, d.view.complete = 0, false
	d.view.round++
}

// follow reads with one consumer until there is a doubt about it, or ctx ends.
// behind tells that something in the bucket was not read.
func (d *Desk) follow(ctx context.Context) (behind bool, err error) {
	reconnects := d.cfg.JS.Conn().Stats().Reconnects
	w, err := d.consumer(ctx)
	if err != nil {
		return true, err
	}
	defer w.remove(ctx)
	cc, err := w.cons.Consume(w.take, jetstream.PullMaxMessages(pullAhead), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { w.fail(err) }))
	if err != nil {
		return true, err
	}
	d.setWatching(true)
	err = w.supervise(ctx, reconnects)
	cc.Stop()
	<-cc.Closed()
	return d.setWatching(false), err
}

// supervise returns when the reader cannot be trusted any more, or ctx ended.
func (w *reader) supervise(ctx context.Context, reconnects uint64) error {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.failed:
			return err
		case <-w.desk.stalled:
			return errStalled
		case <-check.C:
			// What was on the way when the connection broke is lost, and no later
			// message may tell.
			if w.desk.cfg.JS.Conn().Stats().Reconnects != reconnects {
				return nil
			}
		}
	}
}

// setWatching notes whether a consumer is there, and returns view.behind.
func (d *Desk) setWatching(yes bool) (behind bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.watching = yes
	return d.view.behind
}

// consumer makes the consumer that goes on after the last message seen.
func (d *Desk) consumer(ctx context.Context) (*reader, error) {
	if !d.cfg.JS.Conn().IsConnected() {
		return nil, nats.ErrDisconnected // a request would wait for the connection until it is too late
	}
	ctx, cancel := context.WithTimeout(ctx, consumerTimeout)
	defer cancel()
	s, err := d.cfg.JS.Stream(ctx, d.stream)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	at := d.view.at
	d.mu.Unlock()
	if s.CachedInfo().State.LastSeq < at { // another bucket than before
		d.startOver()
		at = 0
	}
	cons, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: d.prefix + ">", MemoryStorage: true, InactiveThreshold: idleConsumer,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: at + 1,
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.view.behind = cons.CachedInfo().NumPending > 0
	if !d.view.behind {
		d.caughtUp()
	}
	d.mu.Unlock()
	return &reader{desk: d, cons: cons, next: 1, failed: make(chan error, 1)}, nil
}

// remove deletes the consumer; if that fails the server does after idleConsumer.
func (w *reader) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if w.desk.cfg.JS.Conn().IsConnected() {
		_ = w.desk.cfg.JS.DeleteConsumer(ctx, w.desk.stream, w.cons.CachedInfo().Name)
	}
}

func (w *reader) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// take reads one message; after a gap no more of this consumer.
func (w *reader) take(m jetstream.Msg) {
	if w.broken {
		return
	}
	meta, err := m.Metadata()
	if err == nil && meta.Sequence.Consumer != w.next {
		err = fmt.Errorf("message %d of the watcher came instead of %d", meta.Sequence.Consumer, w.next)
	}
	if err != nil {
		w.broken = true
		w.fail(err)
		return
	}
	w.next++
	w.desk.see(m, meta)
}

// see takes one message of the bucket into the index.
func (d *Desk) see(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	id, sub, isSub := strings.Cut(strings.TrimPrefix(m.Subject(), d.prefix), ".")
	removed := m.Headers().Get(headerOperation) != "" || m.Headers().Get(headerMarker) != ""
	var r record
	var err error
	if !isSub && !removed {
		r, err = decodeRecord(m.Data())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case isSub && (removed || id == syncKey):
	case sub == stateKey:
		d.seeStatus(id, m.Data(), meta.Sequence.Stream)
	case isSub:
		if i, ok := indexOf(sub); ok {
			d.seeReceipt(id, i, m.Data(), meta.Timestamp)
		}
	case removed:
		if t := d.index.tickets[id]; t != nil {
			d.forget(t)
		}
	case err != nil:
		d.count.unreadable.Add(1)
	default:
		d.seeRecord(id, &r)
	}
	d.view.at = meta.Sequence.Stream
	d.view.behind = meta.NumPending > 0
	if !d.view.behind {
		d.caughtUp()
	}
	d.wakeWaiters()
}

// caughtUp is called whenever everything in the bucket was read. d.mu is held.
func (d *Desk) caughtUp() {
	if d.view.complete {
		return
	}
	d.view.complete = true
	for _, t := range d.index.tickets {
		if t.round != d.view.round {
			d.forget(t) // removed while nobody looked
		}
	}
}

// catchUp returns when the index has every ticket and receipt that was in the
// bucket when it was called: it stores a message and waits for the watcher to come
// across it. (A status moves to the end when it is written again, and may come
// later.) The error says that it could not before ctx ended.
func (d *Desk) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	seq, err := d.store(ctx, d.message(syncKey+"."+d.cfg.WorkerID, nil, markerTTL, anyRevision))
	if err != nil {
		return err
	}
	w := waiter{seq, make(chan struct{})}
	d.mu.Lock()
	d.view.waiters = append(d.view.waiters, w)
	d.wakeWaiters()
	d.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
	case <-time.After(stallAfter):
		rouse(d.stalled)
		select {
		case <-w.reached:
			return nil
		case <-ctx.Done():
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.waiters = without(d.view.waiters, w)
	return fmt.Errorf("tickets are not read up to now: %w", context.Cause(ctx))
}

func without(all []waiter, w waiter) []waiter {
	rest := all[:0]
	for _, o := range all {
		if o != w {
			rest = append(rest, o)
		}
	}
	return rest
}

// wakeWaiters tells who waits for what was read. d.mu is held.
func (d *Desk) wakeWaiters() {
	rest := d.view.waiters[:0]
	for _, w := range d.view.waiters {
		if w.seq <= d.view.at {
			close(w.reached)
		} else {
			rest = append(rest, w)
		}
	}
	d.view.waiters = rest
}
