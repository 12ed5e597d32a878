package journal

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/results"
)

// drawSettled draws a result of one index.
func drawSettled(t *rapid.T, i int) results.Settled {
	status := rapid.SampledFrom([]results.Status{
		results.StatusOK, results.StatusNotFound, results.StatusInvalid, results.StatusFailed, results.StatusExpired, results.StatusCancelled,
	}).Draw(t, "status")
	source := rapid.SampledFrom([]results.Source{
		"", results.SourceUpstream, results.SourceCache, results.SourceShared, results.SourceOffline,
	}).Draw(t, "source")
	cost := rapid.SampledFrom([]results.Cost{{}, {Amount: "0.0020", Currency: "CNY"}, {Amount: "1", Currency: "USD"}}).Draw(t, "cost")
	size := rapid.SampledFrom([]int{0, 1, 127, 128, 400, 20_000, 300_000}).Draw(t, "size")
	return results.Settled{Index: i, Status: status, Source: source, Cost: cost, JSON: bytes.Repeat([]byte{byte(i)}, size)}
}

// TestLogRoundTrip: what is written for several slots, in several writes, comes
// back by slot; and so it does if each write is there twice.
func TestLogRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		epoch := tagOf("0123456789abcdef")
		want := map[byte]*slotLog{}
		var log []byte
		e := &encoder{}
		copies := rapid.IntRange(1, 2).Draw(t, "copies")
		next := map[byte]int{}
		for range rapid.IntRange(0, 4).Draw(t, "writes") {
			e.reset()
			for range rapid.IntRange(1, 4).Draw(t, "entries") {
				slot := byte(rapid.SampledFrom([]int{0, 1, 255}).Draw(t, "slot"))
				w := want[slot]
				if w == nil {
					w = &slotLog{}
					want[slot] = w
				}
				var list []results.Settled
				p := Part{At: time.UnixMilli(rapid.Int64Range(0, 1<<47).Draw(t, "at"))}
				for range rapid.IntRange(1, 5).Draw(t, "n") {
					list = append(list, drawSettled(t, next[slot]))
					p.Items.Set(next[slot])
					next[slot] += rapid.IntRange(1, 40).Draw(t, "step")
				}
				e.settled(slot, list)
				w.Settled = append(w.Settled, list...)
				if rapid.Bool().Draw(t, "part") {
					e.part(slot, p)
					w.Parts = append(w.Parts, p)
				} else {
					e.stored(slot, p.Items)
					w.Stored.Union(p.Items)
				}
				if rapid.Bool().Draw(t, "complete") {
					e.complete(slot, epoch)
					w.complete = true
				} else {
					e.complete(slot, tagOf("another"))
				}
			}
			for range copies {
				log = append(log, e.bytes()...)
				e.raw = e.raw[:0]
			}
		}
		got, err := readLog(log, epoch)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for slot, w := range want {
			require.Equal(t, w.complete, got[slot].complete)
			require.Equal(t, w.Parts, got[slot].Parts)
			require.Equal(t, []byte(w.Stored), []byte(got[slot].Stored))
			require.Len(t, got[slot].Settled, len(w.Settled))
			for i := range w.Settled {
				require.Equal(t, w.Settled[i].Index, got[slot].Settled[i].Index)
				require.Equal(t, w.Settled[i].Status, got[slot].Settled[i].Status)
				require.Equal(t, w.Settled[i].Source, got[slot].Settled[i].Source)
				require.Equal(t, w.Settled[i].Cost, got[slot].Settled[i].Cost)
				require.True(t, bytes.Equal(w.Settled[i].JSON, got[slot].Settled[i].JSON))
			}
		}
	})
}

// TestLogIsCompact: a batch of real results takes a fraction of their size.
func TestLogIsCompact(t *testing.T) {
	t.Parallel()
	var list []results.Settled
	size := 0
	for i := range 500 {
		s, _ := results.Settle(nil, "01JD2Z8QK5X7Q0M3W9V6T4R2AB", &results.Result{
			Index: i, Number: "13972565391", E164: "+8613972565391", Status: results.StatusOK, Provider: "qxt",
			Source: results.SourceUpstream, Cost: results.Cost{Amount: "0.0020", Currency: "CNY"}, Attempts: 1,
			Lookup: &results.Lookup{Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes},
		})
		list, size = append(list, s), size+len(s.JSON)
	}
	e := &encoder{}
	e.settled(0, list)
	require.Less(t, len(e.bytes()), size/5)
}

func FuzzReadLog(f *testing.F) {
	e := &encoder{}
	list := []results.Settled{{Index: 1, Status: results.StatusOK, JSON: []byte(`{}`), Cost: results.Cost{Amount: "1", Currency: "CNY"}}}
	e.settled(3, list)
	e.part(3, Part{Items: results.Bitmap{2}, At: time.UnixMilli(1)})
	e.stored(4, results.Bitmap{1})
	e.complete(4, tag{1})
	f.Add(slices.Clone(e.bytes()))
	e.reset()
	list[0].JSON = make([]byte, 5000)
	e.settled(3, list)
	f.Add(slices.Clone(e.bytes()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, log []byte) {
		slots, err := readLog(log, tag{1})
		if err != nil {
			require.ErrorIs(t, err, errLog)
			return
		}
		// What was read can be written and read again, and stays the same.
		e := &encoder{}
		for slot, l := range slots {
			e.settled(slot, l.Settled)
			for _, p := range l.Parts {
				e.part(slot, p)
			}
			e.stored(slot, l.Stored)
		}
		again, err := readLog(e.bytes(), tag{1})
		require.NoError(t, err)
		for slot, l := range slots {
			require.Len(t, again[slot].Settled, len(l.Settled))
			require.Equal(t, l.Parts, again[slot].Parts)
			require.Equal(t, l.Stored.String(), again[slot].Stored.String())
			for i := range l.Settled {
				require.Less(t, l.Settled[i].Index, results.MaxItems)
				require.Equal(t, l.Settled[i].Index, again[slot].Settled[i].Index)
				require.Equal(t, l.Settled[i].Cost, again[slot].Settled[i].Cost)
			}
		}
	})
}

func FuzzParsePage(f *testing.F) {
	f.Add(string(appendPage(nil, tag{1}, Owner{2}, []newSlot{{claims: 1}, {claims: 2, doubt: true}})))
	f.Add(string(appendClosed(nil, tag{1})))
	f.Add("")
	f.Add("\x01\x00\xff\xff12345678")
	f.Fuzz(func(t *testing.T, value string) {
		p, err := parsePage(value)
		if err != nil || p.closed {
			return
		}
		require.Equal(t, value, p.head+p.owners+p.states+p.claims+p.log)
		require.Len(t, p.owners, len(p.states))
		require.Len(t, p.owners, len(p.claims))
		_, _ = p.placeOf(Owner{})
	})
}

func FuzzParsePlace(f *testing.F) {
	f.Add(string(place{slot: 7, page: [8]byte{1}, digest: [8]byte{2}}.append(nil)))
	f.Add("\x02")
	f.Fuzz(func(t *testing.T, value string) {
		if p, err := parsePlace(value); err == nil {
			require.Equal(t, value, string(p.append(nil)))
		}
	})
}

func TestTagOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, tag{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, tagOf("0123456789abcdef"))
	require.NotEqual(t, tagOf(""), tagOf("x"), "what is no hex is hashed")
	require.NotEqual(t, tagOf("0123"), tagOf("01234"))
}
