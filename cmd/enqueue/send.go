package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/send"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
	"github.com/lookupq/lookupq/internal/confirm"
	"github.com/lookupq/lookupq/internal/dur"
	"github.com/lookupq/lookupq/internal/input"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/jobs"
)

type sendCmd struct {
	Files []string `arg:"" name:"file" help:"CSV, NDJSON or plain lines, perhaps gzipped, in UTF-8, UTF-16 or GB18030; - is the standard input."`

	Route     string `required:"" help:"Route that answers the numbers."`
	Campaign  string `placeholder:"NAME" help:"Name of the campaign (default: the file's name and hash; for - a new one)."`
	Priority  string `default:"bulk" enum:"high,normal,bulk" help:"high, normal or bulk."`
	Region    string `placeholder:"CC" help:"Country (ISO 3166-1) of numbers without a country code (default: the route's)."`
	Callback  string `placeholder:"URL" help:"Where results are also posted to."`
	MaxAge    string `placeholder:"D" help:"How old a known answer may be, such as 24h; 0 always asks the provider."`
	ExpiresAt string `placeholder:"T" help:"Numbers not asked by then get the status expired (RFC 3339)."`
	Budget    string `placeholder:"100CNY" help:"What the campaign may cost; what it cannot pay for fails, or waits, as the worker is configured."`
	JobSize   int    `default:"500" help:"Numbers in a job, 1 to 1000."`

	Column       string `placeholder:"C" help:"Column of the numbers, by header, key or position (default: found by itself)."`
	RefColumn    string `placeholder:"C" help:"Column of your own key, echoed with each result (default: found by its header; none)."`
	RegionColumn string `placeholder:"C" help:"Column of country codes (default: found by its header; none)."`
	Rejects      string `placeholder:"FILE" help:"CSV file for the lines without a usable number."`

	Wait   bool   `help:"Wait until every number is answered."`
	Out    string `placeholder:"FILE" help:"Write the results to a .csv or .ndjson file while waiting (implies --wait); - is CSV on standard output."`
	Strict bool   `help:"Exit with 3 if a line was rejected or a number failed."`
}

// Run sends, waits if asked to, and prints a summary.
func (c *sendCmd) Run(ctx context.Context, e env, g *globals) error {
	cfg, err := c.config(e, g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := g.connect(ctx, e, func(err error) { cancel(err) })
	if err != nil {
		return err
	}
	defer s.close()
	view := g.view(e)
	cfg.Notice = view.Notice
	sender, err := send.New(ctx, cfg)
	if err != nil {
		return err
	}
	sum, err := c.send(ctx, s, sender, g.Tenant, view)
	if errors.Is(err, send.ErrStopped) {
		return fmt.Errorf("%w: run the same command again to continue%s", err, c.again(sender.Campaign()))
	}
	if err != nil {
		return err
	}
	rep := &sendReport{send: sum, rejects: c.Rejects}
	if c.Wait || c.Out != "" {
		if rep.follow, err = c.wait(ctx, s, g.Tenant, sum, view); err != nil {
			return err
		}
	}
	rep.print(e, g, view)
	if c.Strict && !rep.clean() {
		return errStrict
	}
	return rep.complete()
}

// again is what to add to the command line to continue it.
func (c *sendCmd) again(campaign string) string {
	if c.Campaign != "" || !slices.Equal(c.Files, []string{send.Stdin}) {
		return ""
	}
	return " with --campaign " + campaign
}

// send runs the sender under a meter.
func (c *sendCmd) send(ctx context.Context, s *session, sender *send.Sender, tenant string, view *ui.UI) (send.Summary, error) {
	conf, err := confirm.New(s.nc, confirm.Options{})
	if err != nil {
		return send.Summary{}, err
	}
	defer conf.Close()
	stop := view.Meter(sendMeter(sender, conf))
	defer stop()
	return sender.Run(ctx, send.NATS{
		Campaigns: s.campaigns, Confirm: conf,
		Answered: func(ctx context.Context, visit func(string)) error {
			return s.campaign(tenant, sender.Campaign()).AnsweredJobs(ctx, visit)
		},
	})
}

// sendMeter reads a sender's progress.
func sendMeter(sender *send.Sender, conf *confirm.Confirmer) func() ui.State {
	var rate ui.Rate
	return func() ui.State {
		p := sender.Progress()
		speed := rate.Add(time.Now(), p.Numbers)
		text := fmt.Sprintf("%s numbers, %s of %s jobs stored, %s/s", ui.Group(p.Numbers), ui.Group(p.Stored), ui.Group(p.Jobs), ui.Group(int64(speed)))
		if p.Rejects > 0 {
			text += fmt.Sprintf(", %s rejects", ui.Group(p.Rejects))
		}
		if why := stalled(conf.Stats()); why != "" {
			text += "; waiting: " + why
		}
		return ui.State{Phase: "sending", Done: p.Read, Total: p.Size, Text: text, Fields: map[string]any{
			"lines": p.Lines, "numbers": p.Numbers, "rejects": p.Rejects, "jobs": p.Jobs, "stored": p.Stored, "numbers_per_s": int64(speed),
		}}
	}
}

// stallAge is how long a refusal explains why nothing moves.
const stallAge = 10 * time.Second

// stalled says why JetStream takes no jobs at present; "" if it does.
func stalled(st confirm.Stats) string {
	if st.Publishes == 0 || st.LastRefusal == "" || time.Since(st.LastRefusalAt) > stallAge {
		return ""
	}
	if strings.Contains(st.LastRefusal, "maximum") {
		return "the jobs stream is full; it goes on when workers have made room"
	}
	return st.LastRefusal
}

// config checks the flags.
func (c *sendCmd) config(e env, g *globals) (send.Config, error) {
	priority, err := names.ParsePriority(c.Priority)
	if err != nil {
		return send.Config{}, &usageError{err}
	}
	if err := cmp.Or(c.checkNames(), c.checkBudget(), c.checkValues()); err != nil {
		return send.Config{}, &usageError{err}
	}
	if g.JSON && c.Out == toStdout {
		return send.Config{}, &usageError{errors.New("--json and --out - both write to standard output: give --out a file")}
	}
	return send.Config{
		Budget: c.budget(), Paths: c.Files, Stdin: e.stdin, Names: g.names(), JobSize: c.JobSize, Rejects: c.Rejects,
		Lane:   names.Lane{Route: c.Route, Priority: priority, Tenant: g.Tenant, Campaign: c.Campaign},
		Shared: jobs.Shared{Region: c.Region, Callback: c.Callback, MaxAge: c.MaxAge, ExpiresAt: c.ExpiresAt},
		Input:  input.Options{Column: c.Column, RefColumn: c.RefColumn, RegionColumn: c.RegionColumn},
	}, nil
}

// budgetForm is an amount, as a worker takes it, and a currency.
const budgetForm = `^(\d{1,9}(?:\.\d{1,6})?)([A-Z]{3})$`

// budget is the campaign's, nil if it has none.
func (c *sendCmd) budget() *jobs.Budget {
	if m := regexp.MustCompile(budgetForm).FindStringSubmatch(c.Budget); m != nil {
		return &jobs.Budget{Amount: m[1], Currency: m[2]}
	}
	return nil
}

func (c *sendCmd) checkBudget() error {
	if c.Budget != "" && c.budget() == nil {
		return fmt.Errorf("--budget %q: write an amount and a currency, such as 100CNY or 99.50USD", c.Budget)
	}
	return nil
}

func (c *sendCmd) checkNames() error {
	const rule = "use letters, digits, - and _, at most 64, and begin with a letter or digit"
	switch {
	case !names.ValidToken(c.Route):
		return fmt.Errorf("--route %q: %s", c.Route, rule)
	case c.Campaign != "" && !names.ValidToken(c.Campaign):
		return fmt.Errorf("--campaign %q: %s", c.Campaign, rule)
	}
	return nil
}

func (c *sendCmd) checkValues() error {
	if c.JobSize < 1 || c.JobSize > jobs.MaxItems {
		return fmt.Errorf("--job-size %d: use 1 to %d", c.JobSize, jobs.MaxItems)
	}
	if c.Region = strings.ToUpper(c.Region); c.Region != "" && !input.ValidRegion(c.Region) {
		return fmt.Errorf("--region %s: this is no ISO 3166-1 code such as CN or DE", c.Region)
	}
	if c.MaxAge != "" {
		if _, err := dur.Parse(c.MaxAge); err != nil {
			return fmt.Errorf("--max-age: %w", err)
		}
	}
	if c.ExpiresAt != "" {
		if _, err := time.Parse(time.RFC3339, c.ExpiresAt); err != nil {
			return fmt.Errorf("--expires-at %q: write a time such as 2026-11-22T06:00:00Z", c.ExpiresAt)
		}
	}
	if u, err := url.Parse(c.Callback); c.Callback != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("--callback: give a complete URL such as https://crm.example/hooks/lookup")
	}
	return checkOut(c.Out)
}
