package batch

import (
	"strconv"
	"testing"
	"time"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// benchWaiter has the shape of the worker's: a job and an index.
type benchWaiter struct {
	job   *int
	index int32
}

// BenchmarkCore takes numbers through the core: added in jobs of a size, cut in
// batches of 1,000, answered. One op is one number.
func BenchmarkCore(b *testing.B) {
	for _, size := range []int{500, 1} {
		for _, tenants := range []int{1, 8} {
			b.Run("job="+strconv.Itoa(size)+"/tenants="+strconv.Itoa(tenants), func(b *testing.B) {
				benchCore(b, size, tenants)
			})
		}
	}
}

func benchCore(b *testing.B, size, tenants int) {
	const batch, distinct = 1000, 1 << 17
	now := time.Unix(1_700_000_000, 0)
	cfg := testCoreConfig[benchWaiter]()
	cfg.maxBatch, cfg.recentCount = batch, defaultRecentCount
	c := newCore(now, cfg)
	items := benchItems(distinct, tenants)
	outcomes := make([]providers.Outcome, batch)
	for i := range outcomes {
		outcomes[i] = providers.Outcome{Kind: providers.Found, Facts: providers.Facts{Country: "CN", Area: "湖北-襄樊"}}
	}
	reply := providers.Reply{Outcomes: outcomes}
	b.ReportAllocs()
	b.ResetTimer()
	added, answered := 0, 0
	for answered < b.N {
		for c.unsent[names.Normal] < 4*batch {
			at := added % distinct
			c.add(now, items[at:min(at+size, distinct)])
			added += size
		}
		p := c.cut(now, batch)
		answered += len(c.resolve(now, p, "main", &reply))
		now = now.Add(time.Millisecond)
	}
}

func benchItems(n, tenants int) []Item[benchWaiter] {
	items := make([]Item[benchWaiter], n)
	job := new(int)
	for i := range items {
		tenant := "tenant-" + strconv.Itoa(i/500%tenants)
		e164 := "+8613" + strconv.Itoa(100_000_000+i)
		items[i] = Item[benchWaiter]{
			Number:    providers.Number{E164: e164, CountryCode: "86", National: e164[3:]},
			Partition: "carrier/CN", Priority: names.Normal, Tenant: tenant, Campaign: "nightly-1121", ShareGroup: tenant,
			Waiter: benchWaiter{job: job, index: int32(i)},
		}
	}
	return items
}
