package jobs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// How the storage limit is divided, in percent. Two are left for the buckets.
const (
	shareJobs     = 35
	shareResults  = 40
	shareWebhooks = 10
	shareDead     = 10
	shareEvents   = 3
)

const (
	// maxConsumers lifts the server's default of 1000 durables a stream, which a
	// limit of -1 does not: every lane is a durable.
	maxConsumers = 100_000
	day          = 24 * time.Hour
	// jobsWindow is how long a producer may resend a job unseen.
	jobsWindow = 10 * time.Minute
	// DuplicateWindow is how long every other stream drops a message whose id it
	// has already stored.
	DuplicateWindow = 2 * time.Minute
	// markerTTL keeps the mark of a worker that left until every watcher saw it.
	markerTTL = time.Minute
	history   = 5 // of a campaign record
)

// StreamOptions is what EnsureStreams cannot read from the names.
type StreamOptions struct {
	// Replicas of every stream; 0 is 1.
	Replicas int
	// Storage is how many bytes all streams may take where the account has no
	// limit of its own; an embedded server knows it. 0 leaves them unlimited.
	Storage int64
}

// EnsureStreams makes the streams and buckets of the contract (section 1) and
// brings those that exist up to what the worker depends on. Only workers call
// it, at start, as many at once as like; clients never do.
//
// New streams get their share of the account's storage limit, or else of
// opt.Storage; without either they are unlimited, and only a full disk stops
// them. An existing stream keeps what its operator has set: size, age, any
// larger window, number of replicas or of consumers. Raised is only what answers
// would be lost or doubled without. The error names the stream and the remedy.
func EnsureStreams(ctx context.Context, js jetstream.JetStream, n names.Names, opt StreamOptions) error {
	opt.Replicas = max(opt.Replicas, 1)
	limit, err := storageLimit(ctx, js, opt)
	if err != nil {
		return err
	}
	for _, want := range append(streamConfigs(n), bucketConfigs(n)...) {
		want.Replicas = opt.Replicas
		if want.MaxBytes > 0 { // a share until here
			want.MaxBytes = share(limit, want.MaxBytes)
		}
		if err := ensureStream(ctx, js, want); err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, explain(err))
		}
	}
	return nil
}

// storageLimit is how many bytes one copy of all streams may take; -1 if nobody
// has set a limit.
func storageLimit(ctx context.Context, js jetstream.JetStream, opt StreamOptions) (int64, error) {
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return 0, fmt.Errorf("JetStream account: %w", explain(err))
	}
	limit := info.Limits.MaxStore
	if tier, ok := info.Tiers[fmt.Sprintf("R%d", opt.Replicas)]; ok {
		limit = tier.Limits.MaxStore
	}
	if limit <= 0 && opt.Storage > 0 {
		return opt.Storage, nil
	}
	if limit <= 0 {
		return -1, nil
	}
	return limit / int64(opt.Replicas), nil
}

func share(limit, percent int64) int64 {
	if limit < 0 {
		return -1
	}
	return limit / 100 * percent
}

// streamConfigs are the streams, MaxBytes in percent.
func streamConfigs(n names.Names) []jetstream.StreamConfig {
	jobs := jetstream.StreamConfig{
		Name: n.JobsStream(), Description: "jobs not yet answered", Subjects: []string{n.Prefix + ".jobs.*.*.*.*"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: shareJobs,
		MaxConsumers: maxConsumers, Duplicates: jobsWindow, AllowDirect: true,
		// Wakes workers once a job is stored, without its body.
		RePublish: &jetstream.RePublish{Source: n.JobsWildcard(), Destination: n.WakeWildcard(), HeadersOnly: true},
	}
	results := jetstream.StreamConfig{
		Name: n.ResultsStream(), Description: "parts of jobs' results", Subjects: []string{n.Prefix + ".results.*.*"},
		Discard: jetstream.DiscardNew, MaxBytes: shareResults, MaxAge: 7 * day, Duplicates: DuplicateWindow, AllowDirect: true,
	}
	events := jetstream.StreamConfig{
		Name: n.EventsStream(), Description: "campaign, job and delivery events", Subjects: []string{n.Prefix + ".events.*.*.*"},
		MaxBytes: shareEvents, MaxAge: 30 * day, Duplicates: DuplicateWindow, AllowDirect: true,
	}
	webhooks := jetstream.StreamConfig{
		Name: n.WebhooksStream(), Description: "references to parts still to be delivered", Subjects: []string{n.Prefix + ".webhooks.*"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: shareWebhooks, Duplicates: DuplicateWindow,
		AllowDirect: true,
	}
	// The oldest dead letter gives way to a new one: a flood of them must not
	// stop the jobs behind it.
	dead := jetstream.StreamConfig{
		Name: n.DeadStream(), Description: "what could not be processed or delivered", Subjects: []string{n.Prefix + ".dead.*.*"},
		MaxBytes: shareDead, MaxAge: 30 * day, Duplicates: DuplicateWindow, AllowDirect: true,
	}
	return []jetstream.StreamConfig{jobs, results, events, webhooks, dead}
}

// bucketConfigs are the streams of the KV buckets.
func bucketConfigs(n names.Names) []jetstream.StreamConfig {
	workers := bucketConfig(n.WorkersBucket(), "live workers and the routes they serve", 1)
	workers.AllowMsgTTL, workers.SubjectDeleteMarkerTTL = true, markerTTL
	tickets := bucketConfig(n.TicketsBucket(), "tickets of deferred providers", 1)
	tickets.AllowMsgTTL = true // each ticket and receipt says how long it may stay
	return []jetstream.StreamConfig{
		bucketConfig(n.CampaignsBucket(), "campaigns", history),
		tickets,
		workers,
	}
}

// bucketConfig is what every NATS client makes of a KV bucket.
func bucketConfig(bucket, description string, history int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + bucket, Description: description, Subjects: []string{"$KV." + bucket + ".>"},
		Discard: jetstream.DiscardNew, MaxBytes: -1, MaxMsgsPerSubject: history, Duplicates: DuplicateWindow,
		AllowRollup: true, DenyDelete: true, AllowDirect: true,
	}
}

// ensureStream creates want or merges it into what is there.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		s, err = js.Stream(ctx, want.Name) // somebody with other settings was faster
	}
	if err != nil {
		return err
	}
	have := s.CachedInfo().Config
	merged, err := mergeStream(have, want)
	if err != nil || reflect.DeepEqual(have, merged) {
		return err
	}
	_, err = js.UpdateStream(ctx, merged)
	return err
}

// mergeStream raises have to what want needs and shrinks nothing.
func mergeStream(have, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	if have.Retention != want.Retention {
		return have, fmt.Errorf("it exists with retention %s and must have %s, which cannot be changed: delete it, or set another nats.stream_prefix",
			have.Retention, want.Retention)
	}
	m := have
	m.Subjects = mergeSubjects(have.Subjects, want.Subjects)
	m.Replicas = max(have.Replicas, want.Replicas)
	m.Duplicates = max(have.Duplicates, want.Duplicates)
	if have.MaxAge > 0 {
		m.Duplicates = max(have.Duplicates, min(want.Duplicates, have.MaxAge)) // the server allows no more
	}
	if want.MaxConsumers > 0 {
		m.MaxConsumers = max(have.MaxConsumers, want.MaxConsumers)
	}
	if have.MaxMsgsPerSubject > 0 {
		m.MaxMsgsPerSubject = max(have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	}
	if want.Discard == jetstream.DiscardNew {
		m.Discard = jetstream.DiscardNew
	}
	if m.RePublish == nil {
		m.RePublish = want.RePublish // an operator's own stays: workers then find jobs by polling
	}
	m.AllowDirect = have.AllowDirect || want.AllowDirect
	m.AllowRollup = have.AllowRollup || want.AllowRollup
	m.AllowMsgTTL = have.AllowMsgTTL || want.AllowMsgTTL
	m.SubjectDeleteMarkerTTL = max(have.SubjectDeleteMarkerTTL, want.SubjectDeleteMarkerTTL)
	return m, nil
}

// mergeSubjects adds what is missing; subjects of one stream must not overlap.
func mergeSubjects(have, want []string) []string {
	for _, subject := range want {
		if covered(subject, have) {
			continue
		}
		have = slices.DeleteFunc(slices.Clone(have), func(h string) bool { return covered(h, []string{subject}) })
		have = append(have, subject)
	}
	return have
}

// covered reports whether one of the filters takes everything that subject does.
func covered(subject string, filters []string) bool {
	for _, f := range filters {
		if covers(strings.Split(f, "."), strings.Split(subject, ".")) {
			return true
		}
	}
	return false
}

func covers(filter, subject []string) bool {
	for i, t := range filter {
		switch {
		case t == ">":
			return len(subject) > i
		case i >= len(subject) || subject[i] == ">" || t != "*" && t != subject[i]:
			return false
		}
	}
	return len(filter) == len(subject)
}

// explain adds the remedy to what NATS says.
func explain(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: start the NATS server with JetStream (nats-server -js), or allow it to this account", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from JetStream: check nats.url and that the server's JetStream has a leader: %w", err)
	case errors.As(err, &api) && (api.ErrorCode == codeNoStorage || api.ErrorCode == codeNoMemory):
		return fmt.Errorf("%w: raise the account's or the server's JetStream limit, or free some", err)
	case errors.As(err, &api) && api.ErrorCode == codeNoCluster:
		return fmt.Errorf("%w: this server is alone, set nats.replicas to 1", err)
	case errors.As(err, &api) && api.ErrorCode == codeOverlap:
		return fmt.Errorf("%w: another stream has these subjects; delete it, or set another nats.prefix", err)
	}
	return err
}

// Error codes of JetStream without a constant in the client.
const (
	codeNoMemory  = 10028
	codeNoStorage = 10047
	codeOverlap   = 10065
	codeNoCluster = 10074
)
