package jobs
import ("testing";"sync/atomic";"fmt";"github.com/lookupq/lookupq/internal/confirm")
func BenchmarkDbgStream(b *testing.B) {
	r := newRig(b)
	nc, js := r.connect()
	conf, _ := confirm.New(nc, confirm.Options{})
	defer conf.Close()
	d := newDemand(20_000)
	c := NewClaimer(nc, js, Config{Names: r.n, Demand: d, Confirm: conf})
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	run := startRun(b, c, func(batch []*Held) {
		for _, h := range batch { h.Ack(func(error) { if left.Add(-1) == 0 { close(done) } }) }
	})
	cpu := cpuTime(b)
	b.ResetTimer()
	for i := 0; i < 10; i++ { r.publish(testLane("acme", "c1"), fmt.Sprint("j", i), b.N/10, 1) }
	<-done
	report(b, cpu)
	s := c.Status()
	b.ReportMetric(float64(s.Pulls), "pulls")
	b.ReportMetric(float64(s.EmptyPulls), "empty")
	run()
}
