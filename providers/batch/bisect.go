package batch

import (
	"math/bits"
	"time"

	"github.com/lookupq/lookupq/internal/names"
)

// group is units that are parked together: retries until their time comes, or
// suspects, which are asked together and with nobody else.
type group[W any] struct {
	list[W]

	part    *partition[W]
	at      tick
	suspect bool
	broke   bool // its units wait for money
	prio    names.Priority
}

// groupHeap is the parked groups, next one first.
type groupHeap[W any] []*group[W]

// next is the time of the first group.
func (h groupHeap[W]) next() (tick, bool) {
	if len(h) == 0 {
		return 0, false
	}
	return h[0].at, true
}

func (h *groupHeap[W]) push(g *group[W]) {
	s := append(*h, g)
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
	*h = s
}

func (h *groupHeap[W]) pop() *group[W] {
	s := *h
	g, end := s[0], len(s)-1
	s[0], s[end] = s[end], nil
	s = s[:end]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < end; child++ {
			if s[child].at < s[least].at {
				least = child
			}
		}
		if least == i {
			break
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
	*h = s
	return g
}

// park puts u into g, to be asked when g's time comes.
func (g *group[W]) park(u *unit[W]) {
	u.state = parked
	g.prio = max(g.prio, u.prio)
	g.pushBack(u)
}

// ripen releases the groups whose time has come.
func (c *core[W]) ripen(t tick) {
	for {
		at, ok := c.groups.next()
		if !ok || at > t {
			return
		}
		g := c.groups.pop()
		if g.suspect {
			if g.n > 0 {
				g.part.suspects = append(g.part.suspects, g)
			}
			continue
		}
		for u := g.head; u != nil; u = g.head {
			g.remove(u)
			c.solvent(u)
			c.again(u)
		}
	}
}

// split parks the units in as many groups as ways, to find out which of them
// spoils the batch.
func (c *core[W]) split(units []*unit[W], ways int, at tick) {
	ways = min(ways, len(units))
	for i := range ways {
		g := &group[W]{part: units[0].part, at: at, suspect: true}
		for _, u := range units[len(units)*i/ways : len(units)*(i+1)/ways] {
			g.park(u)
		}
		c.groups.push(g)
	}
}

// dropSuspects forgets the first group of suspects.
func (p *partition[W]) dropSuspects() {
	end := len(p.suspects) - 1
	copy(p.suspects, p.suspects[1:])
	p.suspects[end] = nil
	p.suspects = p.suspects[:end]
}

const (
	// bisectShare is what an ordinary call adds to the budget of bisecting.
	bisectShare = 1.0 / 12
	// answeredShare is what each answered number adds: to find one bad number takes
	// about as many refusals as the batch can be halved, eight or so, and one number
	// in a hundred may be bad. Where many more are, the budget is spent at once: the
	// fault is the provider's then, not the numbers'.
	answeredShare = 1.0 / 8
	// bisectPatience is when a suspect is asked although the budget is spent: on a
	// worker with little to do no ordinary calls would ever pay for it.
	bisectPatience = 10 * time.Second
)

// budget bounds the calls of bisecting that are refused; those that bring answers
// cost nothing. It starts with enough to find one number in one full batch, and
// holds what a full batch's answers are worth, or a few numbers.
type budget struct {
	tokens, limit float64
	spent         tick // when the last one was spent
}

func newBudget(maxBatch int) budget {
	enough := float64(2 * (bits.Len(uint(max(maxBatch, 1))) + 1))
	return budget{tokens: enough, limit: max(4*enough, answeredShare*float64(maxBatch))}
}

// called adds what an ordinary call is worth.
func (b *budget) called() { b.add(bisectShare) }

// answered adds what a reply is worth that answered n numbers; suspect gives back
// what its call has spent.
func (b *budget) answered(n int, suspect bool) {
	b.add(float64(n) * answeredShare)
	if suspect {
		b.add(1)
	}
}

func (b *budget) add(tokens float64) { b.tokens = min(b.limit, b.tokens+tokens) }

// from is when the next suspects may be asked.
func (b *budget) from(t tick) tick {
	if b.tokens >= 1 {
		return t
	}
	return b.spent + bisectPatience
}

func (b *budget) allows(t tick) bool { return b.from(t) <= t }

func (b *budget) spend(t tick) {
	b.tokens = max(0, b.tokens-1)
	b.spent = t
}
