package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
)

func TestSendWaitAndOut(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	w := b.work(t)
	path := b.file(t, "crm.csv", lines(1000)+"x,none\n")
	out := filepath.Join(b.dir, "results.csv")
	got := b.send(t, path, "--campaign", "c1", "--job-size", "300", "--out", out, "--rejects", filepath.Join(b.dir, "r.csv"))
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, `numbers from column 2 "phone", refs from column 1 "id"`)
	require.Contains(t, got.stderr, "campaign c1: 1,000 numbers in 4 jobs sent in")
	require.Contains(t, got.stderr, "1 lines without a usable number")
	require.Contains(t, got.stderr, "1,000 of 1,000 numbers answered in")
	require.Contains(t, got.stderr, "status     ok 800, failed 100, not_found 100")
	require.Contains(t, got.stderr, "cost       2.0000 CNY")
	require.Contains(t, got.stderr, "errors     no_answer 100")
	require.Contains(t, got.stderr, "countries  CN 800")
	require.Contains(t, got.stderr, "carriers   移动 800")
	require.Empty(t, got.stdout)
	w.once(t, 1000)

	f, err := os.Open(out)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1001)
	require.Equal(t, follow.Columns(), rows[0])
	byRef := map[string][]string{}
	for _, r := range rows[1:] {
		byRef[r[0]] = r
	}
	require.Len(t, byRef, 1000)
	ok := byRef["K0"]
	require.Equal(t, []string{
		"K0", "+8613800000000", "+8613800000000", "ok", "CN", "湖北-襄樊", "mobile", "true", "false", "china_mobile", "移动", "", "", "Asia/Shanghai Asia/Urumqi",
		"fake", "upstream", "2026-11-21T19:02:11.213Z", "0.0020", "CNY", "1", "", "", "",
	}, ok[:23])
	require.Equal(t, "'=no answer", byRef["K9"][21], "guarded")

	again := b.send(t, path, "--campaign", "c1", "--job-size", "300", "--wait", "--strict")
	require.Equal(t, exitStrict, again.code, "some failed")
	require.Contains(t, again.stderr, "was sent completely on")
	require.Contains(t, again.stderr, "1,000 of 1,000 numbers answered")
	w.once(t, 1000)
}

func TestSendJSON(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.work(t)
	got := b.send(t, b.file(t, "a.txt", "+8613800000000\nnone\n"), "--campaign", "c1", "--wait", "--json")
	require.Zero(t, got.code, got.stderr)
	require.Empty(t, got.stderr)
	all := events(t, got.stdout)
	require.Equal(t, "notice", all[0]["event"])
	last := all[len(all)-1]
	require.Equal(t, "summary", last["event"])
	b2, err := json.Marshal(last)
	require.NoError(t, err)
	var sum struct {
		Send    struct{ Numbers, Jobs, Rejects int64 }
		Results struct {
			Answered int64
			Status   map[string]int64
			Cost     []struct{ Amount, Currency string }
		}
	}
	require.NoError(t, json.Unmarshal(b2, &sum))
	require.EqualValues(t, 1, sum.Send.Numbers)
	require.EqualValues(t, 1, sum.Send.Rejects)
	require.Equal(t, map[string]int64{"ok": 1}, sum.Results.Status)
	require.Equal(t, "0.0020", sum.Results.Cost[0].Amount)
}

func TestSendStdin(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got := b.runWith(t.Context(), strings.NewReader("13800138000\n13800138001\n"), "--nats", b.srv.URL(), "send", "-", "--route", "r", "--region", "cn", "--priority", "high", "--tenant", "acme")
	require.Zero(t, got.code, got.stderr)
	require.Len(t, b.storedNumbers(t), 2)
	stream, err := b.js.Stream(t.Context(), "LOOKUP_JOBS")
	require.NoError(t, err)
	m, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Regexp(t, `^lookup\.jobs\.r\.high\.acme\.[0-9A-Z]{26}$`, m.Subject)
	require.Contains(t, string(m.Data), `"region":"CN"`)
}

// SIGKILL in the middle, again and again, then a run to the end: no number is
// stored twice, and none is missing.
func TestKillAndResume(t *testing.T) {
	t.Parallel()
	const numbers = 10_000
	b := setup(t, nil)
	path := b.file(t, "crm.csv", lines(numbers))
	args := []string{path, "--campaign", "c1", "--job-size", "20"}
	for _, at := range []int64{50, 51, 200, 400} {
		b.killed(t, at, args...)
	}
	got := b.send(t, args...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "of the jobs were sent by an earlier run")
	count := b.storedNumbers(t)
	require.Len(t, count, numbers)
	for number, n := range count {
		require.Equal(t, 1, n, number)
	}
}

// The same with a server that has forgotten all message ids (it was restarted, and
// the jobs sent first are answered and gone): each number is asked once.
func TestKillAndResumeAfterForgetting(t *testing.T) {
	t.Parallel()
	const numbers = 10_000
	b := setup(t, nil)
	path := b.file(t, "crm.csv", lines(numbers))
	args := []string{path, "--campaign", "c1", "--job-size", "20"}
	b.killed(t, 150, args...)
	w := b.work(t)
	b.stored(t, none)
	b.srv.Restart()
	got := b.send(t, append(args, "--wait")...)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "of the jobs were sent by an earlier run")
	require.Contains(t, got.stderr, "10,000 of 10,000 numbers answered")
	w.once(t, numbers)
}

// A full stream is back-pressure, said on the way, not an error.
func TestSendIntoAFullStream(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 })
	path := b.file(t, "crm.csv", lines(300))
	cmd := child(t.Context(), "enqueue", "--nats", b.srv.URL(), "send", "--route", "offline", "--campaign", "c1", "--job-size", "10", path, "--wait")
	var stderr syncBuffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return strings.Contains(stderr.String(), "the jobs stream is full") }, 15*time.Second, 20*time.Millisecond)
	b.room(t, 20)
	w := b.work(t)
	require.NoError(t, cmd.Wait(), stderr.String())
	require.Contains(t, stderr.String(), "300 of 300 numbers answered")
	w.once(t, 300)
}

// Ctrl-C: what was published is noted, the message says how to continue, the exit
// code is 1, and the next run continues.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 })
	path := b.file(t, "crm.csv", lines(2000))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan output, 1)
	args := []string{"--nats", b.srv.URL(), "send", "--route", "offline", "--campaign", "c1", "--job-size", "10", path}
	go func() { done <- b.runWith(ctx, nil, args...) }()
	b.stored(t, func(n int64) bool { return n == 5 })
	cancel()
	got := <-done
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "run the same command again to continue")
	b.room(t, -1)
	w := b.work(t)
	got = b.run(t, append(args, "--wait")...)
	require.Zero(t, got.code, got.stderr)
	w.once(t, 2000)
}

// When no job is left and numbers have no result, waiting ends with an error.
func TestWaitEndsWithoutJobs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	path := b.file(t, "crm.csv", lines(30))
	require.Zero(t, b.send(t, path, "--campaign", "c1", "--job-size", "10").code)
	stream, err := b.js.Stream(t.Context(), "LOOKUP_JOBS")
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 2))
	b.work(t)
	got := b.send(t, path, "--campaign", "c1", "--job-size", "10", "--wait")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "10 numbers have no result though none of their jobs is left")
	require.Contains(t, got.stderr, "20 of 30 numbers answered")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := &bundle{dir: t.TempDir()}
	file := b.file(t, "a.txt", "13800138000\n")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "--help"},
		{"--help", exitOK, ""},
		{"--version", exitOK, ""},
		{"results --help", exitOK, ""},
		{"send " + file, exitUsage, "--route"},
		{"send --route r", exitUsage, "<file>"},
		{"send --route a.b " + file, exitUsage, "--route"},
		{"send --route r --campaign _ " + file, exitUsage, "--campaign"},
		{"send --route r --tenant a/b " + file, exitUsage, "--tenant"},
		{"send --route r --priority top " + file, exitUsage, "--priority"},
		{"send --route r --region XX " + file, exitUsage, "ISO 3166-1"},
		{"send --route r --job-size 1001 " + file, exitUsage, "1 to 1000"},
		{"send --route r --max-age 5x " + file, exitUsage, "--max-age"},
		{"send --route r --budget 100 " + file, exitUsage, "--budget"},
		{"send --route r --expires-at tomorrow " + file, exitUsage, "--expires-at"},
		{"send --route r --callback nowhere " + file, exitUsage, "--callback"},
		{"send --route r --out x.xlsx " + file, exitUsage, ".csv or .ndjson"},
		{"status a.b", exitUsage, "no name"},
		{"results c --status done", exitUsage, "--status"},
		{"results c --out x", exitUsage, ".csv"},
		{"status c --context nowhere", exitUsage, "there are no contexts"},
		{"status c --nats nats://u:secret@127.0.0.1:1", exitError, "cannot reach NATS at nats://%2A%2A%2A@127.0.0.1:1"},
	} {
		got := b.run(t, strings.Fields(c.args)...)
		require.Equal(t, c.code, got.code, "%s: %s", c.args, got.stderr)
		require.Contains(t, got.stderr, c.want, c.args)
		require.NotContains(t, got.stderr, "secret")
		if c.code != exitOK {
			require.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line: %s", got.stderr)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, c := range []struct {
		name, text, want string
	}{
		{"empty.csv", "", "the input is empty"},
		{"none.csv", "a,b\nx,y\n", "name it with --column"},
		{"bad.csv", "phone\nnone\n", "there is no usable number in the input"},
	} {
		got := b.send(t, b.file(t, c.name, c.text))
		require.Equal(t, exitError, got.code)
		require.Contains(t, got.stderr, c.want)
	}
	got := b.send(t, filepath.Join(b.dir, "missing.csv"))
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "no such file")
	require.NoError(t, b.js.DeleteStream(t.Context(), "KV_LOOKUP_CAMPAIGNS"))
	got = b.send(t, b.file(t, "a.txt", "13800138000\n"))
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "start a worker first")
}

func TestHelpNamesTheColumns(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(resultsHelp), " ")
	require.Contains(t, text, strings.Join(follow.Columns(), ", "))
	require.True(t, bytes.Contains([]byte(text), []byte("apostrophe")))
}
