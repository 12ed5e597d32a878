package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/send"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
)

// toStdout is the name of an output file that stands for standard output.
const toStdout = "-"

// checkOut refuses a name that does not tell the format.
func checkOut(path string) error {
	if path == "" || path == toStdout {
		return nil
	}
	if _, err := follow.FormatOf(path); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// exporter opens what --out names; nil if it names nothing.
func exporter(e env, path string, format follow.Format) (*follow.Exporter, error) {
	var x *follow.Exporter
	var err error
	switch path {
	case "":
		return nil, nil //nolint:nilnil // no file, no error
	case toStdout:
		x, err = follow.NewExporter(e.stdout, format)
	default:
		x, err = follow.CreateExporter(path)
	}
	if err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	return x, nil
}

// wait follows the campaign until every number is answered.
func (c *sendCmd) wait(ctx context.Context, s *session, tenant string, sum send.Summary, view *ui.UI) (*follow.Report, error) {
	out, err := exporter(s.env, c.Out, follow.CSV)
	if err != nil {
		return nil, err
	}
	from := s.campaign(tenant, sum.Campaign)
	w := &follow.Wait{
		Campaign: from, Numbers: sum.Numbers, Size: follow.Size{Jobs: sum.Jobs, JobSize: int64(c.JobSize)},
		Began: sum.Started, Export: out, Notice: view.Notice,
		JobsLeft: func(ctx context.Context) (uint64, error) { return s.campaigns.JobsLeft(ctx, from.Tenant, from.Name) },
	}
	stop := view.Meter(waitMeter(w))
	rep, err := w.Run(ctx)
	stop()
	if out != nil {
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("stopped waiting for campaign %s, which goes on: enqueue status %s, enqueue results %s", from.Name, from.Name, from.Name)
		}
		return nil, err
	}
	if !strings.EqualFold(c.Out, toStdout) {
		rep.Out = c.Out
	}
	return rep, nil
}

// waitMeter reads a wait's progress.
func waitMeter(w *follow.Wait) func() ui.State {
	var rate ui.Rate
	return func() ui.State {
		answered, failed := w.Progress()
		speed := rate.Add(time.Now(), answered)
		text := fmt.Sprintf("%s of %s answered, %s/s", ui.Group(answered), ui.Group(w.Numbers), ui.Group(int64(speed)))
		if failed > 0 {
			text += fmt.Sprintf(", %s failed", ui.Group(failed))
		}
		return ui.State{Phase: "waiting", Done: answered, Total: w.Numbers, Text: text, Fields: map[string]any{
			"answered": answered, "failed": failed, "lookups_per_s": int64(speed),
		}}
	}
}
