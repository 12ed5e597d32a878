package follow

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// head is a part of items [from, to) of a job.
func head(tb testing.TB, jobID string, from, to int) results.Head {
	tb.Helper()
	var settled []results.Settled
	for i := from; i < to; i++ {
		s, _ := results.Settle(nil, jobID, &results.Result{Index: i, Number: "1", Status: results.StatusOK, Source: results.SourceCache, Cost: results.Cost{Amount: "0.1", Currency: "CNY"}})
		settled = append(settled, s)
	}
	info := results.JobInfo{ID: names.Identity{Tenant: "t", Campaign: "c", JobID: jobID}, Items: to}
	h, err := results.ParseHead(results.BuildPart(names.Default(), info, settled).Header)
	require.NoError(tb, err)
	return h
}

func TestTallyTellsSurplus(t *testing.T) {
	t.Parallel()
	tally := NewTally(Size{Jobs: 3, JobSize: 10}, false)
	first := jobs.JobID("s", "c", 0)
	third := jobs.JobID("s", "c", 2)
	for _, h := range []results.Head{head(t, first, 0, 6), head(t, first, 4, 10), head(t, third, 0, 10), head(t, third, 0, 10)} {
		tally.AddHead(&h)
	}
	require.EqualValues(t, 20, tally.Answered)
	require.EqualValues(t, 12, tally.Surplus)
	require.Equal(t, 20, tally.marked())
	require.EqualValues(t, 32, tally.Status["ok"])
	require.EqualValues(t, 32, tally.Source["cache"])
	require.Equal(t, "3.2", tally.Cost.Costs()[0].Amount)

	// Ids that are not of our making, or lie, cost no memory and count as they are.
	for _, id := range []string{"01JD2Z8QK5X7Q0M3W9V6T4R2AB", jobs.JobID("s", "c", jobs.MaxJobs-1)} {
		h := head(t, id, 0, 12)
		tally.AddHead(&h)
	}
	require.EqualValues(t, 44, tally.Answered)
	require.LessOrEqual(t, len(tally.seen), 1)
	long := head(t, first, 10, 12)
	tally.AddHead(&long)
	require.EqualValues(t, 46, tally.Answered)
}

func TestTop(t *testing.T) {
	t.Parallel()
	m := map[string]int64{"b": 2, "a": 2, "c": 9, "d": 1}
	require.Equal(t, []Counted{{"c", 9}, {"a", 2}, {"b", 2}}, Top(m, 3))
	require.Len(t, Top(m, 10), 4)
	d := NewTally(Size{}, true).Details
	for i := range 2 * maxNames {
		d.AddResult(&results.Result{Lookup: &results.Lookup{CurrentCarrier: results.Carrier{Name: strconv.Itoa(i)}}})
	}
	require.Len(t, d.Carriers, maxNames+1)
	require.EqualValues(t, maxNames, d.Carriers[otherNames])
	d.AddResult(&results.Result{Lookup: &results.Lookup{OriginalCarrier: results.Carrier{ID: "1"}}})
	require.EqualValues(t, 2, d.Carriers["1"])
}

func TestExport(t *testing.T) {
	t.Parallel()
	p := &results.Part{JobID: "j", Results: []results.Result{
		{Index: 0, Ref: json.RawMessage(`"a\"b"`), Number: "+86 138", E164: "+86138", Status: results.StatusOK, Lookup: &results.Lookup{Country: "CN", Area: "=cmd", Valid: results.Yes, Ported: results.No, TimeZones: []string{"A/B", "C/D"}, Portable: results.No, MCC: "460", Reachable: results.WordUnknown, Porting: &results.Porting{OrderID: "o", Exceptions: []string{"X", "Y"}}}},
		{Index: 7, Ref: json.RawMessage(`42`), Number: "x", Status: results.StatusInvalid, Error: &results.Error{Code: "invalid_number", Message: "m\nn", ProviderCode: "-6"}},
	}}
	var b bytes.Buffer
	e, err := NewExporter(&b, CSV)
	require.NoError(t, err)
	d := NewTally(Size{}, true).Details
	require.NoError(t, e.Part(p, d, ""))
	require.NoError(t, e.Close())
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		Columns(),
		{`a"b`, "'+86 138", "+86138", "ok", "CN", "'=cmd", "", "true", "false", "", "", "", "", "A/B C/D", "", "", "", "", "", "", "", "", "", "j.0", "", "false", "", "", "460", "", "unknown", "", "", "", "", "o", "", "", "", "X Y"},
		{"42", "x", "", "invalid", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "invalid_number", "m\nn", "-6", "j.7", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
	}, rows)
	require.EqualValues(t, 1, d.Errors["invalid_number"])

	b.Reset()
	e, err = NewExporter(&b, NDJSON)
	require.NoError(t, err)
	require.NoError(t, e.Part(p, nil, results.StatusInvalid))
	require.NoError(t, e.Close())
	require.JSONEq(t, `{"id":"j.7","ref":42,"number":"x","status":"invalid","error":{"code":"invalid_number","message":"m\nn","provider_code":"-6"}}`, b.String())
	require.Equal(t, 1, strings.Count(b.String(), "\n"))

	_, err = FormatOf("x.xlsx")
	require.Error(t, err)
	_, err = CreateExporter("/nowhere/x.csv")
	require.Error(t, err)
}

// brokenWriter fails like a full disk.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestExportToAFullDisk(t *testing.T) {
	t.Parallel()
	e, err := NewExporter(brokenWriter{}, CSV)
	require.NoError(t, err)
	require.ErrorContains(t, e.Close(), "no space left")
}

// bundle is a server with a results stream.
type bundle struct {
	srv  *embeddedtest.NATS
	js   jetstream.JetStream
	from Campaign
}

func setup(tb testing.TB) *bundle {
	tb.Helper()
	b := &bundle{srv: embeddedtest.RunNATS(tb)}
	var err error
	b.js, err = jetstream.New(b.srv.Connect())
	require.NoError(tb, err)
	n := names.Default()
	_, err = b.js.CreateStream(tb.Context(), jetstream.StreamConfig{Name: n.ResultsStream(), Subjects: []string{"lookup.results.>"}})
	require.NoError(tb, err)
	b.from = Campaign{Reader: results.NewReader(b.js, n), Stream: n.ResultsStream(), Tenant: "t", Name: "c", ResultsMessage: func(context.Context, uint64) ([]byte, error) {
		return nil, jobs.ErrHidden
	}}
	return b
}

// answer stores the results of items [from, to) of job index.
func (b *bundle) answer(tb testing.TB, index uint64, from, to int, status results.Status) {
	tb.Helper()
	id := jobs.JobID("s", "c", index)
	var settled []results.Settled
	for i := from; i < to; i++ {
		s, _ := results.Settle(nil, id, &results.Result{Index: i, Number: "1", Status: status})
		settled = append(settled, s)
	}
	info := results.JobInfo{ID: names.Identity{Tenant: "t", Campaign: "c", JobID: id}, Items: to}
	m := results.BuildPart(names.Default(), info, settled)
	_, err := b.js.PublishMsg(tb.Context(), m)
	require.NoError(tb, err)
}

// A wait goes on over a restart of the server and ends with the last answer.
func TestWaitOverARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	left := uint64(10)
	var out bytes.Buffer
	e, err := NewExporter(&out, NDJSON)
	require.NoError(t, err)
	w := &Wait{
		Campaign: b.from, Numbers: 100, Size: Size{Jobs: 10, JobSize: 10}, Began: time.Now(), Export: e, Notice: func(string) {},
		JobsLeft: func(context.Context) (uint64, error) {
			mu.Lock()
			defer mu.Unlock()
			return left, nil
		},
	}
	type end struct {
		rep *Report
		err error
	}
	done := make(chan end, 1)
	go func() {
		rep, err := w.Run(t.Context())
		done <- end{rep, err}
	}()
	for i := range uint64(5) {
		b.answer(t, i, 0, 10, results.StatusOK)
	}
	require.Eventually(t, func() bool { n, _ := w.Progress(); return n == 50 }, 10*time.Second, 10*time.Millisecond)
	b.srv.Restart()
	for i := uint64(5); i < 10; i++ {
		b.answer(t, i, 0, 4, results.StatusFailed)
		b.answer(t, i, 4, 10, results.StatusOK)
	}
	got := <-done
	require.NoError(t, got.err)
	require.EqualValues(t, 100, got.rep.Answered)
	require.Zero(t, got.rep.Missing)
	require.Equal(t, map[string]int64{"ok": 80, "failed": 20}, got.rep.Status)
	require.EqualValues(t, 100, e.Written)
	_, failed := w.Progress()
	require.EqualValues(t, 20, failed)

	mu.Lock()
	left = 0
	mu.Unlock()
	w2 := &Wait{Campaign: b.from, Numbers: 110, JobsLeft: w.JobsLeft, Notice: w.Notice}
	rep, err := w2.Run(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 10, rep.Missing)
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	hidden := func(context.Context) (uint64, error) { return 0, jobs.ErrHidden }
	_, err := (&Wait{Campaign: b.from, Numbers: 1, JobsLeft: hidden, Notice: func(string) {}}).Run(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	b.answer(t, 0, 0, 10, results.StatusOK)
	_, err = (&Wait{Campaign: Campaign{Reader: b.from.Reader, Stream: "x", Tenant: "t", Name: "c"}, Numbers: 1, JobsLeft: hidden}).Run(t.Context())
	require.NoError(t, err)
	other := results.NewReader(b.js, names.Names{Prefix: "x", StreamPrefix: "X"})
	_, err = (&Wait{Campaign: Campaign{Reader: other, Stream: "X_RESULTS", Tenant: "t", Name: "c"}, Numbers: 1, JobsLeft: hidden}).Run(t.Context())
	require.ErrorContains(t, err, "there is no stream X_RESULTS")
}

func TestStatusWithoutReasons(t *testing.T) {
	t.Parallel()
	b := setup(t)
	st, err := b.from.Status(t.Context(), Size{})
	require.NoError(t, err)
	require.Zero(t, st.Answered)
	require.Zero(t, st.Mean)
	b.answer(t, 0, 0, 10, results.StatusFailed)
	st, err = b.from.Status(t.Context(), Size{})
	require.NoError(t, err)
	require.EqualValues(t, 10, st.Answered)
	require.True(t, st.Sampled)
	require.Empty(t, st.Reasons)
	require.InDelta(t, 10, st.PerSecond, 1)
	require.Equal(t, Size{}, SizeOf(&jobs.Campaign{}))
	require.Equal(t, Size{Jobs: 3, JobSize: 10}, SizeOf(&jobs.Campaign{SealedAt: time.Now(), Jobs: 3, Source: &jobs.Source{Options: map[string]string{"job-size": "10"}}}))
	require.Equal(t, Size{}, SizeOf(&jobs.Campaign{SealedAt: time.Now(), Source: &jobs.Source{Options: map[string]string{"job-size": "x"}}}))
}
