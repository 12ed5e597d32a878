package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func TestPartitionLimits(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"one": 1, "few": 7, "all": 5000, "wrong": 0}
	d := newDesk(t, func(c *coreConfig[int]) {
		c.maxBatch = 1000
		c.limit = func(partition string) int { return limits[partition] }
	})
	in := func(partition string) func(*Item[int]) { return func(it *Item[int]) { it.Partition = partition } }
	d.add(items(1, 3, in("one"))...)
	n, _ := d.core.want(0)
	require.Equal(t, 1, n, "no permit for more, and one is a full batch: no linger")
	d.add(items(10, 1500, in("all"))...)
	d.add(items(2000, 10, in("few"))...)
	d.add(items(3000, 2, in("wrong"))...)
	sizes := map[string][]int{}
	for {
		n, _ := d.core.want(0)
		if n == 0 {
			break
		}
		b := d.cut(1000) // more than was asked for
		sizes[b.part.name] = append(sizes[b.part.name], len(b.units))
		d.answer(b)
	}
	require.Equal(t, map[string][]int{"one": {1, 1, 1}, "all": {1000}, "few": {7}, "wrong": {1, 1}}, sizes)
	d.run(time.Second)
	require.Len(t, d.ends, 1515)

	d.upstream = func(numbers []string) providers.Reply {
		if len(numbers) > 3 {
			return failure(providers.KindTooMany)
		}
		return found(len(numbers))
	}
	d.add(items(4000, 10, in("few"))...)
	d.run(time.Second)
	require.Len(t, d.ends, 1525)
	require.Equal(t, 3, d.core.parts["few"].max)
	d.now = d.now.Add(time.Hour)
	d.core.sweep(d.now)
	require.Contains(t, d.core.parts, "few", "what was learnt is not forgotten")
	require.NotContains(t, d.core.parts, "one")
}

// TestSmallPartitionsCostTheirTenantMore: whose numbers need a call each does not
// take the calls of others.
func TestSmallPartitionsCostTheirTenantMore(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) {
		c.maxBatch = 100
		c.limit = func(partition string) int { return map[string]int{"one": 1, "all": 100}[partition] }
	})
	d.quick = true
	d.add(items(1, 1000, func(it *Item[int]) { it.Partition = "one" })...)
	d.add(items(2000, 2000, func(it *Item[int]) { it.Partition, it.Tenant = "all", "globex" })...)
	full := 0
	for range 20 {
		b := d.cut(100)
		if len(b.units) == 100 {
			full++
		}
		d.answer(b)
	}
	require.InDelta(t, 10, full, 1, "every other call is theirs")
}
