package journal_test

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/journal"
)

// meter measures wall time and the CPU of Redis and of this process, in µs.
type meter struct {
	b   *testing.B
	rdb *redis.Client
	per float64 // jobs
}

func (m *meter) redisCPU() float64 {
	m.b.Helper()
	total := 0.0
	for line := range strings.SplitSeq(m.rdb.Info(m.b.Context(), "cpu").Val(), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(m.b, err)
			total += v * 1e6
		}
	}
	return total
}

func (m *meter) ownCPU() float64 {
	m.b.Helper()
	var u syscall.Rusage
	require.NoError(m.b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// measure runs f and reports what it took.
func (m *meter) measure(name string, f func()) {
	m.b.Helper()
	r, o, t := m.redisCPU(), m.ownCPU(), time.Now()
	f()
	m.b.ReportMetric(float64(time.Since(t).Microseconds())/m.per, name+"-µs")
	m.b.ReportMetric((m.ownCPU()-o)/m.per, name+"-own-µs")
	m.b.ReportMetric((m.redisCPU()-r)/m.per, name+"-redis-µs")
}

// BenchmarkJob is the life of jobs in the journal, a batch at a time: claim,
// settle, done; µs a job, as wall time, own CPU and CPU of Redis (which keeps an
// append-only file).
func BenchmarkJob(b *testing.B) {
	for _, shape := range []struct{ jobs, items int }{{1, 1}, {16, 1}, {100, 1}, {256, 1}, {1000, 1}, {20, 500}} {
		b.Run(fmt.Sprintf("%dx%d", shape.jobs, shape.items), func(b *testing.B) {
			r := embeddedtest.RunRedis(b)
			j := newJournal(r)
			m := &meter{b: b, rdb: r.Client(), per: float64(b.N * shape.jobs)}
			p := journal.Part{At: time.Now()}
			for i := range shape.items {
				p.Items.Set(i)
			}
			lists := variety(shape.jobs, shape.items)
			reqs := make([][]journal.ClaimRequest, b.N)
			entries := make([][]journal.Entry, b.N)
			slots := make([][]*journal.Slot, b.N)
			for n := range reqs {
				reqs[n] = make([]journal.ClaimRequest, shape.jobs)
				for i := range reqs[n] {
					reqs[n][i] = request(fmt.Sprintf("%d-%d", n, i), shape.items)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			m.measure("claim", func() {
				for n := range reqs {
					replies, err := j.Claim(b.Context(), journal.NewOwner(), reqs[n])
					require.NoError(b, err)
					entries[n] = make([]journal.Entry, len(replies))
					slots[n] = make([]*journal.Slot, len(replies))
					for i := range replies {
						slots[n][i] = replies[i].Slot
						entries[n][i] = journal.Entry{Slot: replies[i].Slot, Settled: lists[i], Parts: []journal.Part{p}}
					}
				}
			})
			m.measure("settle", func() {
				for n := range entries {
					_, err := j.Settle(b.Context(), entries[n], nil)
					require.NoError(b, err)
				}
			})
			m.measure("done", func() {
				for n := range slots {
					require.NoError(b, j.Done(b.Context(), slots[n]))
				}
			})
		})
	}
}

// variety makes results of jobs, no two alike.
func variety(jobs, items int) [][]results.Settled {
	areas := []string{"湖北-襄樊", "广东-深圳", "北京", "上海", "四川-成都", "浙江-杭州", "江苏-南京"}
	lists := make([][]results.Settled, jobs)
	for n := range lists {
		for i := range items {
			number := fmt.Sprintf("139%08d", (n*items+i)*7919%100_000_000)
			s, _ := results.Settle(nil, fmt.Sprintf("01JD2Z8QK5X7Q0M3W9V6T4%04d", n), &results.Result{
				Index: i, Number: number, E164: "+86" + number, Status: results.StatusOK, Provider: "qxt", Source: results.SourceUpstream,
				AnsweredAt: time.UnixMilli(1795287731213 + int64(n+i)), Cost: results.Cost{Amount: "0.0020", Currency: "CNY"}, Attempts: 1,
				Lookup: &results.Lookup{
					Country: "CN", Area: areas[(n+i)%len(areas)], LineType: "mobile", Valid: results.Yes, Ported: results.Tri(1 + i%2),
					OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"}, CurrentCarrier: results.Carrier{ID: "china_telecom", Name: "电信"},
				},
			})
			lists[n] = append(lists[n], s)
		}
	}
	return lists
}
