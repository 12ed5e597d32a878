package confirm

import (
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
)

func benchMessage(i int, id bool) *nats.Msg {
	m := &nats.Msg{Subject: "s.a", Data: payload200}
	if id {
		m.Header = nats.Header{jetstream.MsgIDHeader: []string{strconv.Itoa(i)}}
	}
	return m
}

var payload200 = []byte(strings.Repeat("x", 200)) //nolint:gochecknoglobals // shared, read-only

// cpuTime is what this process, server included, has used: steadier than the
// clock on a shared machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublish compares the Confirmer with the bare protocol: a reply
// subject per message, replies only counted, 4096 outstanding.
func BenchmarkPublish(b *testing.B) {
	for _, id := range []bool{false, true} {
		b.Run("confirm/msgid="+strconv.FormatBool(id), func(b *testing.B) {
			nc, js := connect(b, embeddedtest.RunNATS(b))
			createStream(b, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
			c := newConfirmer(b, nc, Options{})
			var left sync.WaitGroup
			left.Add(b.N)
			cpu := cpuTime(b)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				err := c.Publish(b.Context(), benchMessage(i, id), 0, func(_ *jetstream.PubAck, err error) {
					if err != nil {
						b.Error(err)
					}
					left.Done()
				})
				require.NoError(b, err)
			}
			left.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
		})
		b.Run("raw/msgid="+strconv.FormatBool(id), func(b *testing.B) {
			nc, js := connect(b, embeddedtest.RunNATS(b))
			createStream(b, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
			window := make(chan struct{}, 4096)
			var left sync.WaitGroup
			left.Add(b.N)
			inbox := nc.NewInbox()
			sub, err := nc.Subscribe(inbox+".*", func(m *nats.Msg) {
				if strings.Contains(string(m.Data), `"error"`) {
					b.Error(string(m.Data))
				}
				<-window
				left.Done()
			})
			require.NoError(b, err)
			require.NoError(b, sub.SetPendingLimits(-1, -1))
			cpu := cpuTime(b)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				window <- struct{}{}
				m := benchMessage(i, id)
				m.Reply = inbox + "." + strconv.Itoa(i)
				require.NoError(b, nc.PublishMsg(m))
			}
			left.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}
