package results_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
)

func jobInfo(id string, items int) results.JobInfo {
	return results.JobInfo{ID: names.Identity{Tenant: "acme", Campaign: "nightly-1121", JobID: id}, Route: "carrier-cn", Items: items}
}

func TestBuildPart(t *testing.T) {
	t.Parallel()
	const id = "01JD2Z8QK5X7Q0M3W9V6T4R2AB"
	first := contractResult(t)
	second := results.Result{
		Index: 9, Number: "+8613800138000", Status: results.StatusFailed, Error: &results.Error{Code: results.CodeNoAnswer},
		Source: results.SourceShared, Cost: results.Cost{Amount: "1", Currency: "USD"},
	}
	third := results.Result{Index: 1, Status: results.StatusOK, Source: results.SourceUpstream, Cost: results.Cost{Amount: "0.5", Currency: "CNY"}}
	var buf []byte
	list := make([]results.Settled, 3)
	for i, r := range []*results.Result{&first, &second, &third} {
		list[i], buf = results.Settle(buf, id, r)
	}
	job := jobInfo(id, 10)
	job.Trace = nats.Header{"traceparent": {"00-a-b-01"}, "tracestate": {"x=1"}, "Secret": {"not this"}}
	m := results.BuildPart(names.Default(), job, list)

	require.Equal(t, "lookup.results.acme.nightly-1121", m.Subject)
	require.Equal(t, nats.Header{
		"Nats-Msg-Id":    m.Header["Nats-Msg-Id"],
		"Lookup-Version": {"1"}, "Lookup-Items": {"AwI="}, "Lookup-Counts": {"ok=2,failed=1"},
		"Lookup-Sources": {"upstream=2,shared=1"}, "Lookup-Cost": {"CNY=0.5020,USD=1"},
		"traceparent": {"00-a-b-01"}, "tracestate": {"x=1"},
	}, m.Header)
	require.Regexp(t, `^acme\.nightly-1121\.01JD2Z8QK5X7Q0M3W9V6T4R2AB\.[0-9a-f]{24}$`, m.Header.Get(nats.MsgIdHdr))
	want := `{"job_id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB","tenant":"acme","campaign":"nightly-1121","route":"carrier-cn","job_items":10,"results":[` + contractJSON + ","
	require.True(t, strings.HasPrefix(string(m.Data), want), string(m.Data))

	head, err := results.ParseHead(m.Header)
	require.NoError(t, err)
	require.Equal(t, job.ID, head.ID)
	require.Equal(t, []int{0, 1, 9}, slices.Collect(head.Items.Items()))
	require.Equal(t, []results.Tally{{Name: "ok", N: 2}, {Name: "failed", N: 1}}, head.Counts)
	require.Equal(t, []results.Cost{{Amount: "0.5020", Currency: "CNY"}, {Amount: "1", Currency: "USD"}}, head.Costs)
	part, err := results.DecodePart(m.Data)
	require.NoError(t, err)
	require.Equal(t, 10, part.JobItems)
	require.Equal(t, []results.Result{first, second, third}, part.Results)
	require.Equal(t, id+".9", part.ID(&part.Results[1]))

	// The same items give the same id, in whatever order; others another.
	slices.Reverse(list)
	require.Equal(t, m.Header.Get(nats.MsgIdHdr), results.BuildPart(names.Default(), job, list).Header.Get(nats.MsgIdHdr))
	require.NotEqual(t, m.Header.Get(nats.MsgIdHdr), results.BuildPart(names.Default(), job, list[1:]).Header.Get(nats.MsgIdHdr))
	// Nothing paid, no header; a cost that is none does not spoil the sum.
	require.NotContains(t, results.BuildPart(names.Default(), job, []results.Settled{{Index: 1, Status: results.StatusOK}}).Header, "Lookup-Cost")
	odd := []results.Settled{{Cost: results.Cost{Amount: "cheap", Currency: "CNY"}}, {Index: 1, Cost: results.Cost{Amount: "2", Currency: "CNY"}}}
	require.Equal(t, "CNY=2", results.BuildPart(names.Default(), job, odd).Header.Get(results.HeaderCost))
}

func TestPack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 400, 20_000, 100_000, results.MaxPartBytes - 600}), 0, 60).Draw(t, "sizes")
		maxItems := rapid.IntRange(1, 30).Draw(t, "max")
		list := make([]results.Settled, len(sizes))
		for i, n := range sizes {
			list[i] = results.Settled{Index: i, JSON: make([]byte, n)}
		}
		next := 0
		parts := results.Pack(list, maxItems)
		for p, part := range parts {
			require.NotEmpty(t, part)
			require.LessOrEqual(t, len(part), maxItems)
			body := 0
			for _, s := range part {
				require.Equal(t, next, s.Index, "nothing lost, nothing twice, in order")
				next++
				body += len(s.JSON) + 1
			}
			require.LessOrEqual(t, body, results.MaxPartBytes)
			if p+1 < len(parts) { // full: the next result would not have fitted
				require.True(t, len(part) == maxItems || body+len(parts[p+1][0].JSON) > results.MaxPartBytes-600)
			}
		}
		require.Equal(t, len(list), next)
	})
}

func TestPartBodyIsBounded(t *testing.T) {
	t.Parallel()
	list := make([]results.Settled, 1000)
	for i := range list {
		list[i], _ = results.Settle(nil, strings.Repeat("j", 64), &results.Result{Index: i, Number: strings.Repeat("9", 1000), Status: results.StatusOK})
	}
	job := jobInfo(strings.Repeat("j", 64), 1000)
	job.ID.Tenant, job.ID.Campaign, job.Route = strings.Repeat("t", 64), strings.Repeat("c", 64), strings.Repeat("r", 64)
	parts := results.Pack(list, 1000)
	require.Greater(t, len(parts), 1)
	for _, p := range parts {
		require.LessOrEqual(t, len(results.BuildPart(names.Default(), job, p).Data), results.MaxPartBytes)
	}
}

func TestBitmap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.IntRange(0, results.MaxItems-1)).Draw(t, "items")
		var b results.Bitmap
		for _, i := range in {
			b.Set(i)
		}
		want := slices.Compact(slices.Sorted(slices.Values(in)))
		require.Equal(t, want, slices.Collect(b.Items()))
		require.Equal(t, len(want), b.Count())
		for _, i := range in {
			require.True(t, b.Has(i))
		}
		require.False(t, b.Has(-1))
		require.False(t, b.Has(1<<20))
		back, err := results.ParseBitmap(b.String())
		require.NoError(t, err)
		require.Equal(t, []byte(b), append([]byte(nil), back...))
		var c results.Bitmap
		c.Union(b)
		require.Equal(t, b.Digest(), c.Digest())
		require.Equal(t, len(want) > 0, b.Overlaps(c))
	})
}

func FuzzParseBitmap(f *testing.F) {
	f.Add("AwI=")
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := results.ParseBitmap(s)
		if err != nil {
			require.ErrorIs(t, err, results.ErrBitmap)
			return
		}
		for i := range b.Items() {
			require.Less(t, i, results.MaxItems)
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		require.NoError(t, err)
		require.Equal(t, strings.TrimRight(string(raw), "\x00"), string(b))
	})
}

func FuzzParseHead(f *testing.F) {
	m := results.BuildPart(names.Default(), jobInfo("j", 3), []results.Settled{{Index: 2, Status: results.StatusOK, Cost: results.Cost{Amount: "1.5", Currency: "EUR"}}})
	f.Add(m.Header.Get(nats.MsgIdHdr), "1", m.Header.Get("Lookup-Items"), "ok=1", "", "EUR=1.5")
	f.Add("", "2", "", "", "", "")
	f.Fuzz(func(t *testing.T, id, version, items, counts, sources, cost string) {
		h := nats.Header{
			nats.MsgIdHdr: {id}, results.HeaderVersion: {version}, results.HeaderItems: {items},
			results.HeaderCounts: {counts}, results.HeaderSources: {sources}, results.HeaderCost: {cost},
		}
		head, err := results.ParseHead(h)
		if err != nil {
			require.ErrorIs(t, err, results.ErrNotPart)
			return
		}
		require.Equal(t, id, head.ID.PartMsgID(head.Items.Digest()))
		require.Positive(t, head.Items.Count())
	})
}

func FuzzDecodePart(f *testing.F) {
	f.Add([]byte(`{"job_id":"j","job_items":2,"results":[` + `{"id":"j.1","number":"1","status":"ok","lookup":{"valid":null,"ported":false}}]}`))
	f.Add([]byte(`{"job_id":"j","results":[{"id":"k.1"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		part, err := results.DecodePart(body)
		if err != nil {
			require.ErrorIs(t, err, results.ErrNotPart)
			return
		}
		for i := range part.Results {
			r := &part.Results[i]
			require.GreaterOrEqual(t, r.Index, 0)
			require.Less(t, r.Index, results.MaxItems)
			// What was read can be written again.
			require.True(t, json.Valid(results.Append(nil, "j", r)), "%q", results.Append(nil, "j", r))
		}
	})
}

func TestDecodePartFaults(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, `{`, `[]`, `{"results":{}}`, `{"job_id":"j","results":[{"id":"j"}]}`, `{"job_id":"j","results":[{"id":"j.x"}]}`,
		`{"job_id":"j","results":[{"id":"j.-1"}]}`, `{"job_id":"j","results":[{"id":"j.10000"}]}`,
		`{"job_id":"j","results":[{"id":"j.1","answered_at":"yesterday"}]}`, `{"job_id":"j","results":[{"id":"j.1","lookup":{"valid":"yes"}}]}`,
	} {
		_, err := results.DecodePart([]byte(body))
		require.ErrorIs(t, err, results.ErrNotPart, body)
	}
	p, err := results.DecodePart([]byte(`{"job_id":"j","results":[{"id":"j.7","status":"new_status","new_field":[1]}],"more":1}`))
	require.NoError(t, err, "unknown fields and values are for later versions")
	require.Equal(t, results.Status("new_status"), p.Results[0].Status)
}

// FuzzCosts compares sums with big.Rat.
func FuzzCosts(f *testing.F) {
	f.Add("0.0020", "1", uint16(500))
	f.Add("9223372036854775807", "0.000001", uint16(3))
	f.Add("-0.1", "0.10", uint16(1))
	f.Fuzz(func(t *testing.T, a, b string, n uint16) {
		var sum results.CostSum
		want := new(big.Rat)
		decimals := 0
		for range n%1000 + 1 {
			for _, s := range []string{a, b} {
				if err := sum.Add(results.Cost{Amount: s, Currency: "CNY"}); err != nil {
					require.ErrorIs(t, err, results.ErrDecimal)
					continue
				}
				v, ok := new(big.Rat).SetString(s)
				require.True(t, ok, "%q", s)
				want.Add(want, v)
				_, frac, _ := strings.Cut(s, ".")
				decimals = max(decimals, len(frac))
			}
		}
		if costs := sum.Costs(); len(costs) > 0 {
			require.Equal(t, want.FloatString(decimals), strings.TrimPrefix(costs[0].Amount, ""))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := contractResult(b)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = results.Append(buf[:0], "01JD2Z8QK5X7Q0M3W9V6T4R2AB", &r)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkBuildPart(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := contractResult(b)
			list := make([]results.Settled, n)
			for i := range list {
				r.Index = i
				list[i], _ = results.Settle(nil, "01JD2Z8QK5X7Q0M3W9V6T4R2AB", &r)
			}
			job := jobInfo("01JD2Z8QK5X7Q0M3W9V6T4R2AB", n)
			b.ReportAllocs()
			for b.Loop() {
				results.BuildPart(names.Default(), job, list)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/result")
		})
	}
}
