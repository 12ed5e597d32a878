package follow

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lookupq/lookupq/jobs"
	"github.com/lookupq/lookupq/results"
)

// ErrRights says that nobody answers to a request for results.
var ErrRights = errors.New("results cannot be read with these rights (or NATS does not answer)")

// topNames is how many names of each list a report shows.
const topNames = 10

// Campaign says what to read.
type Campaign struct {
	Reader         *results.Reader
	Stream         string // of the results
	Tenant, Name   string
	ResultsMessage func(ctx context.Context, seq uint64) ([]byte, error)
}

// AnsweredJobs visits the job ids of all parts that are there now.
func (c Campaign) AnsweredJobs(ctx context.Context, visit func(jobID string)) error {
	return c.each(ctx, 0, false, func(p *results.StoredPart) error {
		visit(p.Head.ID.JobID)
		return nil
	})
}

// Export writes all results that are there now, those of one status if it is not
// empty, and counts all of them.
func (c Campaign) Export(ctx context.Context, e *Exporter, status results.Status) (*Tally, error) {
	t := NewTally(Size{}, true)
	return t, c.each(ctx, 0, true, func(p *results.StoredPart) error {
		t.AddHead(&p.Head)
		return e.Part(p.Part, t.Details, status)
	})
}

// each visits every part that is there now, from a sequence on. Messages that are
// no parts of this version are passed over.
func (c Campaign) each(ctx context.Context, from uint64, bodies bool, do func(*results.StoredPart) error) error {
	opt := results.ReadOptions{Tenant: c.Tenant, Campaign: c.Name, From: from, HeadersOnly: !bodies}
	err := c.Reader.Read(ctx, opt, func(p results.StoredPart) error {
		if p.Err != nil {
			return nil //nolint:nilerr // of a later version, or not ours
		}
		return do(&p)
	})
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case results.IsNoStream(err):
		return fmt.Errorf("there is no stream %s on this NATS server: start a worker first (worker run), and check --nats, --js-prefix and --stream-prefix", c.Stream)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("%w, those of tenant %s: %w", ErrRights, c.Tenant, err)
	}
	return err
}

// SizeOf is what a record tells of a campaign's jobs.
func SizeOf(c *jobs.Campaign) Size {
	if !c.Sealed() || c.Source == nil {
		return Size{}
	}
	size, err := strconv.ParseInt(c.Source.Options["job-size"], 10, 64)
	if err != nil || size < 1 || size > jobs.MaxItems {
		return Size{}
	}
	return Size{Jobs: c.Jobs, JobSize: size}
}

// Report is what became of a campaign's numbers.
type Report struct {
	Numbers  int64 `json:"numbers"`
	Answered int64 `json:"answered"`
	// Missing have no result though no job is left; Surplus results came again.
	Missing int64            `json:"missing,omitempty"`
	Surplus int64            `json:"surplus,omitempty"`
	Status  map[string]int64 `json:"status"`
	Source  map[string]int64 `json:"source"`
	Cost    []results.Cost   `json:"cost"`
	// The most frequent names; only where bodies were read.
	Errors    []Counted `json:"errors,omitempty"`
	Countries []Counted `json:"countries,omitempty"`
	LineTypes []Counted `json:"line_types,omitempty"`
	Carriers  []Counted `json:"carriers,omitempty"`
	Seconds   float64   `json:"seconds"`
	PerSecond float64   `json:"lookups_per_s"`
	Out       string    `json:"out,omitempty"`
}

// report sums up a tally; the rate counts from began.
func (t *Tally) report(numbers int64, began time.Time) *Report {
	r := &Report{
		Numbers: numbers, Answered: t.Answered, Surplus: t.Surplus, Status: t.Status, Source: t.Source, Cost: append([]results.Cost{}, t.Cost.Costs()...), // never null in JSON
		Seconds: time.Since(began).Seconds(),
	}
	if r.Seconds > 0 {
		r.PerSecond = float64(r.Answered) / r.Seconds
	}
	if d := t.Details; d != nil {
		r.Errors, r.Countries = Top(d.Errors, topNames), Top(d.Countries, topNames)
		r.LineTypes, r.Carriers = Top(d.LineTypes, topNames), Top(d.Carriers, topNames)
	}
	return r
}
