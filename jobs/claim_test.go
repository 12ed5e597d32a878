package jobs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
)

func TestClaimHandsOutEveryJobOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := testLane("acme", "c1")
	r.publish(l, "j", 500, 3)
	c := r.claim(Config{}, newDemand(1_000_000))
	seen := map[uint64]bool{}
	for range 500 {
		h := c.next()
		require.False(t, seen[h.Seq])
		seen[h.Seq] = true
		require.Equal(t, l, h.Lane)
		require.Equal(t, 3, h.Items)
		require.EqualValues(t, 1, h.Delivered)
		require.True(t, h.Fresh())
		require.NotEmpty(t, h.Header.Get("Nats-Msg-Id"))
		require.WithinDuration(t, time.Now(), h.Stored, time.Minute)
		h.Ack(nil)
	}
	eventually(t, "all acked", func() bool { return c.Status().Held == 0 })
	require.Zero(t, r.left())
	c.none(10 * time.Millisecond)
}

func TestNewLaneIsServedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.claim(Config{}, newDemand(1000))
	eventually(t, "first poll", func() bool { return !c.Status().PolledAt.IsZero() })
	for i := range 5 {
		start := time.Now()
		r.publish(testLane("acme", fmt.Sprint("c", i)), "j", 1, 1)
		c.ack(c.next())
		require.Less(t, time.Since(start), time.Second)
	}
}

// Without the wake-up, as with a stream that does not republish, the poll finds it.
func TestNewLaneIsFoundByThePoll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, err := r.js.Stream(t.Context(), r.n.JobsStream())
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.RePublish = nil
	_, err = r.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	c := r.claim(Config{Poll: 100 * time.Millisecond}, newDemand(1000))
	r.publish(testLane("acme", "c1"), "j", 40, 1)
	for range 40 {
		c.next().Ack(nil)
	}
}

func TestPausedLaneIsNotPulled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDemand(1000)
	l := testLane("acme", "c1")
	d.paused.Store(l, true)
	r.publish(l, "j", 3, 1)
	r.publish(testLane("acme", "c2"), "j", 1, 1)
	c := r.claim(Config{Poll: 50 * time.Millisecond}, d)
	require.Equal(t, "c2", c.next().Lane.Campaign)
	c.none(200 * time.Millisecond)
	d.paused.Delete(l)
	c.Wake()
	for range 3 {
		require.Equal(t, l, c.next().Lane)
	}
}

func TestRoomBoundsWhatIsHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDemand(0)
	d.counted = true
	r.publish(testLane("acme", "c1"), "j", 100, 10)
	c := r.claim(Config{Poll: 50 * time.Millisecond}, d)
	c.none(200 * time.Millisecond)
	d.room.Store(55)
	c.Wake()
	for range 6 {
		c.next()
	}
	c.none(100 * time.Millisecond) // over by less than a job
}

func TestPriorityFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := newDemand(0)
	d.counted = true
	for _, p := range []names.Priority{names.Bulk, names.High, names.Normal} {
		l := testLane("acme", "c1")
		l.Priority = p
		r.publish(l, "j", 20, 1)
	}
	c := r.claim(Config{}, d)
	eventually(t, "lanes known", func() bool { return c.Status().Known == 3 })
	d.room.Store(10)
	c.Wake()
	var order []names.Priority
	for range 60 {
		h := c.next()
		order = append(order, h.Lane.Priority)
		h.Ack(nil)
		d.room.Add(1)
		c.Wake()
	}
	// An answer that is late on a loaded machine is not waited for, so a few may overtake.
	sorted := slices.Clone(order)
	slices.SortFunc(sorted, func(a, b names.Priority) int { return int(b) - int(a) })
	misplaced := 0
	for i := range order {
		if order[i] != sorted[i] {
			misplaced++
		}
	}
	require.LessOrEqual(t, misplaced, 12, "%v", order)
}
