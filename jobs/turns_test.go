package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/internal/names"
)

// world plays the server and the clock for turns.
type world struct {
	turns
	now   int64
	lanes []*lane
	got   map[*lane]int // items
}

func newWorld(slots, durables int) *world {
	return &world{
		turns: turns{
			slots: slots, maxDurables: durables, minTurn: 10 * time.Millisecond, idleAfter: time.Second,
			forgets: 80 * time.Millisecond, classes: make(map[classKey]*class),
		},
		now: 1, got: make(map[*lane]int),
	}
}

func (w *world) add(route string, p names.Priority, tenant string, weight int) *lane {
	l := &lane{avail: 1 << 40, average: 1}
	w.class(route, p).join(l, tenant, weight)
	w.lanes = append(w.lanes, l)
	w.enqueue(l, w.now)
	return l
}

// expire lets durables go that were not used for 100 ms, and counts the others.
func (w *world) expire() {
	w.durables = 0 // as counted by a poll
	for _, l := range w.lanes {
		if l.durableAt != 0 && w.now-l.durableAt > 100*msec {
			l.durableAt = 0
		}
		if l.durableAt != 0 {
			w.durables++
		}
	}
}

// step pulls once for the class, as the loop would, jobs of so many items each.
func (w *world) step(c *class, quantum float64, items int) bool {
	l := w.next(c, quantum, w.now)
	if l == nil {
		return false
	}
	if l.durableAt == 0 {
		w.redeem(l)
		if !w.mayCreate(c.priority) { // it was only tried whether it exists
			w.rest(l, w.now)
			return false
		}
		w.durables++
	}
	l.durableAt, l.pulledAt = w.now, w.now
	l.average, l.jobs = float64(items), 1000
	n := pullSize(l, 1e9)
	l.charge(float64(n * items))
	w.got[l] += n * items
	return true
}

func (w *world) total() (sum int) {
	for _, n := range w.got {
		sum += n
	}
	return sum
}

// Every backlogged tenant gets its weight's share, whatever the size of its jobs
// and the number of its campaigns; and inside a tenant each campaign the same.
func TestSharesFollowWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tenants := rapid.IntRange(1, 6).Draw(t, "tenants")
		w := newWorld(64, 256)
		size := map[*lane]int{}
		weights, sum := make([]int, tenants), 0
		for i := range tenants {
			weights[i] = rapid.IntRange(1, 5).Draw(t, "weight")
			sum += weights[i]
			for range rapid.IntRange(1, 5).Draw(t, "campaigns") {
				size[w.add("r", names.Normal, fmt.Sprint(i), weights[i])] = rapid.SampledFrom([]int{1, 7, 100, 500, 1000}).Draw(t, "items")
			}
		}
		c := w.class("r", names.Normal)
		const quantum = 1000
		for w.total() < 200*quantum*sum {
			w.now += msec
			l := w.next(c, quantum, w.now)
			require.NotNil(t, l)
			l.average, l.jobs = float64(size[l]), 1000
			n := pullSize(l, 1e9)
			l.charge(float64(n * size[l]))
			w.got[l] += n * size[l]
		}
		per := map[string]float64{}
		lanes := map[string]int{}
		for _, l := range w.lanes {
			per[l.tenant.name] += float64(w.got[l])
			lanes[l.tenant.name]++
		}
		for i := range tenants {
			name := fmt.Sprint(i)
			want := float64(w.total()) * float64(weights[i]) / float64(sum)
			require.InEpsilon(t, want, per[name], 0.05, "tenant %s of weights %v", name, weights)
			for _, l := range w.lanes {
				if l.tenant.name == name {
					require.InEpsilon(t, per[name]/float64(lanes[name]), float64(w.got[l]), 0.08)
				}
			}
		}
	})
}

// However many lanes there are, each is served in time, and neither bound is
// broken.
func TestNoLaneStarves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 16).Draw(t, "slots")
		durables := slots + rapid.IntRange(1, 32).Draw(t, "spare durables")
		lanes := rapid.IntRange(1, 80).Draw(t, "lanes")
		w := newWorld(slots, durables)
		for i := range lanes {
			w.add("r", names.Normal, fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "tenant")), 1+i%3)
		}
		c := w.class("r", names.Normal)
		quantum := func(string) float64 { return 10 }
		for ms := 0; len(w.got) < lanes; ms++ {
			// A durable lives 100 ms after its last use, so this many are possible.
			if ms > 2000+lanes*400 {
				require.Fail(t, "starved", "lanes without service: %d of %d", lanes-len(w.got), lanes)
			}
			w.now += msec
			for range 5 {
				w.step(c, 10, 1)
				if w.active > slots || w.durables > durables {
					require.Fail(t, "bound broken", "active %d of %d, durables %d of %d", w.active, slots, w.durables, durables)
				}
			}
			if ms%20 == 0 {
				w.expire()
				w.letGo(quantum, w.now)
			}
		}
	})
}

// A lane that goes in and out of line, as short campaigns do, loses nothing and
// gains nothing.
func TestLinesStayConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(4, 8)
		for i := range 12 {
			w.add("r", names.Priority(i%3), fmt.Sprint(i%4), 1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"in":  func(t *rapid.T) { w.enqueue(rapid.SampledFrom(w.lanes).Draw(t, "lane"), w.now) },
			"out": func(t *rapid.T) { w.dequeue(rapid.SampledFrom(w.lanes).Draw(t, "lane")) },
			"busy": func(t *rapid.T) {
				l := rapid.SampledFrom(w.lanes).Draw(t, "lane")
				l.retryAt = w.now + 50*msec
			},
			"step": func(t *rapid.T) {
				w.now += msec
				w.step(w.class("r", names.Priority(rapid.IntRange(0, 2).Draw(t, "priority"))), 10, 1)
			},
			"expire": func(*rapid.T) { w.expire() },
			"tidy": func(*rapid.T) {
				for _, c := range w.classes {
					c.tidy()
				}
			},
			"": func(t *rapid.T) {
				active := 0
				for _, c := range w.classes {
					for _, tn := range c.ring {
						require.True(t, tn.inRing)
						active += len(tn.active)
						require.True(t, tn.cur == 0 || tn.cur < len(tn.active))
					}
				}
				require.Equal(t, w.active, active, "a lane in line belongs to a tenant in the ring")
				waiting := 0
				for _, l := range w.lanes {
					switch l.place {
					case placeActive:
						require.Contains(t, l.tenant.active, l)
					case placeWaiting:
						require.Contains(t, l.tenant.waiting, l)
						waiting++
					case placeNone:
						require.NotContains(t, l.tenant.active, l)
						require.NotContains(t, l.tenant.waiting, l)
					}
				}
			},
		})
	})
}

// An urgent lane gets a slot and a durable though bulk has taken all it may.
func TestHighPriorityFindsRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(16, 32)
	for range 100 {
		w.add("r", names.Bulk, "big", 1)
	}
	bulk := w.class("r", names.Bulk)
	for range 200 {
		w.now += msec
		w.step(bulk, 10, 1)
	}
	require.Equal(t, 14, w.active)
	high := w.add("r", names.High, "small", 1)
	require.Same(t, high, w.next(high.class, 10, w.now))
}

// A tenant that comes later is served at once, though another holds every slot
// and there is no room to pull for it.
func TestNewTenantTakesASlot(t *testing.T) {
	t.Parallel()
	w := newWorld(8, 64)
	for range 20 {
		w.add("r", names.Normal, "big", 1)
	}
	c := w.class("r", names.Normal)
	require.True(t, w.step(c, 1000, 1))
	require.Equal(t, 8, w.active)
	small := w.add("r", names.Normal, "small", 1)
	w.now += 10 * msec
	for range 3 {
		w.step(c, 1000, 1)
		w.now += msec
	}
	require.Equal(t, placeActive, small.place)
}

// Lanes of a route that cannot be used now give their slots to others.
func TestIdleLanesGiveTheirSlots(t *testing.T) {
	t.Parallel()
	w := newWorld(4, 64)
	for range 10 {
		w.add("down", names.High, "t", 1)
	}
	require.True(t, w.step(w.class("down", names.High), 1000, 1))
	up := w.add("up", names.Bulk, "t", 1)
	require.False(t, w.step(up.class, 1000, 1), "busy lanes of a higher priority keep theirs")
	w.now += int64(2 * time.Second)
	require.True(t, w.step(up.class, 1000, 1))
	require.Equal(t, placeActive, up.place)
}
