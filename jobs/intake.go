package jobs

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// intake carries what arrives from other goroutines to the loop, in bulk: a
// lock and an append each, instead of a channel operation.
type intake struct {
	signal chan struct{} // capacity 1: something is there
	// muted is set by the loop while wake-ups need not wake it: it looks by itself soon.
	muted atomic.Bool

	mu      sync.Mutex
	msgs    []*nats.Msg
	wakes   map[string]wake
	created []creation
	polls   []pollResult
}

// wake is what the headers-only copies told about one lane.
type wake struct{ jobs, bytes int }

// creation is the end of an attempt to make a lane's durable.
type creation struct {
	lane *lane
	info *jetstream.ConsumerInfo
	err  error
}

// maxWakes bounds the lanes remembered between two looks of the loop; the poll
// finds the others.
const maxWakes = 4096

func newIntake() *intake {
	return &intake{signal: make(chan struct{}, 1), wakes: make(map[string]wake)}
}

func (in *intake) kick() {
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// message takes a job or the status of a pull; called by the subscription.
func (in *intake) message(m *nats.Msg) {
	in.mu.Lock()
	in.msgs = append(in.msgs, m)
	first := len(in.msgs) == 1
	in.mu.Unlock()
	if first {
		in.kick()
	}
}

// wakeUp notes that a job was stored; called by the subscription.
func (in *intake) wakeUp(key string, bytes int) {
	in.mu.Lock()
	w, known := in.wakes[key]
	if known || len(in.wakes) < maxWakes {
		in.wakes[key] = wake{jobs: w.jobs + 1, bytes: w.bytes + bytes}
	}
	in.mu.Unlock()
	if !in.muted.Load() {
		in.kick()
	}
}

func (in *intake) made(cr creation) {
	in.mu.Lock()
	in.created = append(in.created, cr)
	in.mu.Unlock()
	in.kick()
}

func (in *intake) polled(r pollResult) {
	in.mu.Lock()
	in.polls = append(in.polls[:0], r)
	in.mu.Unlock()
	in.kick()
}

// arrived is what take returns; the slices are the caller's until its next call.
type arrived struct {
	msgs    []*nats.Msg
	wakes   map[string]wake
	created []creation
	polls   []pollResult
}

// take exchanges what has arrived for the emptied buffers of the last time.
func (in *intake) take(empty arrived) arrived {
	clear(empty.msgs)
	clear(empty.wakes)
	in.mu.Lock()
	defer in.mu.Unlock()
	a := arrived{msgs: in.msgs, wakes: in.wakes, created: in.created, polls: in.polls}
	in.msgs, in.wakes, in.created, in.polls = empty.msgs[:0], empty.wakes, nil, nil
	if in.wakes == nil {
		in.wakes = make(map[string]wake)
	}
	return a
}

// subscriptions of a Claimer: the answers to its pulls, and the wake-ups.
type subscriptions struct {
	inbox string // pulls are answered at inbox + lane id + "." + number
	subs  []*nats.Subscription
	ended sync.WaitGroup
}

func (c *Claimer) subscribe() (*subscriptions, error) {
	s := &subscriptions{inbox: c.nc.NewInbox() + "."}
	err := s.add(c.nc, s.inbox+"*.*", c.in.message)
	if err == nil {
		prefix := len(c.cfg.Names.WakeWildcard()) - 1
		err = s.add(c.nc, c.cfg.Names.WakeWildcard(), func(m *nats.Msg) {
			size, _ := strconv.Atoi(m.Header.Get("Nats-Msg-Size")) // a hint; 0 if it is missing
			c.in.wakeUp(m.Subject[prefix:], size)
		})
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("subscribe for jobs: %w", err)
	}
	return s, nil
}

func (s *subscriptions) add(nc *nats.Conn, subject string, f nats.MsgHandler) error {
	sub, err := nc.Subscribe(subject, f)
	if err != nil {
		return err
	}
	s.ended.Add(1)
	sub.SetClosedHandler(func(string) { s.ended.Done() })
	s.subs = append(s.subs, sub)
	// What may arrive is bounded by what was pulled; wake-ups are taken at once.
	return sub.SetPendingLimits(-1, -1)
}

// close unsubscribes and waits until no callback runs any more.
func (s *subscriptions) close() {
	for _, sub := range s.subs {
		// An error means that the connection is closed, which has ended the subscription.
		_ = sub.Unsubscribe()
	}
	s.ended.Wait()
}
