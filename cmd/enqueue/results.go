package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/results"
)

// resultsHelp describes the export; docs and tests compare it with the code.
const resultsHelp = `Export the results of a campaign that are there now, one a line, in the order in which they were stored.

CSV has these columns, which are stable (new ones are added at the end): ref, number, e164, status, country, area, line_type, valid,
ported, original_carrier_id, original_carrier, current_carrier_id, current_carrier, time_zones, provider, source, answered_at, cost,
currency, attempts, error_code, error_message, provider_code, id, ported_at, portable, fast_portable, not_portable_reason, mcc, mnc,
reachable, roaming, ringing, answered, call_response, porting_order_id, porting_order_status, porting_activation_status,
porting_foc_at, porting_exceptions. A cell that a spreadsheet would take for a formula gets an
apostrophe in front; numbers such as +8613800138000 do not.

NDJSON has one result object of the contract a line.`

type resultsCmd struct {
	Campaign string `arg:"" help:"Name of the campaign."`
	Out      string `default:"-" placeholder:"FILE" help:"A .csv or .ndjson file; - is standard output, as CSV, or NDJSON with --json."`
	Status   string `default:"" enum:",ok,not_found,invalid,failed,expired,cancelled" help:"Only results of this status: ok, not_found, invalid, failed, expired or cancelled."`
}

// Help implements kong's long help.
func (c *resultsCmd) Help() string { return resultsHelp }

// Run exports.
func (c *resultsCmd) Run(ctx context.Context, e env, g *globals) error {
	if !names.ValidToken(c.Campaign) {
		return &usageError{fmt.Errorf("%q is no name of a campaign", c.Campaign)}
	}
	if err := checkOut(c.Out); err != nil {
		return &usageError{err}
	}
	s, err := g.connect(ctx, e, nil)
	if err != nil {
		return err
	}
	defer s.close()
	format := follow.CSV
	if g.JSON {
		format = follow.NDJSON
	}
	out, err := exporter(e, c.Out, format)
	if err != nil {
		return err
	}
	t, err := s.campaign(g.Tenant, c.Campaign).Export(ctx, out, results.Status(c.Status))
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if t.Answered == 0 {
		return fmt.Errorf("campaign %s of tenant %s has no results (is the name right, and --tenant?)", c.Campaign, g.Tenant)
	}
	_, err = fmt.Fprintf(e.stderr, "%s of %s results of campaign %s written: %s\n", ui.Group(out.Written), ui.Group(t.Answered), c.Campaign, counts(t.Status))
	return err
}
