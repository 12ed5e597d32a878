package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

type statusCmd struct {
	Campaign string `arg:"" help:"Name of the campaign."`
}

// statusReport is what `enqueue status --json` prints.
type statusReport struct {
	Campaign    string             `json:"campaign"`
	State       jobs.CampaignState `json:"state,omitempty"`
	Route       string             `json:"route,omitempty"`
	Source      string             `json:"source,omitempty"`
	Numbers     int64              `json:"numbers,omitempty"`
	Jobs        int64              `json:"jobs,omitempty"`
	JobsSent    uint64             `json:"jobs_sent"`
	JobsLeft    *uint64            `json:"jobs_left,omitempty"`
	Hidden      bool               `json:"results_hidden,omitempty"` // rights do not allow to count answers
	Answered    int64              `json:"answered"`
	Surplus     int64              `json:"surplus,omitempty"`
	Status      map[string]int64   `json:"status"`
	Sources     map[string]int64   `json:"sources"`
	Failures    map[string]int64   `json:"failures,omitempty"`
	Sampled     bool               `json:"failures_sampled,omitempty"`
	Cost        []results.Cost     `json:"cost,omitempty"`
	PerSecond   float64            `json:"lookups_per_s"`
	Mean        float64            `json:"mean_lookups_per_s"`
	CreatedAt   time.Time          `json:"created_at,omitzero"`
	SealedAt    time.Time          `json:"sealed_at,omitzero"`
	CompletedAt time.Time          `json:"completed_at,omitzero"`
	LastAnswer  time.Time          `json:"last_answer_at,omitzero"`
}

// Run prints one campaign's progress.
func (c *statusCmd) Run(ctx context.Context, e env, g *globals) error {
	if !names.ValidToken(c.Campaign) {
		return &usageError{fmt.Errorf("%q is no name of a campaign", c.Campaign)}
	}
	s, err := g.connect(ctx, e, nil)
	if err != nil {
		return err
	}
	defer s.close()
	rep, err := s.status(ctx, g.Tenant, c.Campaign)
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(e.stdout).Encode(rep)
	}
	_, err = io.WriteString(e.stdout, rep.text())
	return err
}

// status collects what is known of a campaign.
func (s *session) status(ctx context.Context, tenant, campaign string) (*statusReport, error) {
	rep := &statusReport{Campaign: campaign}
	rec, err := s.campaigns.Get(ctx, tenant, campaign)
	known := err == nil
	if err != nil && !errors.Is(err, jobs.ErrNoCampaign) {
		return nil, err
	}
	if known {
		rep.State, rep.Route, rep.Numbers, rep.Jobs = rec.State, rec.Route, rec.Numbers, rec.Jobs
		rep.CreatedAt, rep.SealedAt, rep.CompletedAt = rec.CreatedAt, rec.SealedAt, rec.CompletedAt
		if rec.Source != nil {
			rep.Source, rep.JobsSent = rec.Source.Name, rec.Source.Published
		}
	}
	left, err := s.campaigns.JobsLeft(ctx, tenant, campaign)
	switch {
	case err == nil:
		rep.JobsLeft = &left
	case !errors.Is(err, jobs.ErrHidden):
		return nil, err
	}
	st, err := s.campaign(tenant, campaign).Status(ctx, follow.SizeOf(&rec.Campaign))
	if known && errors.Is(err, follow.ErrRights) {
		rep.Hidden = true
		return rep, nil
	}
	if err != nil {
		return nil, err
	}
	rep.Answered, rep.Surplus, rep.Status, rep.Sources, rep.Cost = st.Answered, st.Surplus, st.Status, st.Source, st.Cost.Costs()
	rep.Failures, rep.Sampled, rep.PerSecond, rep.Mean, rep.LastAnswer = st.Reasons, st.Sampled, st.PerSecond, st.Mean, st.Last.UTC()
	if !known && rep.Answered == 0 && left == 0 {
		return nil, fmt.Errorf("there is no campaign %s of tenant %s (is the name right, and --tenant?)", campaign, tenant)
	}
	return rep, nil
}

// text is the report for people.
func (r *statusReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, text)
		}
	}
	line("campaign", "%s", r.Campaign)
	line("state", "%s", r.stateText())
	line("route", "%s", r.Route)
	line("source", "%s", r.Source)
	line("answered", "%s", r.answeredText())
	if r.JobsLeft != nil {
		line("waiting", "%s jobs", ui.Group(int64(*r.JobsLeft)))
	}
	if !r.Hidden {
		line("rate", "%s/s in the last minute, %s/s on average", ui.Group(int64(r.PerSecond)), ui.Group(int64(r.Mean)))
	}
	line("status", "%s", counts(r.Status))
	line("source", "%s", counts(r.Sources))
	failures := counts(r.Failures)
	if r.Sampled && failures != "" {
		failures += " (of the newest parts)"
	}
	line("failures", "%s", failures)
	for _, c := range r.Cost {
		line("cost", "%s %s", c.Amount, c.Currency)
	}
	return b.String()
}

func (r *statusReport) stateText() string {
	switch {
	case r.State == "":
		return "no record"
	case r.State == jobs.CampaignCompleted && !r.CompletedAt.IsZero():
		return "completed on " + r.CompletedAt.Local().Format(time.DateTime)
	case r.SealedAt.IsZero():
		return fmt.Sprintf("%s, still being sent (%s jobs so far; if no enqueue send is running, run it again)", r.State, ui.Group(int64(r.JobsSent)))
	}
	return fmt.Sprintf("%s, sent completely on %s", r.State, r.SealedAt.Local().Format(time.DateTime))
}

func (r *statusReport) answeredText() string {
	if r.Hidden {
		return fmt.Sprintf("cannot be counted with these rights (%s numbers)", ui.Group(r.Numbers))
	}
	if r.Numbers == 0 {
		return ui.Group(r.Answered) + " numbers"
	}
	return fmt.Sprintf("%s of %s numbers (%.1f %%)", ui.Group(r.Answered), ui.Group(r.Numbers), 100*float64(r.Answered)/float64(r.Numbers))
}
