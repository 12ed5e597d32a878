package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/results"
)

func TestStatusAndResults(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	path := b.file(t, "crm.csv", lines(500))
	url := []string{"--nats", b.srv.URL()}
	got := b.run(t, append(url, "status", "c1")...)
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "there is no campaign c1 of tenant default")
	got = b.run(t, append(url, "results", "c1")...)
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "has no results")

	require.Zero(t, b.send(t, path, "--campaign", "c1", "--job-size", "100").code)
	got = b.run(t, append(url, "status", "c1")...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "0 of 500 numbers (0.0 %)")
	require.Contains(t, got.stdout, "waiting    5 jobs")

	b.work(t)
	b.stored(t, none)
	got = b.run(t, append(url, "status", "c1")...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "500 of 500 numbers (100.0 %)")
	require.Contains(t, got.stdout, "failures   no_answer 50")
	require.Contains(t, got.stdout, "cost       1.0000 CNY")
	folder := filepath.Join(b.dir, ".config", "nats", "context")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "here.json"), []byte(`{"url":"`+b.srv.URL()+`"}`), 0o600))
	got = b.run(t, "--context", "here", "status", "c1", "--json")
	require.Zero(t, got.code, got.stderr)
	var rep statusReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &rep))
	require.EqualValues(t, 500, rep.Answered)
	require.Zero(t, *rep.JobsLeft)
	require.Equal(t, map[string]int64{"no_answer": 50}, rep.Failures)
	require.Positive(t, rep.PerSecond)

	got = b.run(t, append(url, "results", "c1", "--status", "failed")...)
	require.Zero(t, got.code, got.stderr)
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 51)
	require.Contains(t, got.stderr, "50 of 500 results of campaign c1 written")

	out := filepath.Join(b.dir, "r.ndjson")
	got = b.run(t, append(url, "results", "c1", "--out", out)...)
	require.Zero(t, got.code, got.stderr)
	require.Empty(t, got.stdout)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var r struct {
			ID string
			results.Result
		}
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		require.NotEmpty(t, r.Status)
		ids[r.ID] = true
	}
	require.Len(t, ids, 500)
	got = b.run(t, append(url, "results", "c1", "--json")...)
	require.Len(t, strings.Split(strings.TrimSpace(got.stdout), "\n"), 500)
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	left := uint64(12)
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	r := statusReport{
		Campaign: "c1", State: "active", Route: "r", Source: "a.csv", JobsSent: 1200, JobsLeft: &left, Answered: 1234, PerSecond: 100.7, Mean: 90,
		Status: map[string]int64{"ok": 1000, "failed": 234}, Failures: map[string]int64{"no_answer": 200}, Sampled: true,
		Cost: []results.Cost{{Amount: "1.2", Currency: "CNY"}},
	}
	require.Equal(t, `campaign   c1
state      active, still being sent (1,200 jobs so far; if no enqueue send is running, run it again)
route      r
source     a.csv
answered   1,234 numbers
waiting    12 jobs
rate       100/s in the last minute, 90/s on average
status     ok 1,000, failed 234
failures   no_answer 200 (of the newest parts)
cost       1.2 CNY
`, r.text())
	r.SealedAt, r.CompletedAt, r.State = at, at, "completed"
	require.Contains(t, r.text(), "completed on 2026-11-21")
	r.State = ""
	require.Contains(t, r.text(), "no record")
}

func TestReportText(t *testing.T) {
	t.Parallel()
	rep := &sendReport{follow: &follow.Report{Missing: 1200, Surplus: 3, Out: "x.csv"}}
	var b strings.Builder
	followText(&b, rep.follow)
	require.Contains(t, b.String(), "surplus    3 results came again")
	require.Contains(t, b.String(), "written to x.csv")
	require.ErrorContains(t, rep.complete(), "1,200 numbers have no result")
}
