package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/input"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
)

// benchLines is the size of the benchmark's file; -short takes a tenth.
const benchLines = 5_000_000

// The baselines: what reading, parsing and publishing alone take.
const (
	baselineCSV   = "csv"   // encoding/csv: what a program written in an hour does
	baselineInput = "input" // our own reader, which is faster
)

// BenchmarkSend sends a CSV file with `enqueue send` and, in the same minutes,
// with programs that only read, parse and publish: each a process of its own, all
// against one nats-server in a third. It reports the ratios of their times (goal:
// 0.7 and more) and enqueue's memory (goal: 100 MiB and less).
func BenchmarkSend(b *testing.B) {
	n := benchLines
	if testing.Short() {
		n /= 10
	}
	path := benchFile(b, n)
	url := benchServer(b)
	nc, err := nats.Connect(url)
	require.NoError(b, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	makeStreams(b, js, nil)
	var csvTimes, inputTimes, sendTimes, rss, cpu []float64
	round := 0
	for b.Loop() {
		round++
		csvTimes = append(csvTimes, benchRun(b, js, "baseline", n, baselineCSV, url, path).seconds)
		inputTimes = append(inputTimes, benchRun(b, js, "baseline", n, baselineInput, url, path).seconds)
		r := benchRun(b, js, "enqueue", n, "--nats", url, "send", path, "--route", "offline", "--campaign", "bench-"+strconv.Itoa(round))
		sendTimes, rss, cpu = append(sendTimes, r.seconds), append(rss, r.rss), append(cpu, r.cpu)
	}
	send := median(sendTimes)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)/send, "lines/s")
	b.ReportMetric(median(csvTimes)/send, "ratio-to-encoding/csv")
	b.ReportMetric(median(inputTimes)/send, "ratio-to-own-reader")
	b.ReportMetric(slices.Max(rss), "RSS-MiB")
	b.ReportMetric(1e6*median(cpu)/float64(n), "cpu-µs/line")
}

// benchResult is what one child process took.
type benchResult struct{ seconds, cpu, rss float64 }

// benchRun runs a child over n lines and empties the jobs stream behind it.
func benchRun(b *testing.B, js jetstream.JetStream, role string, n int, args ...string) benchResult {
	b.Helper()
	cmd := child(b.Context(), role, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	started := time.Now()
	require.NoError(b, cmd.Run(), "%s: %s", role, &stderr)
	r := benchResult{seconds: time.Since(started).Seconds(), cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(b, ok)
	r.rss = float64(usage.Maxrss) / 1024 // KiB on Linux
	stream, err := js.Stream(b.Context(), names.Default().JobsStream())
	require.NoError(b, err)
	require.EqualValues(b, (n+benchJob-1)/benchJob, stream.CachedInfo().State.Msgs)
	require.NoError(b, stream.Purge(b.Context()))
	b.Logf("%s %s: %.2f s, %.2f CPU-s, %.0f MiB", role, args[0], r.seconds, r.cpu, r.rss)
	return r
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// benchFile writes an export of n rows.
func benchFile(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "crm.csv")
	f, err := os.Create(path)
	require.NoError(b, err)
	w := bufio.NewWriter(f)
	_, err = w.WriteString("id,name,phone,city\n")
	require.NoError(b, err)
	for i := range n {
		_, err = fmt.Fprintf(w, "C-%07d,Customer %d,+86138%08d,湖北-武汉\n", i, i, i*7919%100_000_000)
		require.NoError(b, err)
	}
	require.NoError(b, errors.Join(w.Flush(), f.Close()))
	return path
}

// benchServer starts a nats-server in a process of its own.
func benchServer(b *testing.B) string {
	b.Helper()
	cmd := child(b.Context(), "nats", b.TempDir())
	stdin, err := cmd.StdinPipe()
	require.NoError(b, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	cmd.Stderr = os.Stderr
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(line)
}

// benchJob is the numbers in a job, here and by default.
const benchJob = 500

// baseline is the role of a program that reads, parses and publishes: no hash, no
// judgement of numbers, no record, no resume.
func baseline(args []string) int {
	if err := runBaseline(args[0], args[1], args[2]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runBaseline(mode, url, path string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	const window = 512 // of 20 KB; more is no faster and takes more memory
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(window))
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var next func() (number, ref []byte, err error)
	if mode == baselineInput {
		next, err = inputRows(f)
	} else {
		next, err = csvRows(f)
	}
	if err != nil {
		return err
	}
	if err := publishRows(js, next); err != nil {
		return err
	}
	<-js.PublishAsyncComplete()
	return nil
}

// csvRows reads rows of the benchmark's file with encoding/csv.
func csvRows(f io.Reader) (func() (number, ref []byte, err error), error) {
	r := csv.NewReader(bufio.NewReaderSize(f, 256<<10))
	r.ReuseRecord = true
	if _, err := r.Read(); err != nil { // the header
		return nil, err
	}
	var number, ref []byte
	return func() ([]byte, []byte, error) {
		row, err := r.Read()
		if err != nil {
			return nil, nil, err
		}
		number, ref = append(number[:0], row[2]...), append(ref[:0], row[0]...)
		return number, ref, nil
	}, nil
}

// inputRows reads them with our reader.
func inputRows(f io.Reader) (func() (number, ref []byte, err error), error) {
	r, err := input.Open(f, input.Options{Column: "phone", RefColumn: "id"})
	if err != nil {
		return nil, err
	}
	var row input.Row
	return func() ([]byte, []byte, error) {
		err := r.Next(&row)
		return row.Number, row.Ref, err
	}, nil
}

// publishRows makes jobs of the rows and publishes them asynchronously.
func publishRows(js jetstream.JetStream, next func() (number, ref []byte, err error)) error {
	var d jobs.Draft
	count := 0
	flush := func() error {
		id := strconv.Itoa(count)
		count++
		m := nats.NewMsg("lookup.jobs.offline.bulk.default.baseline")
		m.Header.Set(jetstream.MsgIDHeader, "default.baseline."+strconv.FormatInt(time.Now().UnixNano(), 36)+"."+id)
		m.Data = d.Cut(id, jobs.Shared{})
		_, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		return err
	}
	for {
		number, ref, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		d.Add(number, ref, false)
		if d.Len() == benchJob {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if d.Len() > 0 {
		return flush()
	}
	return nil
}
