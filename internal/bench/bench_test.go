package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/providers/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, l := range []load{
		{numbers: 10_000, size: 500, repeat: 20},
		{numbers: 10_001, size: 500, repeat: 3},
		{numbers: 999, size: 500},
		{numbers: 7, size: 1},
	} {
		seen := map[string]bool{}
		items := 0
		for j := range l.jobs() {
			var job struct {
				ID    string
				Items []struct {
					Number string
					Ref    int
				}
			}
			require.NoError(t, json.Unmarshal(l.body(nil, j), &job))
			require.Equal(t, jobID(j), job.ID)
			require.NotEmpty(t, job.Items)
			require.LessOrEqual(t, len(job.Items), l.size)
			for _, it := range job.Items {
				require.Len(t, it.Number, 11)
				require.Equal(t, items, it.Ref)
				_, again := l.number(items)
				require.Equal(t, seen[it.Number], again, "number %d of %+v", items, l)
				seen[it.Number] = true
				items++
			}
		}
		require.Equal(t, l.numbers, items)
		require.Len(t, seen, l.distinct())
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	l := load{numbers: 1_000_000, size: 500, repeat: 20}
	require.Equal(t, 950, leastCalls(l))
	require.Equal(t, 71250*time.Millisecond, ideal(l, 300*time.Millisecond))
	o := outcome{
		load: l, toLastCall: 75 * time.Second, toLastAck: 80 * time.Second,
		sum: simulator.Summary{Calls: 960, Busy: 288}, cpu: map[string]time.Duration{"worker": 2 * time.Second, "nats": time.Second, "bench": time.Hour},
	}
	require.InDelta(t, 12500, o.rate(), 1e-9)
	require.InDelta(t, 960.0/950, o.fill(), 1e-9)
	require.InDelta(t, 0.96, o.permitUse(), 1e-9)
	require.InDelta(t, 3.0, o.cost(), 1e-9)
	rounds := []outcome{{toLastAck: time.Second}, {toLastAck: 5 * time.Second}, {toLastAck: 2 * time.Second}}
	seconds := func(o *outcome) float64 { return o.toLastAck.Seconds() }
	require.InDelta(t, 2.0, median(rounds, seconds), 1e-9)
	require.InDelta(t, 3.0, median(rounds[:2], seconds), 1e-9)
	require.Zero(t, median(nil, seconds))
	gc := []outcome{{gc: time.Second, cpu: map[string]time.Duration{"worker": 4 * time.Second}, foreign: 0.05}}
	require.Equal(t, "25 %", gcShare(gc))
	gc[0].foreign = 0.2
	require.Equal(t, "?", gcShare(gc))
	require.Equal(t, "met, by 5 %", verdict(1.05))
	require.Equal(t, "MISSED by 5.0 %", verdict(0.95))
}

func TestCounters(t *testing.T) {
	t.Parallel()
	m := parseMetrics(`# HELP x y
# TYPE lookupq_items_total counter
lookupq_items_total{route="cn",source="upstream",status="ok"} 950
lookupq_items_total{route="cn",source="cache",status="ok"} 50
lookupq_items_total{route="cn",source="upstream",status="failed"} 3
lookupq_items_total_other 7
lookupq_go_memstats_mallocs_total 1.5e+06
broken
`)
	require.InDelta(t, 1003, m.sum("lookupq_items_total"), 0)
	require.InDelta(t, 1000, m.sum("lookupq_items_total", `status="ok"`), 0)
	require.InDelta(t, 50, m.sum("lookupq_items_total", `status="ok"`, `source="cache"`), 0)
	require.InDelta(t, 1.5e6, m.sum("lookupq_go_memstats_mallocs_total"), 0)
	require.Zero(t, metrics(nil).sum("lookupq_items_total"))
}

func TestGCTime(t *testing.T) {
	t.Parallel()
	const early = "gc 1 @0.011s 2%: 1+1+1 ms clock, 1+1/1/1+1 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n"
	const text = early + `{"level":"info","message":"running"}
gc 2 @1.011s 2%: 0.017+0.50+0.010 ms clock, 0.034+0.20/0.40/9.5+0.020 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P
gc 3 @2.5s 3%: 0.1+2+0.1 ms clock, 1+2/3/0+4 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)
`
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	got, err := gcTime(path, int64(len(early)), int64(len(text)))
	require.NoError(t, err)
	require.InDelta(t, 10.654, float64(got)/float64(time.Millisecond), 1e-6)
}

func TestMachineTime(t *testing.T) {
	t.Parallel()
	got, err := parseMachineTime("cpu  100 10 50 10000 2000 1 2 3 99 0")
	require.NoError(t, err)
	require.Equal(t, 1660*time.Millisecond, got)
	_, err = parseMachineTime("intr 1 2 3")
	require.Error(t, err)
}

func TestReport(t *testing.T) {
	t.Parallel()
	all := (&runCmd{Scale: 0.1, Rounds: 2}).scenarios()
	require.Len(t, all, 4)
	require.Equal(t, 100_000, all[0].load.numbers)
	require.Len(t, (&runCmd{Scale: 1, Rounds: 2, Only: "engine"}).scenarios(), 2)
	var results []result
	for _, s := range all {
		o := outcome{
			load: s.load, toLastCall: time.Second, toLastAck: time.Second, cpu: map[string]time.Duration{"worker": time.Second},
			sum: simulator.Summary{Calls: int64(leastCalls(s.load)), Keys: []simulator.KeySummary{{Peak: 5}}},
		}
		res := result{scenario: s, worker: []outcome{o, o}}
		if s.rival {
			res.minimal = []outcome{o, o}
		}
		results = append(results, res)
	}
	r := report{results}
	text := r.head("a machine", "a redis", 0.1) + r.goals() + r.costs()
	for _, want := range []string{
		"a machine", "a redis", "drain efficiency, 50 ms × 4 × 1,000", "engine / minimal worker, 0 ms, 1 a job",
		"1.00 [1.00 to 1.00 in 2 rounds]", "1.0000", "5, 0 refused", "MISSED", "engine-500",
	} {
		require.Contains(t, text, want)
	}
	require.Equal(t, "a     b\nlöng  c\n", table{{"a", "b"}, {"löng", "c"}}.text(0))
}
