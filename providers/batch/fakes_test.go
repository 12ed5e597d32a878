package batch

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/providers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePermits is a pool of one key with a bound on concurrency.
type fakePermits struct {
	mu       sync.Mutex
	limit    int   // calls at once
	grant    int   // numbers a grant, 0 for what is asked
	err      error // instead of a grant
	pauseErr error
	hint     time.Duration
	lost     chan struct{}
	enter    func() // called in Acquire

	permitCounts
}

// permitCounts is what was done with the permits.
type permitCounts struct {
	inUse, highest, acquires int
	released, abandoned      int
	refunds                  []int
	log                      []string // pauses, quarantines and releases in order
	pauses                   []time.Duration
	succeeded                int
}

func (p *fakePermits) seen() permitCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.permitCounts
}

func (p *fakePermits) Acquire(_ context.Context, n int) (Grant, error) {
	if p.enter != nil {
		p.enter()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acquires++
	if p.err != nil {
		return Grant{}, p.err
	}
	if p.inUse >= p.limit {
		return Grant{}, &WaitError{After: p.hint, Reason: "concurrency"}
	}
	p.inUse++
	p.highest = max(p.highest, p.inUse)
	if p.grant > 0 {
		n = min(n, p.grant)
	}
	return Grant{Key: providers.Key{Name: "main"}, N: n, Lease: fakeLease{p}}, nil
}

func (p *fakePermits) Pause(_ context.Context, key string, d time.Duration, reason string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, "pause "+key+" "+reason)
	p.pauses = append(p.pauses, d)
	return p.pauseErr
}

func (p *fakePermits) Quarantine(_ context.Context, key, reason string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, "quarantine "+key+" "+reason)
	return p.pauseErr
}

func (p *fakePermits) Succeeded(string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.succeeded++
}

func (p *fakePermits) set(change func(*fakePermits)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

type fakeLease struct{ p *fakePermits }

func (l fakeLease) Refund(n int) { l.p.set(func(p *fakePermits) { p.refunds = append(p.refunds, n) }) }

func (l fakeLease) Release() {
	l.p.set(func(p *fakePermits) {
		p.inUse--
		p.released++
		p.log = append(p.log, "release")
	})
}

func (l fakeLease) Abandon() {
	l.p.set(func(p *fakePermits) {
		p.abandoned++
		p.log = append(p.log, "abandon")
	})
}

func (l fakeLease) Lost() <-chan struct{} { return l.p.lost }

// fakeProvider answers after a latency.
type fakeProvider struct {
	max     int
	latency time.Duration
	reply   func(ctx context.Context, q providers.Query) providers.Reply // nil finds everything

	mu    sync.Mutex
	calls []madeCall
}

type madeCall struct{ numbers []providers.Number }

func (p *fakeProvider) Limits() providers.Limits {
	return providers.Limits{MaxBatch: p.max, Timeout: 10 * time.Second}
}

func (p *fakeProvider) Partition(providers.Number, providers.Options) (string, *providers.Failure) {
	return "", nil
}

func (p *fakeProvider) Call(ctx context.Context, q providers.Query) providers.Reply {
	p.mu.Lock()
	p.calls = append(p.calls, madeCall{q.Numbers})
	p.mu.Unlock()
	select {
	case <-time.After(p.latency):
	case <-ctx.Done():
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindTimeout}}
	}
	if p.reply != nil {
		return p.reply(ctx, q)
	}
	return found(len(q.Numbers))
}

// made is every call so far; calls of one moment come in any order.
func (p *fakeProvider) made() []madeCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// sizes are how many numbers each call asked, largest first.
func (p *fakeProvider) sizes() []int {
	made := p.made()
	out := make([]int, len(made))
	for i, c := range made {
		out[i] = len(c.numbers)
	}
	slices.SortFunc(out, func(a, b int) int { return b - a })
	return out
}

// bed is a running loop with fakes on both sides.
type bed struct {
	t        *testing.T
	loop     *Loop[int]
	permits  *fakePermits
	provider *fakeProvider
	stop     context.CancelFunc
	done     chan struct{}
	// onAnswers is called with each delivery, before it is noted.
	onAnswers func([]Answered[int])

	mu   sync.Mutex
	ends map[int]Answered[int]
}

// newBed makes a loop; begin runs it.
func newBed(t *testing.T, change func(*bed, *Config[int])) *bed {
	t.Helper()
	b := &bed{
		t: t, permits: &fakePermits{limit: 4, hint: 20 * time.Millisecond},
		provider: &fakeProvider{max: 100, latency: 300 * time.Millisecond},
		done:     make(chan struct{}), ends: map[int]Answered[int]{},
	}
	cfg := Config[int]{
		Name: "fake", Provider: b.provider, Permits: b.permits, Linger: 100 * time.Millisecond,
		Rand: func() float64 { return 0 }, Answered: b.answered,
	}
	if change != nil {
		change(b, &cfg)
	}
	b.loop = NewLoop(cfg)
	return b
}

func (b *bed) begin() *bed {
	ctx, cancel := context.WithCancel(b.t.Context())
	b.stop = cancel
	go func() {
		defer close(b.done)
		if err := b.loop.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	return b
}

// end stops the loop and waits for it.
func (b *bed) end() {
	b.stop()
	<-b.done
}

func (b *bed) answered(answers []Answered[int]) {
	if b.onAnswers != nil {
		b.onAnswers(answers)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range answers {
		if _, twice := b.ends[a.Waiter]; twice {
			b.t.Errorf("waiter %d reported twice", a.Waiter)
		}
		b.ends[a.Waiter] = a
	}
}

// get is the end of waiter w.
func (b *bed) get(w int) Answered[int] {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ends[w]
}

// total is how many waiters ended.
func (b *bed) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ends)
}

// count is how many waiters ended with v.
func (b *bed) count(v Final) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, a := range b.ends {
		if a.Verdict == v {
			n++
		}
	}
	return n
}
