package jobs

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/confirm"
)

// cpuTime is what this process, server included, has used: steadier than the
// clock on a shared machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, cpu time.Duration) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
}

// BenchmarkClaim drains jobs of one number: fetch, hand out, confirmed ack. With
// "bare" the same is done by the client library alone: FetchNoWait of 256 on one
// lane after the other, acks published with a reply and counted.
func BenchmarkClaim(b *testing.B) {
	for _, lanes := range []int{1, 32} {
		b.Run(fmt.Sprint("claimer/lanes=", lanes), func(b *testing.B) { benchClaimer(b, lanes) })
		b.Run(fmt.Sprint("bare/lanes=", lanes), func(b *testing.B) { benchBare(b, lanes) })
	}
}

func fillLanes(b *testing.B, r *rig, lanes int) {
	b.Helper()
	for i := range lanes {
		n := b.N / lanes
		if i == 0 {
			n += b.N % lanes
		}
		if n > 0 {
			r.publish(testLane("acme", fmt.Sprint("c", i)), "j", n, 1)
		}
	}
}

func benchClaimer(b *testing.B, lanes int) {
	b.Helper()
	r := newRig(b)
	fillLanes(b, r, lanes)
	nc, js := r.connect()
	conf, err := confirm.New(nc, confirm.Options{})
	require.NoError(b, err)
	defer conf.Close()
	d := newDemand(20_000)
	d.counted = true
	c := NewClaimer(nc, js, Config{Names: r.n, Demand: d, Confirm: conf})
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	acked := func(err error) {
		if err != nil {
			b.Error(err)
		}
		d.room.Add(1)
		n := left.Add(-1)
		if n%256 == 0 {
			c.Wake()
		}
		if n == 0 {
			close(done)
		}
	}
	cpu := cpuTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	run := startRun(b, c, func(batch []*Held) {
		d.room.Add(-int64(len(batch)))
		for _, h := range batch {
			h.Ack(acked)
		}
	})
	<-done
	report(b, cpu)
	b.StopTimer()
	s := c.Status()
	b.ReportMetric(float64(s.Pulls), "pulls")
	b.ReportMetric(float64(s.EmptyPulls), "empty")
	b.ReportMetric(float64(s.Redeliveries), "redelivered")
	b.ReportMetric(float64(conf.Stats().Resends), "resends")
	run()
}

func benchBare(b *testing.B, lanes int) {
	b.Helper()
	r := newRig(b)
	fillLanes(b, r, lanes)
	nc, js := r.connect()
	var cons []jetstream.Consumer
	for i := range lanes {
		l := testLane("acme", fmt.Sprint("c", i))
		co, err := js.CreateConsumer(b.Context(), r.n.JobsStream(), jetstream.ConsumerConfig{
			Durable: l.Durable(), FilterSubject: r.n.JobsSubject(l), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000,
		})
		require.NoError(b, err)
		cons = append(cons, co)
	}
	conf, err := confirm.New(nc, confirm.Options{})
	require.NoError(b, err)
	defer conf.Close()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	cpu := cpuTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	for got, i := 0, 0; got < b.N; i++ {
		batch, err := cons[i%lanes].FetchNoWait(256)
		require.NoError(b, err)
		for m := range batch.Messages() {
			got++
			require.NoError(b, conf.Ack(m.Reply(), func(error) {
				if left.Add(-1) == 0 {
					close(done)
				}
			}))
		}
	}
	<-done
	report(b, cpu)
}
