package send

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/input"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a server with the streams that a sender needs.
type bundle struct {
	srv     *embeddedtest.NATS
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	to      NATS
	notices *notices
}

// notices collects what the user is told.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, s)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

func setup(tb testing.TB, change func(*jetstream.StreamConfig)) *bundle {
	tb.Helper()
	b := &bundle{srv: embeddedtest.RunNATS(tb), notices: &notices{}}
	b.nc = b.srv.Connect()
	var err error
	b.js, err = jetstream.New(b.nc)
	require.NoError(tb, err)
	cfg := jetstream.StreamConfig{
		Name: names.Default().JobsStream(), Subjects: []string{names.Default().JobsWildcard()}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, Duplicates: 10 * time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	b.stream, err = b.js.CreateStream(tb.Context(), cfg)
	require.NoError(tb, err)
	_, err = b.js.CreateKeyValue(tb.Context(), jetstream.KeyValueConfig{Bucket: names.Default().CampaignsBucket(), History: 5})
	require.NoError(tb, err)
	b.to = b.nats(tb)
	return b
}

// nats is what one sender needs; every run of a test has its own.
func (b *bundle) nats(tb testing.TB) NATS {
	tb.Helper()
	c, err := confirm.New(b.nc, confirm.Options{Resend: 5 * time.Second}) // rather late than into a window that forgets in 100 ms
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return NATS{Campaigns: jobs.NewCampaigns(b.nc, names.Default(), ""), Confirm: c}
}

// config sends one path.
func (b *bundle) config(path string) Config {
	return Config{
		Paths: []string{path}, Names: names.Default(), JobSize: 10, Notice: b.notices.add,
		Lane: names.Lane{Route: "offline", Tenant: "acme"},
	}
}

// run sends with cfg and returns what Run did.
func (b *bundle) run(tb testing.TB, cfg Config) (Summary, error) {
	tb.Helper()
	s, err := New(tb.Context(), cfg)
	require.NoError(tb, err)
	return s.Run(tb.Context(), b.to)
}

type sentItem struct {
	Number string          `json:"number"`
	Ref    json.RawMessage `json:"ref"`
}

type sentJob struct {
	ID        string         `json:"id"`
	Items     []sentItem     `json:"items"`
	Region    string         `json:"region"`
	Callback  *jobs.Callback `json:"callback"`
	MaxAge    string         `json:"max_age"`
	ExpiresAt string         `json:"expires_at"`
	subject   string
	msgID     string
}

// stored reads the jobs in the stream and checks that each is well-formed and
// stands there once.
func (b *bundle) stored(tb testing.TB) []sentJob {
	tb.Helper()
	info, err := b.stream.Info(tb.Context())
	require.NoError(tb, err)
	var all []sentJob
	seen := map[string]bool{}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := b.stream.GetMsg(tb.Context(), seq)
		if err != nil {
			continue // answered and gone
		}
		var j sentJob
		require.NoError(tb, json.Unmarshal(m.Data, &j))
		_, err = jobs.Decode(m.Data)
		require.NoError(tb, err)
		j.subject, j.msgID = m.Subject, m.Header.Get("Nats-Msg-Id")
		require.False(tb, seen[j.msgID], "job %s is stored twice", j.msgID)
		seen[j.msgID] = true
		all = append(all, j)
	}
	return all
}

// numbers flattens jobs and counts each number.
func numbersOf(all []sentJob) map[string]int {
	count := map[string]int{}
	for _, j := range all {
		for _, i := range j.Items {
			count[i.Number]++
		}
	}
	return count
}

func (b *bundle) record(tb testing.TB, campaign string) jobs.Record {
	tb.Helper()
	rec, err := b.to.Campaigns.Get(tb.Context(), "acme", campaign)
	require.NoError(tb, err)
	return rec
}

func write(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// lines is a file of n different numbers.
func lines(n int) string {
	var b strings.Builder
	b.WriteString("phone,id\n")
	for i := range n {
		fmt.Fprintf(&b, "138%08d,K%d\n", i*7919%100_000_000, i)
	}
	return b.String()
}

func TestSend(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	text := lines(25) + "none,x\n,y\n"
	path := write(t, "crm export (v2).csv", text)
	cfg := b.config(path)
	cfg.Rejects = filepath.Join(t.TempDir(), "rejects.csv")
	cfg.Budget = &jobs.Budget{Amount: "100", Currency: "CNY"}
	cfg.Shared = jobs.Shared{Callback: "https://x.example/h", MaxAge: "24h", ExpiresAt: "2030-01-01T00:00:00Z", Region: "CN"}
	sum, err := b.run(t, cfg)
	require.NoError(t, err)
	hash := sha256.Sum256([]byte(text))
	sha := hex.EncodeToString(hash[:])
	campaign := "crm-export--v2-" + sha[:8]
	require.Equal(t, campaign, sum.Campaign)
	require.EqualValues(t, 27, sum.Lines)
	require.EqualValues(t, 25, sum.Numbers)
	require.EqualValues(t, 3, sum.Jobs)
	require.Equal(t, map[string]int64{"no digits": 1, "empty": 1}, sum.Reasons)

	all := b.stored(t)
	require.Len(t, all, 3)
	for i, j := range all {
		require.Equal(t, jobs.JobID(sha, campaign, uint64(i)), j.ID)
		require.Equal(t, "acme."+campaign+"."+j.ID, j.msgID)
		require.Equal(t, "lookup.jobs.offline.bulk.acme."+campaign, j.subject)
		require.Equal(t, "CN", j.Region)
		require.Equal(t, "https://x.example/h", j.Callback.URL)
		require.Equal(t, "24h", j.MaxAge)
		require.Equal(t, "2030-01-01T00:00:00Z", j.ExpiresAt)
	}
	require.JSONEq(t, `"K0"`, string(all[0].Items[0].Ref))
	require.Len(t, numbersOf(all), 25)

	rec := b.record(t, campaign)
	require.Equal(t, jobs.CampaignActive, rec.State)
	require.True(t, rec.Sealed())
	require.EqualValues(t, 25, rec.Numbers)
	require.EqualValues(t, 3, rec.Jobs)
	require.Equal(t, "offline", rec.Route)
	require.Equal(t, "https://x.example/h", rec.Callback.URL)
	require.Equal(t, "100CNY", rec.Budget.Amount+rec.Budget.Currency)
	require.Equal(t, "crm export (v2).csv", rec.Source.Name)
	require.Equal(t, sha, rec.Source.SHA256)
	require.EqualValues(t, 3, rec.Source.Published)

	f, err := os.Open(cfg.Rejects)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{{"line", "reason", "text", "file"}, {"27", "no digits", "none,x", path}, {"28", "empty", ",y", path}}, rows)

	before, err := os.ReadFile(cfg.Rejects)
	require.NoError(t, err)
	sum, err = b.run(t, cfg)
	require.NoError(t, err)
	require.False(t, sum.AlreadySent.IsZero())
	require.EqualValues(t, 25, sum.Numbers)
	require.EqualValues(t, 2, sum.Rejects)
	after, err := os.ReadFile(cfg.Rejects)
	require.NoError(t, err)
	require.Equal(t, before, after, "the file of rejects is as complete as before")
	require.Len(t, b.stored(t), 3)
}

// Rows with a country of their own go into jobs of that region; numbers with a
// plus need none.
func TestSendByRegion(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var text strings.Builder
	text.WriteString("Phone;Country\n")
	for i := range 300 {
		fmt.Fprintf(&text, "0412%06d;AU\n+49151%07d;DE\n030%07d;DE\n021%07d;\n", i, i, i, i)
	}
	cfg := b.config(write(t, "x.csv", text.String()))
	cfg.Shared.Region = "CH"
	_, err := b.run(t, cfg)
	require.NoError(t, err)
	all := b.stored(t)
	got := map[string]string{}
	for _, j := range all {
		require.LessOrEqual(t, len(j.Items), 10)
		for _, i := range j.Items {
			require.Empty(t, got[i.Number])
			got[i.Number] = j.Region
		}
	}
	require.Len(t, got, 1200)
	for number, region := range got {
		want := map[string]string{"0412": "AU", "+491": "CH", "030": "DE", "021": "CH"}
		ok := false
		for prefix, r := range want {
			ok = ok || strings.HasPrefix(number, prefix) && r == region
		}
		require.True(t, ok, "%s in %s", number, region)
	}
	require.Len(t, all, 120)
}

// However many regions and however long the refs, what waits for its job is
// bounded, and every row is sent once.
func TestBuilderIsBounded(t *testing.T) {
	t.Parallel()
	count, most := 0, 0
	b := &builder{size: 1000, drafts: map[string]*jobs.Draft{}}
	b.cut = func(region string, d *jobs.Draft) error {
		require.LessOrEqual(t, d.Size(), maxBody+4096)
		count += d.Len()
		d.Cut("x", jobs.Shared{Region: region})
		return nil
	}
	regions := []string{"AU", "DE", "CH", "FR", "GB", "US", "JP", "BR", "IN", "ZA"}
	ref := bytes.Repeat([]byte("\x01"), 256)
	const rows = 15_000
	for i := range rows {
		row := input.Row{Number: []byte("0412345678"), Ref: ref, Region: fmt.Sprint(regions[i%10], i%250)}
		require.NoError(t, b.add(&row))
		most = max(most, b.waiting)
	}
	require.NoError(t, b.rest())
	require.Equal(t, rows, count)
	require.LessOrEqual(t, most, maxWaiting+4096)
	require.Zero(t, b.waiting)
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	path := write(t, "a.csv", lines(30))
	cfg := b.config(path)
	cfg.Lane.Campaign = "c"
	_, err := b.run(t, cfg)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"other file":     {func(c *Config) { c.Paths = []string{write(t, "b.csv", lines(31))} }, "was begun with another input (a.csv, sha256"},
		"other job size": {func(c *Config) { c.JobSize = 11 }, `was begun with --job-size "10", not "11"`},
		"other region":   {func(c *Config) { c.Shared.Region = "CN" }, `was begun with --region "", not "CN"`},
		"other route":    {func(c *Config) { c.Lane.Route = "x" }, "--route"},
		"other column":   {func(c *Config) { c.Input.Column = "1" }, "--column"},
		"a stream":       {func(c *Config) { c.Paths, c.Stdin = []string{Stdin}, strings.NewReader(lines(30)) }, "was begun with another input"},
	} {
		other := cfg
		c.change(&other)
		_, err := b.run(t, other)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, "--campaign", name)
	}
	require.Len(t, b.stored(t), 3)

	_, err = b.to.Campaigns.Put(t.Context(), "acme", "foreign", &jobs.Campaign{State: jobs.CampaignActive}, 0)
	require.NoError(t, err)
	cfg.Lane.Campaign = "foreign"
	_, err = b.run(t, cfg)
	require.ErrorContains(t, err, "was not made by enqueue send")

	cfg.Lane.Campaign = "empty"
	cfg.Paths = []string{write(t, "e.csv", "phone\nnone\n")}
	_, err = b.run(t, cfg)
	require.ErrorIs(t, err, ErrNoNumbers)
	_, err = b.to.Campaigns.Get(t.Context(), "acme", "empty")
	require.ErrorIs(t, err, jobs.ErrNoCampaign, "nothing was sent, so nothing is left behind")

	_, err = New(t.Context(), b.config(filepath.Join(t.TempDir(), "none.csv")))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = New(t.Context(), b.config(t.TempDir()))
	require.ErrorContains(t, err, "is a folder")
	_, err = New(t.Context(), Config{Paths: []string{path, Stdin}})
	require.ErrorContains(t, err, "cannot be sent together")
}

func TestSendSeveralFilesAndStream(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	cfg := b.config(write(t, "a.csv", lines(12)))
	cfg.Paths = append(cfg.Paths, write(t, "b.txt", "+4915100000001\n+4915100000002\n"))
	sum, err := b.run(t, cfg)
	require.NoError(t, err)
	require.EqualValues(t, 14, sum.Numbers)
	require.Equal(t, "a.csv and 1 more", b.record(t, sum.Campaign).Source.Name)

	stream := b.config(Stdin)
	stream.Stdin = strings.NewReader("+4915100000003\n")
	sum, err = b.run(t, stream)
	require.NoError(t, err)
	require.Len(t, sum.Campaign, 26, "a ULID")
	require.Len(t, numbersOf(b.stored(t)), 15)
}

// stopAt ends a run after so many bytes were read.
type stopAt struct {
	r    io.Reader
	left int
	stop func()
}

func (s *stopAt) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.stop()
	}
	n, err := s.r.Read(p[:min(len(p), 4096)])
	s.left -= n
	return n, err
}

// A stream that is stopped in the middle is continued by sending it again; another
// one under the same name is refused.
func TestResumeStream(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	text := lines(25_000)
	cfg := b.config(Stdin)
	cfg.Lane.Campaign, cfg.JobSize = "s", 100
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Stdin = &stopAt{r: strings.NewReader(text), left: len(text) * 9 / 10, stop: cancel}
	s, err := New(ctx, cfg)
	require.NoError(t, err)
	_, err = s.Run(ctx, b.to)
	require.ErrorIs(t, err, ErrStopped)
	rec := b.record(t, "s")
	require.False(t, rec.Sealed())
	require.NotZero(t, rec.Source.Published)
	require.Len(t, b.stored(t), int(rec.Source.Published), "what was published was waited for and noted")

	cfg.Stdin = strings.NewReader(strings.Replace(text, "K7\n", "K8\n", 1))
	_, err = b.run(t, cfg)
	require.ErrorContains(t, err, "begun with another input")

	cfg.Stdin = strings.NewReader(text)
	sum, err := b.run(t, cfg)
	require.NoError(t, err)
	require.EqualValues(t, 25_000, sum.Numbers)
	require.EqualValues(t, rec.Source.Published, sum.Resumed)
	require.Len(t, numbersOf(b.stored(t)), 25_000)
	rec = b.record(t, "s")
	require.True(t, rec.Sealed())
	hash := sha256.Sum256([]byte(text))
	require.Equal(t, hex.EncodeToString(hash[:]), rec.Source.SHA256)
	for name, other := range map[string]string{"the same": text, "longer": text + lines(200)[9:], "different": strings.Replace(text, "K7\n", "K8\n", 1)} {
		cfg.Stdin = strings.NewReader(other)
		sum, err = b.run(t, cfg)
		if name == "the same" {
			require.NoError(t, err)
			require.False(t, sum.AlreadySent.IsZero())
			continue
		}
		require.ErrorContains(t, err, "begun with another input", name)
	}
}

// A crash leaves jobs behind the checkpoint, some of which are answered and gone
// by the time of the next run, which JetStream's duplicate window has forgotten:
// none of them is sent again.
func TestResumeBehindAStaleCheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond })
	cfg := b.config(write(t, "a.csv", lines(5000)))
	cfg.Lane.Campaign = "c"
	first, err := b.run(t, cfg)
	require.NoError(t, err)
	all := b.stored(t)
	require.Len(t, all, 500)

	// Wind the record back to where a crash might have left it.
	_, err = b.to.Campaigns.Update(t.Context(), "acme", "c", func(c *jobs.Campaign) error {
		c.SealedAt, c.Numbers, c.Jobs = time.Time{}, 0, 0
		c.Source.Published, c.Source.After = 200, 190
		return nil
	})
	require.NoError(t, err)
	var answered []string
	for i, seq := range []uint64{230, 231, 450, 499} {
		answered = append(answered, all[seq-1].ID)
		require.NoError(t, b.stream.DeleteMsg(t.Context(), seq), i)
	}
	lost := all[489].ID // never reached the stream: must be sent
	require.NoError(t, b.stream.DeleteMsg(t.Context(), 490))
	b.srv.Restart()
	b.waitForForgetting(t)

	to := b.nats(t)
	to.Answered = func(_ context.Context, visit func(string)) error {
		for _, id := range answered {
			visit(id)
		}
		visit("somebody-elses")
		return nil
	}
	b.to = to
	sum, err := b.run(t, cfg)
	require.NoError(t, err)
	require.EqualValues(t, 499, sum.Resumed)
	require.Equal(t, first.Numbers, sum.Numbers)
	now := b.stored(t)
	require.Len(t, now, 496)
	require.Equal(t, lost, now[495].ID)
	rec := b.record(t, "c")
	require.True(t, rec.Sealed())
	require.EqualValues(t, 500, rec.Source.Published)
}

// waitForForgetting waits until JetStream takes an id a second time.
func (b *bundle) waitForForgetting(tb testing.TB) {
	tb.Helper()
	m := nats.NewMsg("lookup.jobs.x.bulk.other.c")
	m.Header.Set("Nats-Msg-Id", "probe")
	taken := 0
	require.Eventually(tb, func() bool {
		ack, err := b.js.PublishMsg(tb.Context(), m)
		if err != nil || ack.Duplicate {
			return false
		}
		require.NoError(tb, b.stream.DeleteMsg(tb.Context(), ack.Sequence))
		taken++
		return taken == 2
	}, 10*time.Second, 50*time.Millisecond)
}

// A campaign cancelled while it is being sent stops the sender.
func TestCancelledWhileSending(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 50 }) // so that the run does not end by itself
	cfg := b.config(write(t, "a.csv", lines(5000)))
	cfg.Lane.Campaign = "c"
	done := make(chan error, 1)
	s, err := New(t.Context(), cfg)
	require.NoError(t, err)
	go func() {
		_, err := s.Run(t.Context(), b.to)
		done <- err
	}()
	require.Eventually(t, func() bool {
		_, err := b.to.Campaigns.Update(t.Context(), "acme", "c", func(c *jobs.Campaign) error {
			c.State, c.SealedAt = jobs.CampaignCancelled, time.Now().UTC()
			return nil
		})
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	select {
	case err := <-done:
		require.ErrorIs(t, err, ErrCancelled)
	case <-time.After(15 * time.Second):
		require.FailNow(t, "the sender goes on")
	}
}

func TestChangedFile(t *testing.T) {
	t.Parallel()
	path := write(t, "a.csv", lines(10))
	src, err := hashSource(t.Context(), []string{path}, nil)
	require.NoError(t, err)
	require.NoError(t, src.unchanged())
	require.NoError(t, os.WriteFile(path, []byte(lines(11)), 0o600))
	require.ErrorContains(t, src.unchanged(), "was changed while it was being sent")
}

func TestDefaultCampaign(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab12", 16)
	for path, want := range map[string]string{
		"/x/crm.csv":                         "crm-ab12ab12",
		"crm.csv.gz":                         "crm-ab12ab12",
		"crm.2026.csv":                       "crm-2026-ab12ab12",
		"客户.csv":                             "file-ab12ab12",
		"_-x_y.ndjson":                       "x_y-ab12ab12",
		strings.Repeat("a", 100) + ".csv":    strings.Repeat("a", 55) + "-ab12ab12",
		".csv":                               "file-ab12ab12",
		"no extension":                       "no-extension-ab12ab12",
		"crm export (v2).csv":                "crm-export--v2-ab12ab12",
		strings.Repeat("é", 60) + "x" + ".y": "x-ab12ab12",
	} {
		got := defaultCampaign(path, sum)
		require.Equal(t, want, got, path)
		require.True(t, names.ValidToken(got), got)
	}
}
