package jobs

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestParseAckReply(t *testing.T) {
	t.Parallel()
	want := ackInfo{delivered: 2, seq: 34, stored: 1795297466160735862, pending: 56}
	for _, s := range []string{
		"$JS.ACK.S.C.2.34.5.1795297466160735862.56",
		"$JS.ACK._.acc.S.C.2.34.5.1795297466160735862.56",
		"$JS.ACK.hub.acc.S.C.2.34.5.1795297466160735862.56.rand",
	} {
		got, ok := parseAckReply(s)
		require.True(t, ok, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{
		"", "$JS.ACK.", "$JS.ACK.S.C.2.34.5", "_INBOX.x.1.2.3.4.5.6.7", "$JS.ACK.S.C.x.34.5.6.7",
		"$JS.ACK.S.C.2.34.5.6.-7", "$JS.ACK.S.C.2..5.6.7", "$JS.ACK.S.C.2.340000000000000000000000.5.6.7",
	} {
		_, ok := parseAckReply(s)
		require.False(t, ok, s)
	}
}

func BenchmarkParseAckReply(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseAckReply("$JS.ACK.S.C.2.34.5.1795297466160735862.56")
	}
}

// FuzzParseAckReply compares with the client library.
func FuzzParseAckReply(f *testing.F) {
	f.Add("$JS.ACK.S.C.2.34.5.1795297466160735862.56")
	f.Add("$JS.ACK.hub.acc.S.C.2.34.5.1795297466160735862.56.rand")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseAckReply(s)
		if !ok {
			return
		}
		m := nats.Msg{Reply: s, Sub: &nats.Subscription{}}
		meta, err := m.Metadata()
		if err != nil {
			return // it knows fewer forms, or wants a bound message
		}
		require.Equal(t, meta.NumDelivered, got.delivered)
		require.Equal(t, meta.Sequence.Stream, got.seq)
		require.Equal(t, meta.NumPending, got.pending)
	})
}
