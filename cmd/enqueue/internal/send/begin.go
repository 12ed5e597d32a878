package send

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/lookupq/lookupq/jobs"
)

// makeVersion is part of the record's options: jobs made by another way of
// cutting or of finding columns are other jobs.
const makeVersion = "1"

// options are all that decides about the jobs besides the source.
func (s *Sender) options() map[string]string {
	all := map[string]string{
		"version": makeVersion, "route": s.lane.Route, "priority": s.lane.Priority.String(), "job-size": strconv.Itoa(s.cfg.JobSize),
		"region": s.cfg.Shared.Region, "callback": s.cfg.Shared.Callback, "max-age": s.cfg.Shared.MaxAge, "expires-at": s.cfg.Shared.ExpiresAt,
		"budget": s.cfg.budgetText(), "column": s.cfg.Input.Column, "ref-column": s.cfg.Input.RefColumn, "region-column": s.cfg.Input.RegionColumn,
	}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}

// begin creates the campaign's record or finds out where an earlier run stopped.
// It is called with the first job, so that input without any leaves no record.
func (r *run) begin(ctx context.Context) error {
	s, lane := r.s, r.s.lane
	source := &jobs.Source{Name: s.src.name, SHA256: s.src.sum, Options: s.options()}
	if s.src.isStream() {
		source.Seed = ulid.Make().String()
	}
	c := jobs.Campaign{State: jobs.CampaignActive, Route: lane.Route, Source: source, CreatedAt: time.Now().UTC()}
	if s.cfg.Shared.Callback != "" {
		c.Callback = &jobs.Callback{URL: s.cfg.Shared.Callback}
	}
	c.Budget = s.cfg.Budget
	rec, err := r.create(ctx, &c)
	if err != nil {
		return err
	}
	if rec != nil {
		if err := r.resume(ctx, rec); err != nil {
			return err
		}
		source = rec.Source
	}
	r.seed = cmp.Or(source.SHA256, source.Seed)
	if s.src.isStream() {
		r.seed, r.chain.on = source.Seed, true
	}
	if r.sealed {
		return nil
	}
	r.pub = jobs.NewPublisher(jobs.PublisherConfig{Names: s.cfg.Names, Lane: lane, Confirm: r.to.Confirm}, r.from)
	s.progress.publisher.Store(r.pub)
	r.saver = startSaver(ctx, r.cancel, saverConfig{
		campaigns: r.to.Campaigns, tenant: lane.Tenant, campaign: lane.Campaign, checkpoint: r.pub.Checkpoint, notice: s.notice,
	})
	return nil
}

// create writes the first record; if there is one already it returns that.
func (r *run) create(ctx context.Context, c *jobs.Campaign) (*jobs.Record, error) {
	lane := r.s.lane
	for {
		rec, err := r.to.Campaigns.Get(ctx, lane.Tenant, lane.Campaign)
		if err == nil {
			return &rec, nil
		}
		if !errors.Is(err, jobs.ErrNoCampaign) {
			return nil, err
		}
		_, err = r.to.Campaigns.Put(ctx, lane.Tenant, lane.Campaign, c, rec.Revision)
		if !errors.Is(err, jobs.ErrCampaignChanged) {
			return nil, err
		}
	}
}

// resume checks that the record is of the same source and options, and collects
// what is stored behind its checkpoint.
func (r *run) resume(ctx context.Context, rec *jobs.Record) error {
	name := r.s.lane.Campaign
	if rec.Source == nil {
		return fmt.Errorf("campaign %s exists and was not made by enqueue send: use another --campaign", name)
	}
	if err := r.sameSource(rec.Source); err != nil {
		return fmt.Errorf("campaign %s %w: use another --campaign", name, err)
	}
	if rec.State == jobs.CampaignCancelled {
		return fmt.Errorf("campaign %s was cancelled: use another --campaign to send it again", name)
	}
	r.from = jobs.Checkpoint{Published: rec.Source.Published, After: rec.Source.After, Mark: rec.Source.Mark}
	if rec.Sealed() {
		// Nothing is left to send; the input is read all the same, for the rejects
		// and for the counts.
		r.sealed, r.sum.AlreadySent = true, rec.SealedAt
		return nil
	}
	r.s.notice(fmt.Sprintf("campaign %s was begun %s: continuing behind job %d", name, rec.CreatedAt.Local().Format("2006-01-02 15:04:05"), r.from.Published))
	return r.findStored(ctx, rec)
}

// sameSource says what differs between the record's source and this one.
func (r *run) sameSource(was *jobs.Source) error {
	src := r.s.src
	wasStream := was.Seed != ""
	if wasStream != src.isStream() || !wasStream && was.SHA256 != src.sum {
		return fmt.Errorf("was begun with another input (%s, sha256 %.8s) than %s", was.Name, cmp.Or(was.SHA256, "unknown"), src.name)
	}
	now := r.s.options()
	keys := maps.Clone(now)
	maps.Copy(keys, was.Options)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if was.Options[k] != now[k] {
			return fmt.Errorf("was begun with --%s %q, not %q: use the same options", k, was.Options[k], now[k])
		}
	}
	return nil
}

// findStored collects the jobs behind the checkpoint that are stored all the
// same: those that wait in the jobs stream, then those that have results (in this
// order, so that a job answered meanwhile is not missed).
func (r *run) findStored(ctx context.Context, rec *jobs.Record) error {
	lane := r.s.lane
	seed := cmp.Or(rec.Source.Seed, rec.Source.SHA256)
	r.stored = map[uint64]struct{}{}
	visit := func(id string) {
		if i, ok := jobs.JobIndex(id); ok && i >= r.from.Published && id == jobs.JobID(seed, lane.Campaign, i) {
			r.stored[i] = struct{}{}
		}
	}
	err := r.to.Campaigns.WaitingJobs(ctx, lane.Tenant, lane.Campaign, r.from.After+1, visit)
	if err == nil && r.to.Answered != nil {
		err = r.to.Answered(ctx, visit)
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		r.s.notice(fmt.Sprintf("cannot see which of the last jobs are stored already (%v); they are sent again under their ids, which workers and JetStream recognise", err))
	}
	return nil
}

// job publishes the next job, unless it is stored already. The builder calls it.
func (r *run) job(ctx context.Context, region string, d *jobs.Draft) error {
	if !r.begun {
		if err := r.begin(ctx); err != nil {
			return err
		}
		r.begun = true
	}
	c := &r.s.progress
	index := uint64(c.jobs.Load())
	if index >= jobs.MaxJobs {
		return fmt.Errorf("more than %d jobs: use a larger --job-size or several campaigns", jobs.MaxJobs)
	}
	c.jobs.Add(1)
	shared := r.s.cfg.Shared
	shared.Region = region
	id := jobs.JobID(r.seed, r.s.lane.Campaign, index)
	out := jobs.Outgoing{Index: index, ID: id, Body: d.Cut(id, shared)}
	out.Mark = r.chain.add(out.Body)
	_, skip := r.stored[index]
	switch {
	case index < r.from.Published:
		c.skipped.Add(1)
		return r.sameMark(index, out.Mark)
	case r.sealed:
		return r.otherInput()
	case skip:
		c.skipped.Add(1)
		r.pub.Skip(out)
		return nil
	}
	return r.pub.Publish(ctx, out)
}

// sameMark compares a stream that is sent again with what was sent of it.
func (r *run) sameMark(index uint64, mark string) error {
	if index+1 == r.from.Published && r.from.Mark != "" && mark != r.from.Mark {
		return r.otherInput()
	}
	return nil
}

func (r *run) otherInput() error {
	return fmt.Errorf("campaign %s was begun with another input than this: use another --campaign", r.s.lane.Campaign)
}

// seal marks the campaign as complete and leaves the last checkpoint.
func (r *run) seal(ctx context.Context) error {
	c := &r.s.progress
	cp := r.pub.Checkpoint()
	numbers, made := c.numbers.Load(), c.jobs.Load()
	_, err := r.to.Campaigns.Update(ctx, r.s.lane.Tenant, r.s.lane.Campaign, func(rec *jobs.Campaign) error {
		if rec.Sealed() && rec.Numbers == numbers && rec.Jobs == made && rec.State != jobs.CampaignCancelled {
			return nil // a second sender of the same input was faster
		}
		if err := stillOpen(rec); err != nil {
			return err
		}
		note(rec, cp)
		rec.Source.SHA256 = r.s.src.hash()
		rec.Numbers, rec.Jobs, rec.SealedAt = numbers, made, time.Now().UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("everything is published, but the campaign could not be sealed (run the same command again): %w", err)
	}
	return nil
}

// markChain makes a digest of all jobs so far: each job's mark is the hash of the
// mark before it and its body. It is only kept for streams.
type markChain struct {
	on   bool
	last string
}

const markLength = 32

func (m *markChain) add(body []byte) string {
	if m.on {
		h := sha256.New()
		h.Write([]byte(m.last))
		h.Write(body)
		m.last = hex.EncodeToString(h.Sum(nil))[:markLength]
	}
	return m.last
}
