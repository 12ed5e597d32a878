package batch

import (
	"time"

	"github.com/lookupq/lookupq/providers"
)

// resolve takes the reply of a batch's call: it ends, retries or splits its
// units, and returns every end since the last take.
func (c *core[W]) resolve(now time.Time, b *packed[W], key string, r *providers.Reply) []Answered[W] {
	t := c.at(now)
	p := b.part
	p.wired -= len(b.units) + len(b.refused)
	c.wired -= len(b.units) + len(b.refused)
	if p.probe == b {
		p.probe = nil
	}
	c.refuse(t, b)
	c.reuse(b)
	if len(b.units) == 0 {
		return c.take() // there was no call
	}
	waiters := 0
	for _, u := range b.units {
		u.batch = nil
		waiters += len(u.waiters)
	}
	if c.out == nil && r.Ticket == "" {
		c.out = make([]Answered[W], 0, waiters)
	}
	if !b.suspect && !b.probe {
		c.budget.called()
	}
	p.unfinished = unfinished(r)
	switch f := wholeFailure(r, len(b.units)); {
	case p.unfinished:
		c.callUnfinished(t, b, f)
	case f == nil:
		c.callAnswered(t, now, b, key, r)
	case r.Ticket != "" && (r.Failure != nil || len(r.Outcomes) != len(b.units)):
		c.callUnsure(t, b, f, r.Ticket)
	default:
		c.callFailed(t, b, f)
	}
	c.park(t)
	if b.opened > 0 && p.health.pauses >= failoverPauses {
		c.handOn(p, p.health.fault)
	}
	c.evict(t)
	return c.take()
}

// callAnswered settles each number by its own outcome.
func (c *core[W]) callAnswered(t tick, now time.Time, b *packed[W], key string, r *providers.Reply) {
	b.opened = c.learn(t, b, &r.Outcomes[0])
	answered := 0
	keep := r.Outcomes
	if b.raw {
		keep = withoutRaw(r.Outcomes)
	}
	for i, u := range b.units {
		switch o := &r.Outcomes[i]; {
		case o.Kind == providers.Failed && innocent(o) && len(b.units) > 1:
			c.requeue(u) // bounded: a reply that counts as answered settles at least one number
		case o.Kind == providers.Failed:
			c.numberFailed(t, u, key, o)
		case o.Kind != providers.Pending:
			answered++
			c.report(u, ending{verdict: Answer, outcome: o, at: now, key: key})
			c.remember(t, now, u, &keep[i])
		case r.Ticket != "":
			answered++ // taken, which tells as much of the batch
			c.wait(u, c.ticketOf(r.Ticket))
		default:
			c.numberFailed(t, u, key, &providers.Outcome{Failure: &providers.Failure{
				Kind: providers.KindGarbled, Message: "the provider made the number pending without a ticket",
			}})
		}
	}
	c.budget.answered(answered, b.suspect)
}

// learn notes what an answered call tells of the provider; first is its first
// number's outcome. It returns the pause if that opens the circuit.
func (c *core[W]) learn(t tick, b *packed[W], first *providers.Outcome) time.Duration {
	switch alone := len(b.units) == 1; {
	case alone && b.probe && first.Kind == providers.Invalid:
		// It may refuse every number that way: only an answer shows that it is well.
		return c.failed(t, b, &providers.Failure{Kind: providers.KindRefused, Message: "the number it was tried with was called invalid"}, false)
	case !alone || first.Kind != providers.Failed:
		b.part.health.success(t)
	case b.probe, ruleOf(failureOf(first).Kind).number != actNext:
		// One number that failed by itself is no news, unless such failures pile up,
		// or news was what the call was made for.
		return c.failed(t, b, failureOf(first), false)
	}
	return 0
}

// innocent reports whether a number failed for others of its call.
func innocent(o *providers.Outcome) bool { return o.Failure != nil && o.Failure.Innocent }

// withoutRaw copies outcomes for keeping: raw objects are large and are never shared.
func withoutRaw(outcomes []providers.Outcome) []providers.Outcome {
	kept := make([]providers.Outcome, len(outcomes))
	copy(kept, outcomes)
	for i := range kept {
		kept[i].Raw = nil
	}
	return kept
}

// numberFailed decides about one number that failed by itself: in a reply that
// answered others, or after its call.
func (c *core[W]) numberFailed(t tick, u *unit[W], key string, o *providers.Outcome) {
	late := u.state == pending
	f := failureOf(o)
	rule := ruleOf(f.Kind)
	bump(&u.burned)
	bump(&u.own)
	if rule.doubtful {
		bump(&u.doubtful)
	}
	if rule.number == actNext || c.exhausted(u, f, u.own) {
		c.end(u, ending{verdict: NextProvider, outcome: o, failure: f, key: key})
		return
	}
	switch {
	case u.part.health.open:
		c.requeue(u)
	case late:
		c.gather(t, u)
	default:
		c.later(u)
	}
}

// exhausted reports whether u may not be asked again after f, which is one of
// alike failures: the number's own, or its calls'.
func (c *core[W]) exhausted(u *unit[W], f *providers.Failure, alike uint8) bool {
	return int(u.burned) >= c.cfg.retry.Attempts || f.Tries > 0 && int(alike) >= f.Tries || u.doubtful >= maxDoubtful
}

// end reports u and forgets it.
func (c *core[W]) end(u *unit[W], e ending) {
	c.report(u, e)
	c.drop(u)
}

// callFailed decides about a call that brought nothing, by the verdict table.
func (c *core[W]) callFailed(t tick, b *packed[W], f *providers.Failure) {
	switch actionFor(f) {
	case actPauseKey, actQuarantineKey:
		c.requeueAll(b)
	case actNext:
		for _, u := range b.units {
			c.end(u, ending{verdict: NextProvider, failure: f})
		}
	case actSplit:
		c.tooMany(b, f)
	case actPauseProvider:
		b.opened = c.failed(t, b, f, true)
		c.requeueAll(b)
	case actBlame:
		c.blame(t, b, f)
	case actRetry:
		c.transient(t, b, f)
	}
}

// callUnfinished has the numbers asked again at once, as if they had not been asked.
// It is bounded by the provider, whose calls come nearer to the answers each time.
func (c *core[W]) callUnfinished(t tick, b *packed[W], f *providers.Failure) {
	b.part.rest = t + min(f.RetryAfter, longestPause)
	if f.RetryAfter <= 0 {
		b.part.health.success(t)
	}
	for _, u := range b.units {
		if u.tries > 0 {
			u.tries--
		}
		c.requeue(u)
	}
}

// tooMany halves the partition's batches for good: the configured size is wrong.
func (c *core[W]) tooMany(b *packed[W], f *providers.Failure) {
	if len(b.units) == 1 {
		c.end(b.units[0], ending{verdict: NextProvider, failure: f})
		return
	}
	if half := len(b.units) / 2; half < b.part.max {
		b.part.max, b.shrunk = half, half
	}
	c.requeueAll(b)
}

// blame decides about a batch that was refused for what is in it, or so the
// upstream says: bisect it while other batches succeed, else doubt the provider.
func (c *core[W]) blame(t tick, b *packed[W], f *providers.Failure) {
	h := &b.part.health
	if b.part.max == 1 && !h.open && h.failures+1 < failuresInARow {
		// Calls of one number leave nothing to bisect: the number is at fault, until
		// too many are in a row.
		h.failures++
		c.end(b.units[0], ending{verdict: NextProvider, failure: rejected(f)})
		return
	}
	proven := h.proven(t)
	b.opened = c.failed(t, b, f, false)
	switch {
	case proven && len(b.units) == 1:
		c.end(b.units[0], ending{verdict: NextProvider, failure: rejected(f)})
	case proven && !b.part.health.open:
		c.split(c.settled(b.units), 2, t)
	default:
		for _, u := range b.units {
			bump(&u.pauses)
			if u.pauses >= unitPauses {
				c.end(u, ending{verdict: NextProvider, failure: rejected(f)})
				continue
			}
			c.requeue(u)
		}
	}
}

// rejected is a refused batch as seen by the one number that is in it.
func rejected(f *providers.Failure) *providers.Failure {
	if f.Kind != providers.KindRefused {
		return f
	}
	return &providers.Failure{Kind: providers.KindRejected, Code: f.Code, Message: f.Message}
}

// doubtfulWays is in how many groups a batch is split that fails in doubtful
// ways: they may not be asked often enough to halve it.
const doubtfulWays = 8

// transient retries a call that failed. While the circuit is closed that uses up
// an attempt; a batch that keeps failing while others succeed is split, so that
// the number that makes it fail takes no others with it. Where the budget does
// not allow that, it is retried as it is.
func (c *core[W]) transient(t tick, b *packed[W], f *providers.Failure) {
	b.opened = c.failed(t, b, f, false)
	doubtful, open := ruleOf(f.Kind).doubtful, b.part.health.open
	splits := b.suspect && len(b.units) > 1 // splitting uses up no attempt
	ways := 2
	if doubtful {
		ways = doubtfulWays
	}
	ways = min(ways, len(b.units))
	suspicious := b.part.max > 1 && c.budget.tokens >= float64(ways)
	var suspects []*unit[W]
	for _, u := range b.units {
		if doubtful {
			bump(&u.doubtful)
		}
		if !open && !splits {
			bump(&u.burned)
		}
		switch {
		case c.exhausted(u, f, u.burned):
			c.end(u, ending{verdict: NextProvider, failure: f})
		case open:
			c.requeue(u)
		case suspicious && (u.burned >= 2 || b.suspect):
			suspects = append(suspects, u)
		default:
			c.later(u)
		}
	}
	if suspects = c.settled(suspects); len(suspects) == 0 {
		return
	}
	c.split(suspects, ways, t+c.jitter(step(c.backoff, int(suspects[0].burned))))
}

// requeue asks for u again as soon as there is a permit.
func (c *core[W]) requeue(u *unit[W]) {
	if u = c.settle(u); u != nil {
		c.again(u)
	}
}

func (c *core[W]) requeueAll(b *packed[W]) {
	for _, u := range b.units {
		c.requeue(u)
	}
}

// later asks for u again after the backoff of its attempts. What fails together
// comes back together: the groups are cut from one jittered time each.
func (c *core[W]) later(u *unit[W]) {
	if u = c.settle(u); u == nil {
		return
	}
	i := min(int(u.burned), len(c.delayed)-1)
	if c.delayed[i] == nil {
		c.delayed[i] = &group[W]{part: u.part}
	}
	c.delayed[i].park(u)
}

// park gives the groups that later has made their times.
func (c *core[W]) park(t tick) {
	for i, g := range c.delayed {
		if g == nil {
			continue
		}
		g.at = t + c.jitter(step(c.backoff, i))
		c.groups.push(g)
		c.delayed[i] = nil
	}
}

// remember keeps the answer of u for those that ask within a moment, and lets
// its waiters go. Of a number with several units, only the newest one's is kept.
func (c *core[W]) remember(t tick, now time.Time, u *unit[W], o *providers.Outcome) {
	if u.detached || c.cfg.recentCount == 0 {
		c.drop(u)
		return
	}
	u.one[0] = waiter[W]{}
	u.waiters = nil
	u.state, u.outcome = recent, o
	u.since, u.answered = t, now.UnixNano()
	c.recents.pushBack(u)
}

// evict forgets the oldest recent answers beyond their count and age.
func (c *core[W]) evict(t tick) {
	for u := c.recents.head; u != nil; u = c.recents.head {
		if c.recents.n <= c.cfg.recentCount && t-u.since <= c.cfg.recentAge {
			return
		}
		c.recents.remove(u)
		c.drop(u)
	}
}
