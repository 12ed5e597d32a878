package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
)

// roleVar makes the test binary play another process: a real `enqueue`, or a
// NATS server for benchmarks.
const roleVar = "ENQUEUE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		goleak.VerifyTestMain(m)
	case "enqueue":
		main()
	case "nats":
		os.Exit(serveNATS(os.Args[1]))
	case "baseline":
		os.Exit(baseline(os.Args[1:]))
	}
}

// child prepares a process of this binary in a role.
func child(ctx context.Context, role string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	return cmd
}

// serveNATS runs a server until its input ends, and prints its address first.
func serveNATS(dir string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv, err := embedded.StartNATS(ctx, embedded.NATSOptions{Dir: dir, Listen: "127.0.0.1:0", SyncInterval: 2 * time.Minute, Log: zerolog.Nop()})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = fmt.Println(srv.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if srv.Close() != nil {
		return 1
	}
	return 0
}

// makeStreams makes what a worker makes before a client comes.
func makeStreams(tb testing.TB, js jetstream.JetStream, change func(*jetstream.StreamConfig)) {
	tb.Helper()
	n := names.Default()
	jobsConfig := jetstream.StreamConfig{
		Name: n.JobsStream(), Subjects: []string{n.JobsWildcard()}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, Duplicates: 10 * time.Minute,
	}
	if change != nil {
		change(&jobsConfig)
	}
	for _, cfg := range []jetstream.StreamConfig{
		jobsConfig,
		{Name: n.ResultsStream(), Subjects: []string{"lookup.results.>"}, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute},
	} {
		_, err := js.CreateStream(tb.Context(), cfg)
		require.NoError(tb, err)
	}
	_, err := js.CreateKeyValue(tb.Context(), jetstream.KeyValueConfig{Bucket: n.CampaignsBucket(), History: 5})
	require.NoError(tb, err)
}

// bundle is a server with streams, and the commands run against it.
type bundle struct {
	srv *embeddedtest.NATS
	nc  *nats.Conn
	js  jetstream.JetStream
	dir string
}

func setup(tb testing.TB, change func(*jetstream.StreamConfig)) *bundle {
	tb.Helper()
	b := &bundle{srv: embeddedtest.RunNATS(tb), dir: tb.TempDir()}
	b.nc = b.srv.Connect()
	var err error
	b.js, err = jetstream.New(b.nc)
	require.NoError(tb, err)
	makeStreams(tb, b.js, change)
	return b
}

// output is what a command printed.
type output struct {
	code           int
	stdout, stderr string
}

// run carries out one command line in this process.
func (b *bundle) run(tb testing.TB, args ...string) output {
	tb.Helper()
	return b.runWith(tb.Context(), nil, args...)
}

func (b *bundle) runWith(ctx context.Context, stdin io.Reader, args ...string) output {
	var stdout, stderr syncBuffer
	code := run(ctx, args, env{stdin: stdin, stdout: &stdout, stderr: &stderr, getenv: func(k string) (string, bool) {
		return b.dir, k == "HOME"
	}})
	return output{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// send carries out `enqueue send` against the bundle's server.
func (b *bundle) send(tb testing.TB, args ...string) output {
	tb.Helper()
	return b.run(tb, append([]string{"--nats", b.srv.URL(), "send", "--route", "offline"}, args...)...)
}

// syncBuffer is a buffer for parallel writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// file writes a file of the test.
func (b *bundle) file(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// lines is a CSV file of n different numbers.
func lines(n int) string {
	var b strings.Builder
	b.WriteString("id,phone\n")
	for i := range n {
		fmt.Fprintf(&b, "K%d,+86138%08d\n", i, i)
	}
	return b.String()
}

// fakeWorker answers jobs: numbers that end in 9 fail, in 8 are not found.
type fakeWorker struct {
	asked map[string]int
	jobs  map[string]int
	mu    sync.Mutex
}

// work starts a worker that ends with the test.
func (b *bundle) work(tb testing.TB) *fakeWorker {
	tb.Helper()
	w := &fakeWorker{asked: map[string]int{}, jobs: map[string]int{}}
	cons, err := b.js.CreateOrUpdateConsumer(tb.Context(), names.Default().JobsStream(), jetstream.ConsumerConfig{Durable: "fake", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(tb, err)
	it, err := cons.Messages(jetstream.PullMaxMessages(50))
	require.NoError(tb, err)
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			m, err := it.Next()
			if err != nil {
				return
			}
			w.answer(tb, b, m)
		}
	})
	tb.Cleanup(func() {
		it.Stop()
		ended.Wait()
	})
	return w
}

func (w *fakeWorker) answer(tb testing.TB, b *bundle, m jetstream.Msg) {
	tb.Helper()
	var job struct {
		ID    string
		Items []struct {
			Number string
			Ref    json.RawMessage
		}
	}
	lane, err := names.Default().ParseJobsSubject(m.Subject())
	if err != nil || json.Unmarshal(m.Data(), &job) != nil {
		tb.Errorf("the fake worker cannot read %s", m.Subject())
		return
	}
	var settled []results.Settled
	for i, item := range job.Items {
		w.mu.Lock()
		w.asked[item.Number]++
		w.mu.Unlock()
		s, _ := results.Settle(nil, job.ID, fakeResult(i, item.Number, item.Ref))
		settled = append(settled, s)
	}
	w.mu.Lock()
	w.jobs[job.ID]++
	w.mu.Unlock()
	info := results.JobInfo{ID: names.Identity{Tenant: lane.Tenant, Campaign: lane.Campaign, JobID: job.ID}, Route: lane.Route, Items: len(job.Items)}
	for _, part := range results.Pack(settled, 300) {
		if _, err := b.nc.RequestMsg(results.BuildPart(names.Default(), info, part), 5*time.Second); err != nil {
			return // the test is over, or the server restarts: the job comes again
		}
	}
	_ = m.Ack()
}

func fakeResult(i int, number string, ref json.RawMessage) *results.Result {
	r := &results.Result{
		Index: i, Ref: ref, Number: number, E164: number, Status: results.StatusOK, Provider: "fake", Source: results.SourceUpstream,
		AnsweredAt: time.Date(2026, 11, 21, 19, 2, 11, 213e6, time.UTC), Cost: results.Cost{Amount: "0.0020", Currency: "CNY"}, Attempts: 1,
		Lookup: &results.Lookup{
			Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes, Ported: results.No,
			OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"}, TimeZones: []string{"Asia/Shanghai", "Asia/Urumqi"},
		},
	}
	switch number[len(number)-1] {
	case '9':
		r.Status, r.Lookup, r.Error = results.StatusFailed, nil, &results.Error{Code: results.CodeNoAnswer, Message: "=no answer"}
	case '8':
		r.Status, r.Lookup = results.StatusNotFound, nil
	}
	return r
}

// once checks that every number was asked exactly once.
func (w *fakeWorker) once(tb testing.TB, numbers int) {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Len(tb, w.asked, numbers)
	for number, n := range w.asked {
		require.Equal(tb, 1, n, number)
	}
}

// storedNumbers counts the numbers in the jobs stream and checks that no job
// stands there twice.
func (b *bundle) storedNumbers(tb testing.TB) map[string]int {
	tb.Helper()
	stream, err := b.js.Stream(tb.Context(), names.Default().JobsStream())
	require.NoError(tb, err)
	state := stream.CachedInfo().State
	count, ids := map[string]int{}, map[string]bool{}
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(tb.Context(), seq)
		require.NoError(tb, err)
		var job struct {
			ID    string
			Items []struct{ Number string }
		}
		require.NoError(tb, json.Unmarshal(m.Data, &job))
		require.False(tb, ids[job.ID], "job %s is stored twice", job.ID)
		ids[job.ID] = true
		for _, i := range job.Items {
			count[i.Number]++
		}
	}
	return count
}

// room lets the jobs stream hold so many messages; -1 is no limit.
func (b *bundle) room(tb testing.TB, messages int64) {
	tb.Helper()
	stream, err := b.js.Stream(tb.Context(), names.Default().JobsStream())
	require.NoError(tb, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgs = messages
	_, err = b.js.UpdateStream(tb.Context(), cfg)
	require.NoError(tb, err)
}

// killed starts a real `enqueue send` and kills it with SIGKILL when the jobs
// stream holds so many messages, which is about all that it then has room for.
func (b *bundle) killed(tb testing.TB, at int64, args ...string) {
	tb.Helper()
	b.room(tb, at)
	defer b.room(tb, -1)
	cmd := child(tb.Context(), "enqueue", append([]string{"--nats", b.srv.URL(), "send", "--route", "offline"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(tb, cmd.Start())
	b.stored(tb, func(n int64) bool { return n >= at })
	require.NoError(tb, cmd.Process.Kill())
	err := cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(tb, err, &exit, "it had ended by itself: %s", &stderr)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(tb, ok)
	require.Equal(tb, syscall.SIGKILL, status.Signal(), "it had ended by itself: %s", &stderr)
}

// stored waits until the number of messages in the jobs stream is good.
func (b *bundle) stored(tb testing.TB, good func(messages int64) bool) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		stream, err := b.js.Stream(tb.Context(), names.Default().JobsStream())
		return err == nil && good(int64(stream.CachedInfo().State.Msgs))
	}, 15*time.Second, 5*time.Millisecond)
}

func none(n int64) bool { return n == 0 }

// events are the JSON lines of a command.
func events(tb testing.TB, out string) []map[string]any {
	tb.Helper()
	var all []map[string]any
	scan := bufio.NewScanner(strings.NewReader(out))
	for scan.Scan() {
		var ev map[string]any
		require.NoError(tb, json.Unmarshal(scan.Bytes(), &ev), scan.Text())
		all = append(all, ev)
	}
	return all
}
