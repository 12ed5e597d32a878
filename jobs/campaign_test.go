package jobs

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
)

// campaignBundle is a server with a bucket of campaign records.
type campaignBundle struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	kv    jetstream.KeyValue
	store *Campaigns
}

func newCampaignBundle(tb testing.TB) campaignBundle {
	tb.Helper()
	srv := embeddedtest.RunNATS(tb)
	nc := srv.Connect()
	js, err := jetstream.New(nc)
	require.NoError(tb, err)
	kv, err := js.CreateKeyValue(tb.Context(), jetstream.KeyValueConfig{Bucket: names.Default().CampaignsBucket(), History: 5})
	require.NoError(tb, err)
	return campaignBundle{nc: nc, js: js, kv: kv, store: NewCampaigns(nc, names.Default(), "")}
}

func TestCampaignKeepsUnknownFields(t *testing.T) {
	t.Parallel()
	in := `{"state":"active","budget":{"amount":"5","currency":"CNY"},"source":{"name":"a.csv","published":7,"later":[1,2]},"window":null,"created_at":"2026-11-21T10:00:00Z"}`
	var c Campaign
	require.NoError(t, json.Unmarshal([]byte(in), &c))
	require.Equal(t, CampaignActive, c.State)
	require.EqualValues(t, 7, c.Source.Published)
	c.Jobs, c.Source.Published = 3, 9
	out, err := json.Marshal(&c)
	require.NoError(t, err)
	require.JSONEq(t, `{"state":"active","budget":{"amount":"5","currency":"CNY"},"source":{"name":"a.csv","published":9,"later":[1,2]},"window":null,"created_at":"2026-11-21T10:00:00Z","jobs":3}`, string(out))
	c.Jobs = 0
	out, err = json.Marshal(&c)
	require.NoError(t, err)
	require.NotContains(t, string(out), "jobs", "a field that was emptied must not come back")
}

func TestCampaignRefusesOtherJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`{"stream":"LOOKUP_JOBS","seq":45}`, `{}`, `[]`, `7`, `{"state":1}`, `{"state":"active","source":[]}`, ``} {
		var c Campaign
		require.Error(t, json.Unmarshal([]byte(s), &c), s)
	}
}

func TestCampaignsCreateReadUpdate(t *testing.T) {
	t.Parallel()
	b := newCampaignBundle(t)
	ctx := t.Context()
	rec, err := b.store.Get(ctx, "acme", "c1")
	require.ErrorIs(t, err, ErrNoCampaign)
	require.Zero(t, rec.Revision)

	rev, err := b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignActive, Route: "r"}, 0)
	require.NoError(t, err)
	_, err = b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignActive}, 0)
	require.ErrorIs(t, err, ErrCampaignChanged)

	rec, err = b.store.Get(ctx, "acme", "c1")
	require.NoError(t, err)
	require.Equal(t, rev, rec.Revision)
	require.Equal(t, "r", rec.Route)
	require.WithinDuration(t, time.Now(), rec.Stored, time.Minute)

	entry, err := b.kv.Get(ctx, "acme.c1")
	require.NoError(t, err, "the official client sees the same record")
	require.Equal(t, rev, entry.Revision())

	errStop := errors.New("stop")
	_, err = b.store.Update(ctx, "acme", "c1", func(*Campaign) error { return errStop })
	require.ErrorIs(t, err, errStop)
	_, err = b.store.Update(ctx, "acme", "nobody", func(*Campaign) error { return nil })
	require.ErrorIs(t, err, ErrNoCampaign)

	require.NoError(t, b.kv.Delete(ctx, "acme.c1"))
	rec, err = b.store.Get(ctx, "acme", "c1")
	require.ErrorIs(t, err, ErrNoCampaign)
	_, err = b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignActive}, rec.Revision)
	require.NoError(t, err, "a deleted campaign can be created again")
}

// Every one of many writers' changes is in the record at the end.
func TestCampaignsUpdatesAreNotLost(t *testing.T) {
	t.Parallel()
	b := newCampaignBundle(t)
	ctx := t.Context()
	_, err := b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignActive}, 0)
	require.NoError(t, err)
	const writers, each = 4, 10
	var done sync.WaitGroup
	errs := make(chan error, writers*each)
	for range writers {
		done.Go(func() {
			for range each {
				_, err := b.store.Update(ctx, "acme", "c1", func(c *Campaign) error { c.Jobs++; return nil })
				errs <- err
			}
		})
	}
	done.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	rec, err := b.store.Get(ctx, "acme", "c1")
	require.NoError(t, err)
	require.EqualValues(t, writers*each, rec.Jobs)
}

// In one account for all tenants a publish with a foreign reply subject makes the
// server write its acknowledgement over a record: the version before is taken.
func TestCampaignsPassOverDamage(t *testing.T) {
	t.Parallel()
	b := newCampaignBundle(t)
	ctx := t.Context()
	_, err := b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignPaused}, 0)
	require.NoError(t, err)
	rev, err := b.store.Put(ctx, "acme", "c1", &Campaign{State: CampaignActive, Jobs: 4}, 1)
	require.NoError(t, err)
	last, err := b.kv.Put(ctx, "acme.c1", []byte(`{"stream":"LOOKUP_JOBS","seq":45}`))
	require.NoError(t, err)
	require.Greater(t, last, rev)
	rec, err := b.store.Get(ctx, "acme", "c1")
	require.NoError(t, err)
	require.EqualValues(t, 4, rec.Jobs)
	require.Equal(t, last, rec.Revision)
	_, err = b.store.Update(ctx, "acme", "c1", func(c *Campaign) error { c.Jobs++; return nil })
	require.NoError(t, err)

	_, err = b.kv.Put(ctx, "acme.c2", []byte(`{"seq":1}`))
	require.NoError(t, err)
	_, err = b.store.Get(ctx, "acme", "c2")
	require.ErrorContains(t, err, "not a campaign record")
}

func TestCampaignsWithoutBucket(t *testing.T) {
	t.Parallel()
	nc := embeddedtest.RunNATS(t).Connect()
	store := NewCampaigns(nc, names.Default(), "")
	_, err := store.Get(t.Context(), "acme", "c1")
	require.ErrorIs(t, err, ErrNoBucket)
	_, err = store.Put(t.Context(), "acme", "c1", &Campaign{State: CampaignActive}, 0)
	require.ErrorIs(t, err, ErrNoBucket)
	_, err = store.JobsLeft(t.Context(), "acme", "c1")
	require.Error(t, err)
}

func FuzzCampaign(f *testing.F) {
	f.Add([]byte(`{"state":"active","x":1,"source":{"published":1,"y":{}}}`))
	f.Add([]byte(`{"state":"completed","callback":{"url":"u"},"created_at":"2026-11-21T10:00:00+08:00"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Campaign
		if json.Unmarshal(b, &c) != nil {
			return
		}
		first, err := json.Marshal(&c)
		require.NoError(t, err)
		var again Campaign
		require.NoError(t, json.Unmarshal(first, &again))
		second, err := json.Marshal(&again)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second))
	})
}
