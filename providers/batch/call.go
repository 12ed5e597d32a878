package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lookupq/lookupq/providers"
)

var (
	errTimeout = errors.New("the call took longer than the configured timeout")
	errLost    = errors.New("the permit's lease was lost")
)

// flight is one call under way. The loop and the call's goroutine hand it to and
// fro; neither touches it while the other has it.
type flight[W any] struct {
	batch   *packed[W]
	grant   Grant
	reply   providers.Reply
	took    time.Duration
	stall   time.Duration // hold back from asking for permits: the key's pause could not be stored
	answers chan []Answered[W]
	paid    func(*providers.Reply) // is told what the call brought; may be nil
}

// fly makes one call. It gives the permit back as soon as the provider returned,
// before the answers are settled, and settles them itself.
func (l *Loop[W]) fly(f *flight[W]) {
	l.afford(f)
	if unused := f.grant.N - len(f.batch.units); unused > 0 {
		f.grant.Refund(unused)
	}
	called := len(f.batch.units) > 0
	if called {
		l.callAndJudge(f)
	} else {
		f.grant.Release()
	}
	l.mail.Lock()
	l.mail.landed = append(l.mail.landed, f)
	l.mail.Unlock()
	l.rouse()
	answers := <-f.answers
	if called {
		l.tell(f)
	}
	l.settle(answers)
}

// callAndJudge asks, and gives the permit back.
func (l *Loop[W]) callAndJudge(f *flight[W]) {
	started := time.Now()
	cause := l.call(f)
	f.took = time.Since(started)
	if f.paid != nil {
		f.paid(&f.reply)
	}
	l.judgeKey(f)
	if idle(&f.reply) {
		f.grant.Refund(f.grant.N) // there was no call
	}
	if cause != nil {
		f.grant.Abandon()
	} else {
		f.grant.Release()
	}
}

// call asks the provider, with a context of its own: no job's end takes the
// others' answers with it. It returns why the call was cut short, nil if it was not.
func (l *Loop[W]) call(f *flight[W]) error {
	ctx, cancel := context.WithCancelCause(l.callsCtx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, l.cfg.Timeout, errTimeout)
	defer stop()
	if lost := f.grant.Lost(); lost != nil {
		l.tasks.Go(func() {
			select {
			case <-lost:
				cancel(errLost)
			case <-ctx.Done():
			}
		})
	}
	b := f.batch
	q := providers.Query{
		Key: f.grant.Key, Numbers: b.numbers, Options: b.part.options, Raw: b.raw,
		Partition: b.part.name, ShareGroups: b.shares,
	}
	f.reply = l.callSafely(ctx, q)
	failure := f.reply.Failure
	switch {
	case failure == nil || failure.Innocent || keyFault(failure):
		return nil // it did reply
	case failure.Kind == providers.KindUnavailable && failure.Code == "":
		return nil // nothing was sent, however late that is said
	case ctx.Err() != nil:
		if !ruleOf(failure.Kind).doubtful {
			f.reply.Failure = &providers.Failure{Kind: providers.KindTimeout, Message: context.Cause(ctx).Error()}
		}
		return context.Cause(ctx)
	case failure.Kind == providers.KindTimeout:
		return errTimeout // the provider's own, before ours
	}
	return nil
}

// callSafely turns a panic of the provider into a failure: a reply that it
// cannot bear harms its own batch only.
func (l *Loop[W]) callSafely(ctx context.Context, q providers.Query) (r providers.Reply) {
	defer func() {
		if p := recover(); p != nil {
			// Not p's text: it may quote the reply, numbers included.
			r = providers.Reply{Failure: &providers.Failure{
				Kind: providers.KindInternal, Message: fmt.Sprintf("the provider panicked with a %T", p),
			}}
			l.cfg.Log.Error().Str("provider", l.cfg.Name).Str("panic", fmt.Sprintf("%T", p)).
				Bytes("stack", debug.Stack()).Msg("the provider panicked, please report it")
		}
	}()
	return l.cfg.Provider.Call(ctx, q)
}

// storeTimeout bounds telling the fleet about a key.
const storeTimeout = 5 * time.Second

// judgeKey tells the fleet what the reply says of the key. It does so before the
// permit is free, so that the key is not taken again meanwhile.
func (l *Loop[W]) judgeKey(f *flight[W]) {
	key := f.grant.Key.Name
	failure := wholeFailure(&f.reply, len(f.batch.units))
	if failure == nil || unfinished(&f.reply) && !idle(&f.reply) {
		l.faults.clear(key)
		l.cfg.Permits.Succeeded(key)
	}
	var d time.Duration
	var err error
	if failure != nil && keyFault(failure) {
		d, err = l.punish(key, failure)
	} else if d = min(f.reply.SlowDown, longestSlowDown); d > 0 {
		err = l.slowDown(key, d)
	}
	if err != nil {
		f.stall = d
		l.cfg.Log.Warn().Str("provider", l.cfg.Name).Str("key", key).Err(err).Dur("waits", d).
			Msg("the key's pause could not be stored; this worker waits by itself")
	}
}

// punish pauses or quarantines a key over the whole fleet, if f accuses it. It
// returns for how long (or how long to wait if that is open), and why it could
// not be stored.
func (l *Loop[W]) punish(key string, f *providers.Failure) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(l.callsCtx, storeTimeout)
	defer cancel()
	switch reason := f.Kind.String(); actionFor(f) {
	case actPauseKey:
		d := l.faults.pause(time.Now(), key, f.RetryAfter)
		return d, l.cfg.Permits.Pause(ctx, key, d, reason)
	case actQuarantineKey:
		return l.cfg.Retry.Max, l.cfg.Permits.Quarantine(ctx, key, reason)
	case actNext, actRetry, actBlame, actSplit, actPauseProvider:
	}
	return 0, nil
}

// longestSlowDown bounds what a reply that found no fault may ask for.
const longestSlowDown = 5 * time.Second

// slowDown has a key rest for d over the whole fleet, without anybody being at fault.
func (l *Loop[W]) slowDown(key string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(l.callsCtx, storeTimeout)
	defer cancel()
	return l.cfg.Permits.Pause(ctx, key, d, SlowDown)
}

// tell reports a call after the core has judged it; the loop is done with f.
func (l *Loop[W]) tell(f *flight[W]) {
	b := f.batch
	failure := wholeFailure(&f.reply, len(f.batch.numbers))
	if unfinished(&f.reply) {
		failure = nil
	}
	if b.opened > 0 {
		l.cfg.Log.Warn().Str("provider", l.cfg.Name).Str("key", f.grant.Key.Name).
			AnErr("failure", asError(failure)).Dur("pause", b.opened).Msg("the provider fails and is paused")
	}
	if b.shrunk > 0 {
		l.cfg.Log.Error().Str("provider", l.cfg.Name).Int("batch", len(b.numbers)).Int("now", b.shrunk).
			Msg("the provider calls the batch too large: configure a smaller one")
	}
	if l.cfg.Called == nil {
		return
	}
	c := Call{
		Key: f.grant.Key.Name, Took: f.took, Numbers: len(b.numbers), Failure: failure,
		Extra: f.reply.Extra, Duplicates: f.reply.Duplicates, Bisect: b.suspect, Probe: b.probe,
	}
	for i := range f.reply.Outcomes {
		switch f.reply.Outcomes[i].Kind {
		case providers.Failed:
		case providers.Pending:
			c.Pending++
		case providers.Found, providers.NotFound, providers.Invalid:
			c.Answered++
		}
	}
	l.cfg.Called(c)
}

// asError keeps a nil failure a nil error.
func asError(f *providers.Failure) error {
	if f == nil {
		return nil
	}
	return f
}

// longestPause bounds what an upstream may ask for.
const longestPause = time.Hour

// faults counts how often each key was throttled in a row.
type faults struct {
	first, most time.Duration
	rand        func() float64

	mu   sync.Mutex
	keys map[string]*throttled
}

type throttled struct {
	times int
	until time.Time
}

// pause is how long a throttled key rests: what the upstream asks, else doubled
// each time. Calls that were under way together are throttled together, which counts once.
func (f *faults) pause(now time.Time, key string, asked time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[key]
	if k == nil {
		if f.keys == nil {
			f.keys = make(map[string]*throttled)
		}
		k = &throttled{}
		f.keys[key] = k
	}
	if now.Before(k.until) {
		return max(k.until.Sub(now), min(asked, longestPause))
	}
	k.times = min(k.times+1, 32)
	d := min(asked, longestPause)
	if d <= 0 {
		d = f.first
		for range k.times - 1 {
			d = min(2*d, f.most)
		}
		d = time.Duration(float64(d) * (1 - f.rand()/2))
	}
	k.until = now.Add(d)
	return d
}

func (f *faults) clear(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}
