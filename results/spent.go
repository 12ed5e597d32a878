package results

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// AnyCampaign stands for all campaigns of a tenant.
const AnyCampaign = "*"

// Spent sums what the parts of a campaign, or of AnyCampaign, have cost since a time
// (zero: ever), by their headers. What is not a part costs nothing; a part that was
// published twice counts twice; parts that the stream no longer keeps are left out.
func (r *Reader) Spent(ctx context.Context, tenant, campaign string, since time.Time) (CostSum, error) {
	var sum CostSum
	s := scan{js: r.js, stream: r.names.ResultsStream(), subject: r.names.ResultsSubject(tenant, campaign), since: since, headers: true}
	err := s.run(ctx, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		head, err := ParseHead(m.Headers())
		if err != nil {
			return nil //nolint:nilerr // who counts parts leaves it out
		}
		for _, c := range head.Costs {
			if err := sum.Add(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrStop) {
		return CostSum{}, fmt.Errorf("sum the costs of campaign %s of %s: %w", campaign, tenant, err)
	}
	return sum, nil
}

// Millionths is d in millionths, rounded up; false if that does not fit. It is for
// amounts that must not be taken for less than they are.
func (d Decimal) Millionths() (int64, bool) {
	const decimals = 6
	if d.large != nil {
		return 0, false
	}
	v, scale := d.small, d.scale
	if scale <= decimals {
		return shift(v, decimals-scale)
	}
	for ; scale > decimals; scale-- {
		up := v%10 > 0
		if v /= 10; up {
			v++
		}
	}
	return v, true
}
