package follow

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/results"
)

const (
	// rateTime is the span that the current rate is taken over.
	rateTime = time.Minute
	// maxFailed is how many parts with failures are read for the reasons.
	maxFailed = 200
)

// Status is how far a campaign is.
type Status struct {
	*Tally
	// First and Last are when the first and the last part were stored; zero if
	// there is none.
	First, Last time.Time
	// PerSecond is the rate of the last minute, Mean that from the first to the
	// last part.
	PerSecond, Mean float64
	// Reasons counts the failures by error code, where they could be read. If
	// Sampled, only the newest parts with failures were looked at.
	Reasons map[string]int64
	Sampled bool
}

// Status reads the headers of all parts, and the bodies of those with failures.
func (c Campaign) Status(ctx context.Context, size Size) (*Status, error) {
	s := &Status{Tally: NewTally(size, false), Reasons: map[string]int64{}}
	now := time.Now()
	var recent int64
	var failed []uint64
	err := c.each(ctx, 0, false, func(p *results.StoredPart) error {
		s.AddHead(&p.Head)
		if s.First.IsZero() {
			s.First = p.At
		}
		s.Last = p.At
		if now.Sub(p.At) < rateTime {
			recent += int64(p.Head.Items.Count())
		}
		for _, t := range p.Head.Counts {
			if t.Name == string(results.StatusFailed) {
				failed = append(failed, p.Seq)
			}
		}
		if len(failed) > maxFailed {
			failed, s.Sampled = failed[1:], true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rates(now, recent)
	return s, c.reasons(ctx, s, failed)
}

// rates fills the rates; recent results are of the last minute.
func (s *Status) rates(now time.Time, recent int64) {
	if s.First.IsZero() {
		return
	}
	span := min(rateTime, now.Sub(s.First))
	s.PerSecond = float64(recent) / max(span.Seconds(), 1)
	s.Mean = float64(s.Answered) / max(s.Last.Sub(s.First).Seconds(), 1)
}

// reasons counts the error codes in some parts. Parts that cannot be read (no
// rights, or gone by now) are left out.
func (c Campaign) reasons(ctx context.Context, s *Status, sequences []uint64) error {
	for _, seq := range sequences {
		body, err := c.ResultsMessage(ctx, seq)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			s.Sampled = true
			return nil //nolint:nilerr // the reasons are an extra
		}
		p, err := results.DecodePart(body)
		if err != nil {
			continue
		}
		for i := range p.Results {
			if r := &p.Results[i]; r.Status == results.StatusFailed && r.Error != nil {
				s.Reasons[string(r.Error.Code)]++
			}
		}
	}
	return nil
}
