package tickets

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded"
	"github.com/lookupq/lookupq/providers"
)

// BenchmarkReceipts posts receipts over loopback HTTP, 64 at a time, to a worker
// whose bucket is on files; the client's work is in the figures. Each is waited
// for by the packer and delivered. sync=always is the default of `worker run
// --embedded`.
func BenchmarkReceipts(b *testing.B) {
	b.Run("sync=relaxed", func(b *testing.B) { benchReceipts(b, newFleet(b, newUpstream(never()))) })
	b.Run("sync=always", func(b *testing.B) { benchReceipts(b, newSyncedFleet(b, newUpstream(never()))) })
}

// newSyncedFleet has a NATS that syncs every message to disk.
func newSyncedFleet(b *testing.B, up *upstream) *fleet {
	b.Helper()
	server, err := embedded.StartNATS(b.Context(), embedded.NATSOptions{Dir: b.TempDir(), Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Close()) })
	f := &fleet{t: b, up: up, live: make(map[string]bool)}
	f.connect = func() *nats.Conn {
		nc, err := nats.Connect(server.ClientURL())
		require.NoError(b, err)
		b.Cleanup(nc.Close)
		return nc
	}
	f.ensure()
	return f
}

func benchReceipts(b *testing.B, f *fleet) {
	b.Helper()
	const batchSize = 1000
	w := f.start("w1")
	posts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.ServeReceipt(rw, r, r.URL.Path[1:])
	}))
	defer posts.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	type receipt struct {
		url  string
		body []byte
	}
	receipts := make(chan receipt, 1024)
	var tickets []string
	for first := 0; first < b.N; first += batchSize {
		all := numbers(min(batchSize, b.N-first))
		reply := w.call(all...)
		require.Nil(b, reply.Failure)
		tickets = append(tickets, reply.Ticket)
	}
	urls := make([]string, len(tickets))
	for i, id := range tickets {
		urls[i] = posts.URL + "/" + f.up.token(b, id)
	}
	b.ResetTimer()
	go func() {
		defer close(receipts)
		for i := range b.N {
			receipts <- receipt{urls[i/batchSize], body(tickets[i/batchSize], number(i%batchSize), "ok")}
		}
	}()
	var posters sync.WaitGroup
	for range 64 {
		posters.Go(func() {
			for r := range receipts {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, r.url, bytes.NewReader(r.body))
				if err != nil {
					b.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					continue
				}
				if resp.StatusCode != http.StatusOK {
					b.Error(resp.Status)
				}
				_ = resp.Body.Close()
			}
		})
	}
	posters.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
	for w.Status().Delivered < uint64(b.N) {
		wait(b.Context(), time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
}

// BenchmarkIndex takes in tickets of 1000 numbers and reports what a number takes.
func BenchmarkIndex(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	x := newIndex()
	for i := range b.N {
		r := goodRecord()
		r.GroupOf, r.Numbers = nil, make([]uint64, 1000)
		for n := range r.Numbers {
			r.Numbers[n] = 8613800000000 + uint64(i*1000+n)
		}
		t := newTicket(strconv.Itoa(i), &r)
		t.token[0], t.token[1], t.token[2] = byte(i), byte(i>>8), byte(i>>16)
		x.add(t)
	}
	b.ReportMetric(float64(heap()-before)/float64(b.N*1000), "B/number")
	require.Equal(b, b.N*1000, x.outstanding)
}

// BenchmarkCall hands in batches of 1000 numbers.
func BenchmarkCall(b *testing.B) {
	f := newFleet(b, newUpstream(never()))
	w := f.start("w1")
	q := query(numbers(1000)...)
	b.ResetTimer()
	for range b.N {
		reply := w.Provider().Call(b.Context(), q)
		require.Equal(b, providers.Pending, reply.Outcomes[0].Kind)
	}
}
