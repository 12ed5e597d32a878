package batch

import (
	"context"
	"strconv"
	"syscall"
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
	b.Helper()
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
	defer processorTime(b)()
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

// BenchmarkCoreDeferred takes numbers through the core of a deferred provider:
// 50,000 of them wait at any time, and their answers come ten at a time. One op
// is one number.
func BenchmarkCoreDeferred(b *testing.B) {
	const batch, distinct, outstanding, receipts = 1000, 1 << 17, 50_000, 10
	now := time.Unix(1_700_000_000, 0)
	cfg := testCoreConfig[benchWaiter]()
	cfg.maxBatch, cfg.recentCount = batch, defaultRecentCount
	c := newCore(now, cfg)
	items := benchItems(distinct, 8)
	reply := taken(batch, "")
	var waiting []parkedNews
	defer processorTime(b)()
	b.ReportAllocs()
	b.ResetTimer()
	for added, answered := 0, 0; answered < b.N; now = now.Add(time.Millisecond) {
		for c.unsent[names.Normal] < batch && c.pending < outstanding {
			at := added % distinct
			n := min(500, distinct-at)
			c.add(now, items[at:at+n])
			added += n
		}
		if p := c.cut(now, batch); p != nil {
			reply.Ticket = strconv.Itoa(added)
			reply.Outcomes = reply.Outcomes[:len(p.units)]
			c.resolve(now, p, "main", &reply)
			reply.Outcomes = reply.Outcomes[:batch]
		}
		waiting = append(waiting, c.takeNews()...)
		numbers := waiting[0].numbers
		for ; len(numbers) > 0 && c.pending > outstanding-batch; numbers = numbers[min(receipts, len(numbers)):] {
			come := make([]Late, min(receipts, len(numbers)))
			for i := range come {
				come[i] = Late{Number: numbers[i], Outcome: providers.Outcome{Kind: providers.Found}}
			}
			c.late(now, waiting[0].ticket, come)
			answered += len(c.take())
		}
		if waiting[0].numbers = numbers; len(numbers) == 0 {
			waiting = waiting[1:]
		}
	}
}

// BenchmarkLoop takes numbers through a running loop, with a provider that
// answers at once and permits that cost nothing. One op is one number.
func BenchmarkLoop(b *testing.B) {
	for _, size := range []int{500, 1} {
		b.Run("job="+strconv.Itoa(size), func(b *testing.B) { benchLoop(b, size) })
	}
}

func benchLoop(b *testing.B, size int) {
	b.Helper()
	const ahead, distinct = 8000, 1 << 17
	items := benchItems(distinct, 8)
	outcomes := found(1000).Outcomes
	room := make(chan int, 1024)
	cfg := Config[benchWaiter]{
		Provider: &instantProvider{outcomes}, Permits: &fakePermits{limit: 4, hint: time.Millisecond},
		Linger: time.Millisecond, Answered: func(a []Answered[benchWaiter]) { room <- len(a) },
	}
	l := NewLoop(cfg)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	defer processorTime(b)()
	b.ReportAllocs()
	b.ResetTimer()
	for added, answered := 0, 0; answered < b.N; {
		if added-answered < ahead {
			at := added % distinct
			at -= at % size
			n := min(size, distinct-at)
			l.Add(items[at : at+n])
			added += n
			continue
		}
		answered += <-room
	}
	b.StopTimer()
	cancel()
	go func() {
		for range room { // what is still on its way
		}
	}()
	if err := <-done; err != nil {
		b.Error(err)
	}
	close(room)
}

// instantProvider finds everything at once.
type instantProvider struct{ outcomes []providers.Outcome }

func (*instantProvider) Limits() providers.Limits { return providers.Limits{MaxBatch: 1000} }

func (*instantProvider) Partition(providers.Number, providers.Options) (string, *providers.Failure) {
	return "", nil
}

func (p *instantProvider) Call(_ context.Context, q providers.Query) providers.Reply {
	return providers.Reply{Outcomes: p.outcomes[:len(q.Numbers)]}
}

// processorTime reports the processor time of an op, collector included: unlike
// the clock's it holds on a machine that is busy with other things.
func processorTime(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
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
