package jobs

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
)

// Many more lanes than may be active, and than there may be durables: all are
// served, and no bound is broken.
func TestMoreLanesThanActive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const lanes, jobs = 40, 12
	for i := range lanes {
		r.publish(testLane(fmt.Sprint("t", i%3), fmt.Sprint("c", i)), "j", jobs, 1)
	}
	d := newDemand(100)
	d.quantum = 4
	c := r.claim(Config{
		LanesActive: 4, LanesMax: 12, Poll: 50 * time.Millisecond, inactive: 200 * time.Millisecond, AckWait: 2 * time.Second,
	}, d)
	left := map[string]int{}
	for range lanes * jobs {
		h := c.next()
		left[h.Subject]++
		h.Ack(nil)
		if s := c.Status(); s.Active > 4 || s.Durables > 12 {
			require.Fail(t, "bound broken", "%+v", s)
		}
	}
	require.Len(t, left, lanes)
	eventually(t, "all acked", func() bool { return c.Status().Held == 0 })
	require.Zero(t, r.left())
}

// Lanes of one job each, as one-job campaigns make them, turn over.
func TestManyShortLanes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const lanes = 150
	c := r.claim(Config{LanesActive: 8, LanesMax: 32, Poll: 50 * time.Millisecond, inactive: 200 * time.Millisecond, AckWait: 2 * time.Second}, newDemand(100))
	for i := range lanes {
		r.publish(testLane("acme", fmt.Sprint("c", i)), "j", 1, 1)
	}
	for range lanes {
		c.next().Ack(nil)
	}
	eventually(t, "all acked", func() bool { return c.Status().Held == 0 })
	require.Zero(t, r.left())
}

// A worker that wants little at a time gives tenants their weight's share.
func TestClaimedSharesFollowWeights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDemand(0)
	d.counted = true
	d.quantum = 20
	d.weights = map[string]int{"heavy": 3, "light": 1}
	r.publish(testLane("heavy", "c1"), "j", 1200, 1)
	r.publish(testLane("light", "c1"), "j", 200, 2)
	r.publish(testLane("light", "c2"), "j", 200, 2)
	c := r.claim(Config{}, d)
	eventually(t, "lanes known", func() bool { return c.Status().Known == 3 })
	d.room.Store(60)
	c.Wake()
	got := map[string]int{}
	for total := 0; total < 1200; {
		h := c.next()
		got[h.Lane.Tenant] += h.Items
		got[h.Lane.Tenant+h.Lane.Campaign] += h.Items
		total += h.Items
		h.Ack(nil)
		d.room.Add(int64(h.Items))
		c.Wake()
	}
	require.InEpsilon(t, 900, got["heavy"], 0.05)
	require.InEpsilon(t, 300, got["light"], 0.15)
	require.InDelta(t, got["lightc1"], got["lightc2"], 45)
}

// A new tenant is served at once though another has a backlog on every lane.
func TestNewTenantIsServedUnderBacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 12 {
		r.publish(testLane("big", fmt.Sprint("c", i)), "j", 300, 1)
	}
	d := newDemand(0)
	d.counted = true
	d.quantum = 10
	c := r.claim(Config{LanesActive: 4, LanesMax: 16}, d)
	eventually(t, "lanes known", func() bool { return c.Status().Known == 12 })
	d.room.Store(20)
	c.Wake()
	var published time.Time
	for n := 0; ; n++ {
		h := c.next()
		if h.Lane.Tenant == "small" {
			break
		}
		h.Ack(nil)
		d.room.Add(1)
		c.Wake()
		if n == 200 {
			published = time.Now()
			r.publish(testLane("small", "x"), "j", 1, 1)
		}
	}
	require.False(t, published.IsZero())
	require.Less(t, time.Since(published), time.Second)
}

func TestTwoWorkersShareLanes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const lanes, jobs = 6, 300
	for i := range lanes {
		r.publish(testLane("acme", fmt.Sprint("c", i)), "j", jobs, 1)
	}
	da, db := newDemand(50), newDemand(50)
	da.counted, db.counted = true, true
	a := r.claim(Config{Poll: 50 * time.Millisecond}, da)
	b := r.claim(Config{Poll: 50 * time.Millisecond}, db)
	seen := map[uint64]bool{}
	counts := [2]int{}
	deadline := time.After(patience)
	for len(seen) < lanes*jobs {
		var h *Held
		select {
		case h = <-a.jobs:
			counts[0]++
			da.room.Add(1)
			a.Wake()
		case h = <-b.jobs:
			counts[1]++
			db.room.Add(1)
			b.Wake()
		case <-deadline:
			require.FailNow(t, "jobs missing", "%d of %d", len(seen), lanes*jobs)
		}
		require.False(t, seen[h.Seq], "given to two workers")
		seen[h.Seq] = true
		h.Ack(nil)
	}
	require.Greater(t, counts[0], lanes*jobs/10)
	require.Greater(t, counts[1], lanes*jobs/10)
}

// The server goes away and comes back while jobs are claimed and acknowledged:
// nothing is lost, and nothing is handed out while it is held.
func TestServerRestartUnderClaims(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const lanes, jobs = 4, 1200
	for i := range lanes {
		r.publish(testLane("acme", fmt.Sprint("c", i)), "j", jobs, 1)
	}
	d := newDemand(500)
	d.counted = true
	c := r.claim(Config{AckWait: 3 * time.Second, Poll: 50 * time.Millisecond, stranded: 2 * time.Second}, d)
	answered := map[string]bool{}
	var window []*Held
	held := map[string]bool{}
	acked := make(chan struct{}, lanes*jobs*2)
	for n := 0; len(answered) < lanes*jobs; n++ {
		h := c.next()
		id := h.Subject + jobID(h)
		require.False(t, held[id], "handed out twice while held: %s", id)
		held[id] = true
		window = append(window, h)
		if n == 1000 || n == 3000 {
			r.Restart()
		}
		if len(window) < 100 {
			continue
		}
		h, window = window[0], window[1:]
		id = h.Subject + jobID(h)
		answered[id] = true
		delete(held, id)
		h.Ack(func(err error) {
			if err != nil {
				t.Error(err)
			}
			d.room.Add(1)
			c.Wake()
			acked <- struct{}{}
		})
		if len(answered) > lanes*jobs-100 {
			break
		}
	}
	for _, h := range window {
		answered[h.Subject+jobID(h)] = true
		h.Ack(nil)
	}
	eventually(t, "every job was handed out", func() bool {
		for {
			select {
			case h := <-c.jobs:
				answered[h.Subject+jobID(h)] = true
				h.Ack(nil)
				d.room.Add(1)
			default:
				return len(answered) == lanes*jobs && r.left() == 0
			}
		}
	})
}

// Durables vanish under load, as an operator or a partition may cause: nothing
// is lost and nothing is handed out while it is held.
func TestDurablesDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := testLane("acme", "c1")
	const jobs = 2000
	r.publish(l, "j", jobs, 1)
	d := newDemand(200)
	d.counted = true
	c := r.claim(Config{AckWait: 5 * time.Second, Poll: 50 * time.Millisecond}, d)
	held := map[uint64]bool{}
	var window []*Held
	answered := map[uint64]bool{}
	answer := func(h *Held) {
		answered[h.Seq] = true
		delete(held, h.Seq)
		h.Ack(func(error) {
			d.room.Add(1)
			c.Wake()
		})
	}
	for n := 0; len(answered) < jobs-50; n++ {
		if n%400 == 200 {
			require.NoError(t, r.js.DeleteConsumer(t.Context(), r.n.JobsStream(), l.Durable()))
		}
		h := c.next()
		require.False(t, held[h.Seq], "handed out twice while held")
		held[h.Seq] = true
		if window = append(window, h); len(window) > 50 {
			answer(window[0])
			window = window[1:]
		}
	}
	for _, h := range window {
		answer(h)
	}
	eventually(t, "nothing left", func() bool {
		select {
		case h := <-c.jobs:
			answer(h)
		default:
		}
		return r.left() == 0
	})
	require.Len(t, answered, jobs)
}

// Jobs of 1,000 items after jobs of one do not bring a hundred times the room.
func TestPullSize(t *testing.T) {
	t.Parallel()
	mk := func(average float64, jobs int, avail uint64) *lane {
		return &lane{average: average, jobs: jobs, avail: avail, deficit: 2000, tenant: &tenant{deficit: 3000}}
	}
	for name, tc := range map[string]struct {
		l    *lane
		room float64
		want int
	}{
		"first":              {mk(0, 0, 1e6), 10_000, 1},
		"second":             {mk(1, 1, 1e6), 10_000, 4},
		"third":              {mk(1, 5, 1e6), 10_000, 20},
		"full":               {mk(1, 400, 1e6), 10_000, 256},
		"large jobs":         {mk(500, 400, 1e6), 10_000, 4},
		"larger than room":   {mk(500, 400, 1e6), 100, 1},
		"little room":        {mk(1, 400, 1e6), 7, 7},
		"no more than there": {mk(1, 400, 3), 10_000, 3},
	} {
		require.Equal(t, tc.want, pullSize(tc.l, tc.room), name)
	}
}

func TestLearn(t *testing.T) {
	t.Parallel()
	l := &lane{}
	learn(l, 10)
	require.InDelta(t, 10, l.average, 0)
	learn(l, 1000)
	require.InDelta(t, 1000, l.average, 0, "up at once")
	for range 12 {
		learn(l, 1)
	}
	require.Less(t, l.average, 1.5, "down within some pulls")
}

func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDemand(30)
	d.counted = true
	paused := names.Lane{Route: "r", Priority: names.Bulk, Tenant: "acme", Campaign: "_"}
	d.paused.Store(paused, true)
	r.publish(testLane("acme", "c1"), "j", 50, 1)
	r.publish(paused, "j", 7, 1)
	c := r.claim(Config{Poll: 50 * time.Millisecond}, d)
	for range 30 {
		c.next()
	}
	want := []LaneStatus{
		{Lane: testLane("acme", "c1"), Waiting: 50, Held: 30, Active: true},
		{Lane: paused, Waiting: 7, Paused: true},
	}
	eventually(t, "status", func() bool { return reflect.DeepEqual(want, c.Status().Lanes) })
	s := c.Status()
	require.Equal(t, 30, s.Held)
	require.EqualValues(t, 30, s.Jobs)
	require.Empty(t, s.PollError)
}
