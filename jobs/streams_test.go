package jobs

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
)

func newJS(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// configs reads what the server has, by stream.
func configs(t *testing.T, js jetstream.JetStream) map[string]jetstream.StreamConfig {
	t.Helper()
	all := map[string]jetstream.StreamConfig{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		all[info.Config.Name] = info.Config
	}
	require.NoError(t, list.Err())
	return all
}

func TestEnsureStreams(t *testing.T) {
	t.Parallel()
	js := newJS(t, embeddedtest.RunNATS(t).Connect())
	require.NoError(t, EnsureStreams(t.Context(), js, names.Default(), StreamOptions{}))
	got := configs(t, js)
	require.Len(t, got, 8)
	for _, c := range got {
		require.Equal(t, jetstream.FileStorage, c.Storage)
		require.EqualValues(t, -1, c.MaxBytes, "no limit is known")
		require.Equal(t, 1, c.Replicas)
		require.True(t, c.AllowDirect)
	}

	jobs := got["LOOKUP_JOBS"]
	require.Equal(t, jetstream.WorkQueuePolicy, jobs.Retention)
	require.Equal(t, jetstream.DiscardNew, jobs.Discard)
	require.Equal(t, 10*time.Minute, jobs.Duplicates)
	require.Equal(t, 100_000, jobs.MaxConsumers)
	require.Zero(t, jobs.MaxAge)

	results := got["LOOKUP_RESULTS"]
	require.Equal(t, jetstream.LimitsPolicy, results.Retention)
	require.Equal(t, jetstream.DiscardNew, results.Discard)
	require.Equal(t, 7*24*time.Hour, results.MaxAge)
	require.Equal(t, 2*time.Minute, results.Duplicates)

	require.Equal(t, 30*24*time.Hour, got["LOOKUP_EVENTS"].MaxAge)
	require.Equal(t, 30*24*time.Hour, got["LOOKUP_DEAD"].MaxAge)
	require.Equal(t, jetstream.WorkQueuePolicy, got["LOOKUP_WEBHOOKS"].Retention)
	require.Equal(t, jetstream.DiscardNew, got["LOOKUP_WEBHOOKS"].Discard)
	require.EqualValues(t, 5, got["KV_LOOKUP_CAMPAIGNS"].MaxMsgsPerSubject)
	require.True(t, got["KV_LOOKUP_WORKERS"].AllowMsgTTL)
	require.True(t, got["KV_LOOKUP_TICKETS"].AllowMsgTTL)

	// Any client of the KV API takes the buckets for its own.
	for _, bucket := range []string{"LOOKUP_CAMPAIGNS", "LOOKUP_TICKETS", "LOOKUP_WORKERS"} {
		kv, err := js.KeyValue(t.Context(), bucket)
		require.NoError(t, err)
		_, err = kv.Create(t.Context(), "acme.c", []byte("x"))
		require.NoError(t, err)
		_, err = kv.Create(t.Context(), "acme.c", []byte("y"))
		require.ErrorIs(t, err, jetstream.ErrKeyExists)
	}

	// And again: nothing changes.
	require.NoError(t, EnsureStreams(t.Context(), js, names.Default(), StreamOptions{}))
	require.Equal(t, got, configs(t, js))
}

func TestEnsureStreamsSubjects(t *testing.T) {
	t.Parallel()
	js := newJS(t, embeddedtest.RunNATS(t).Connect())
	require.NoError(t, EnsureStreams(t.Context(), js, names.Names{Prefix: "my.lookup", StreamPrefix: "MY"}, StreamOptions{}))
	for _, subject := range []string{
		"my.lookup.jobs.r.bulk.t._", "my.lookup.results.t.c", "my.lookup.events.t.c.completed", "my.lookup.events._system._.x",
		"my.lookup.webhooks.t", "my.lookup.dead.malformed_job.t",
	} {
		ack, err := js.Publish(t.Context(), subject, []byte("x"))
		require.NoError(t, err, subject)
		require.True(t, strings.HasPrefix(ack.Stream, "MY_"))
	}
	// What is no job subject has nobody who would ever serve it: its producer
	// hears so at once.
	for _, subject := range []string{"my.lookup.jobs.r.bulk.t", "my.lookup.jobs.r.bulk.t.c.x", "my.lookup.results.t"} {
		_, err := js.Publish(t.Context(), subject, []byte("x"), jetstream.WithRetryAttempts(0))
		require.ErrorIs(t, err, jetstream.ErrNoStreamResponse, subject)
	}
}

func TestEnsureStreamsAtOnce(t *testing.T) {
	t.Parallel()
	server := embeddedtest.RunNATS(t)
	var g errgroup.Group
	for range 8 {
		js := newJS(t, server.Connect())
		g.Go(func() error { return EnsureStreams(t.Context(), js, names.Default(), StreamOptions{}) })
	}
	require.NoError(t, g.Wait())
	require.Len(t, configs(t, newJS(t, server.Connect())), 8)
}

// TestEnsureStreamsKeepsSettings: what an operator has set larger stays, and so
// does what is smaller but harmless.
func TestEnsureStreamsKeepsSettings(t *testing.T) {
	t.Parallel()
	js := newJS(t, embeddedtest.RunNATS(t).Connect())
	n := names.Default()
	theirs := []jetstream.StreamConfig{
		{
			Name: n.JobsStream(), Subjects: []string{"lookup.jobs.>"}, Retention: jetstream.WorkQueuePolicy, MaxBytes: 1 << 31,
			MaxAge: time.Hour, Duplicates: 20 * time.Minute, MaxConsumers: 200_000, MaxMsgSize: 1 << 20, Description: "ours",
			RePublish: &jetstream.RePublish{Source: ">", Destination: "copy.>"}, Compression: jetstream.S2Compression,
		},
		{
			Name: n.ResultsStream(), Subjects: []string{"lookup.results.*.*"}, MaxBytes: 1 << 20, MaxAge: 90 * 24 * time.Hour,
			Duplicates: time.Second,
		},
		{Name: n.EventsStream(), Subjects: []string{"lookup.events.*.*.completed", "other.events"}, MaxAge: time.Minute, Duplicates: time.Second},
		{Name: "KV_" + n.CampaignsBucket(), Subjects: []string{"$KV.LOOKUP_CAMPAIGNS.>"}, MaxMsgsPerSubject: 64, AllowRollup: true, DenyDelete: true},
	}
	for _, c := range theirs {
		_, err := js.CreateStream(t.Context(), c)
		require.NoError(t, err)
	}
	before := configs(t, js)
	require.NoError(t, EnsureStreams(t.Context(), js, n, StreamOptions{Storage: 1 << 30}))
	after := configs(t, js)

	// The jobs stream lost nothing; jobs beyond its size are now refused, not dropped.
	want := before[n.JobsStream()]
	require.Equal(t, jetstream.DiscardOld, want.Discard)
	want.Discard, want.AllowDirect = jetstream.DiscardNew, true
	require.Equal(t, want, after[n.JobsStream()])

	results := after[n.ResultsStream()]
	require.EqualValues(t, 1<<20, results.MaxBytes, "a smaller size is the operator's too")
	require.Equal(t, 90*24*time.Hour, results.MaxAge)
	require.Equal(t, 2*time.Minute, results.Duplicates, "a shorter window would double results")
	require.Equal(t, jetstream.DiscardNew, results.Discard)

	events := after[n.EventsStream()]
	require.Equal(t, []string{"other.events", "lookup.events.*.*.*"}, events.Subjects)
	require.Equal(t, time.Minute, events.MaxAge)
	require.Equal(t, time.Minute, events.Duplicates, "the server allows no window above the age")
	require.EqualValues(t, 64, after["KV_LOOKUP_CAMPAIGNS"].MaxMsgsPerSubject)

	require.NoError(t, EnsureStreams(t.Context(), js, n, StreamOptions{}))
	require.Equal(t, after, configs(t, js))
}

func TestEnsureStreamsRaisesWhatIsTooLittle(t *testing.T) {
	t.Parallel()
	js := newJS(t, embeddedtest.RunNATS(t).Connect())
	n := names.Default()
	for _, c := range []jetstream.StreamConfig{
		{Name: n.JobsStream(), Subjects: []string{"lookup.jobs.*.*.*.*"}, Retention: jetstream.WorkQueuePolicy},
		{Name: "KV_" + n.WorkersBucket(), Subjects: []string{"$KV.LOOKUP_WORKERS.>"}, MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true},
	} {
		_, err := js.CreateStream(t.Context(), c)
		require.NoError(t, err)
	}
	require.NoError(t, EnsureStreams(t.Context(), js, n, StreamOptions{}))
	got := configs(t, js)
	require.Equal(t, 100_000, got[n.JobsStream()].MaxConsumers)
	require.Equal(t, 10*time.Minute, got[n.JobsStream()].Duplicates)
	require.NotNil(t, got[n.JobsStream()].RePublish)
	require.True(t, got["KV_LOOKUP_WORKERS"].AllowMsgTTL)
	require.Equal(t, time.Minute, got["KV_LOOKUP_WORKERS"].SubjectDeleteMarkerTTL)
}

func TestEnsureStreamsShares(t *testing.T) {
	t.Parallel()
	server := embeddedtest.RunNATS(t)
	js := newJS(t, server.Connect())
	require.NoError(t, EnsureStreams(t.Context(), js, names.Default(), StreamOptions{Storage: 1_000_000_000}))
	sum := int64(0)
	for name, want := range map[string]int64{
		"LOOKUP_JOBS": 350_000_000, "LOOKUP_RESULTS": 400_000_000, "LOOKUP_WEBHOOKS": 100_000_000,
		"LOOKUP_DEAD": 100_000_000, "LOOKUP_EVENTS": 30_000_000, "KV_LOOKUP_CAMPAIGNS": -1,
	} {
		got := configs(t, js)[name].MaxBytes
		require.Equal(t, want, got, name)
		sum += max(0, got)
	}
	require.Less(t, sum, int64(1_000_000_000))
	// A restart with less free disk must not shrink or stop anything.
	before := configs(t, js)
	require.NoError(t, EnsureStreams(t.Context(), js, names.Default(), StreamOptions{Storage: 1_000_000}))
	require.Equal(t, before, configs(t, js))
}

func TestEnsureStreamsErrors(t *testing.T) {
	t.Parallel()
	js := newJS(t, embeddedtest.RunNATS(t).Connect())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOOKUP_JOBS", Subjects: []string{"lookup.jobs.>"}})
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"mine.results.>"}})
	require.NoError(t, err)
	for _, tt := range []struct {
		n    names.Names
		opt  StreamOptions
		want []string
	}{
		{names.Default(), StreamOptions{}, []string{"stream LOOKUP_JOBS", "retention Limits", "nats.stream_prefix"}},
		{names.Names{Prefix: "mine", StreamPrefix: "MINE"}, StreamOptions{}, []string{"stream MINE_RESULTS", "nats.prefix"}},
		{names.Names{Prefix: "r", StreamPrefix: "R"}, StreamOptions{Replicas: 3}, []string{"stream R_JOBS", "nats.replicas to 1"}},
		{names.Names{Prefix: "s", StreamPrefix: "S"}, StreamOptions{Storage: 1 << 60}, []string{"stream S_JOBS", "limit"}},
	} {
		err := EnsureStreams(t.Context(), js, tt.n, tt.opt)
		for _, want := range tt.want {
			require.ErrorContains(t, err, want)
		}
		require.NotContains(t, err.Error(), "\n")
	}
}

// TestWakeUp: a stored job is told to everybody by its headers and size alone.
func TestWakeUp(t *testing.T) {
	t.Parallel()
	nc := embeddedtest.RunNATS(t).Connect()
	js, n := newJS(t, nc), names.Default()
	require.NoError(t, EnsureStreams(t.Context(), js, n, StreamOptions{}))
	sub, err := nc.SubscribeSync(n.WakeWildcard())
	require.NoError(t, err)
	lane := names.Lane{Route: "offline", Priority: names.High, Tenant: "acme", Campaign: "c"}
	body, err := json.Marshal(map[string]any{"id": "j", "items": []any{}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), n.JobsSubject(lane), body, jetstream.WithMsgID("acme.c.j"))
	require.NoError(t, err)

	wake, err := sub.NextMsg(5 * time.Second)
	require.NoError(t, err)
	got, err := n.ParseJobsSubject(wake.Subject)
	require.NoError(t, err)
	require.Equal(t, lane, got)
	require.Empty(t, wake.Data)
	require.Equal(t, strconv.Itoa(len(body)), wake.Header.Get("Nats-Msg-Size"))

	// The same job again within the window wakes nobody and is not stored.
	ack, err := js.Publish(t.Context(), n.JobsSubject(lane), body, jetstream.WithMsgID("acme.c.j"))
	require.NoError(t, err)
	require.True(t, ack.Duplicate)
	_, err = sub.NextMsg(50 * time.Millisecond)
	require.ErrorIs(t, err, nats.ErrTimeout)
}

func TestCovered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		subject, filter string
		want            bool
	}{
		{"a.*", "a.*", true},
		{"a.*", "a.>", true},
		{"a.*", ">", true},
		{"a.*.*", "*.*.*", true},
		{"a.b", "a.*", true},
		{"a.*", "a.b", false},
		{"a.*", "a.*.*", false},
		{"a.*.*", "a.*", false},
		{"a.>", "a.*", false},
		{"a.>", "a.>", true},
		{"a", "a.>", false},
		{"b.*", "a.>", false},
	} {
		require.Equal(t, tt.want, covered(tt.subject, []string{"x", tt.filter}), "%s in %s", tt.subject, tt.filter)
	}
}
