package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lookupq/lookupq/cmd/enqueue/internal/follow"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/send"
	"github.com/lookupq/lookupq/cmd/enqueue/internal/ui"
	"github.com/lookupq/lookupq/results"
)

// sendReport is the end of `enqueue send`.
type sendReport struct {
	send    send.Summary
	rejects string         // path of the rejects file
	follow  *follow.Report // nil without --wait
}

// clean reports whether every line got an answer, for --strict.
func (r *sendReport) clean() bool {
	return r.send.Rejects == 0 && (r.follow == nil || r.follow.Status[string(results.StatusFailed)] == 0)
}

// complete is an error if numbers have no result though no job is left.
func (r *sendReport) complete() error {
	if r.follow == nil || r.follow.Missing == 0 {
		return nil
	}
	return fmt.Errorf("%s numbers have no result though none of their jobs is left: look for dead jobs (worker dead ls)", ui.Group(r.follow.Missing))
}

// print writes the summary: text, or one JSON event.
func (r *sendReport) print(e env, g *globals, view *ui.UI) {
	if g.JSON {
		fields := map[string]any{"send": r.send}
		if r.follow != nil {
			fields["results"] = r.follow
		}
		view.Event("summary", fields)
		return
	}
	var b strings.Builder
	r.sendText(&b)
	if r.follow != nil {
		followText(&b, r.follow)
	}
	_, _ = io.WriteString(e.stderr, b.String())
}

func (r *sendReport) sendText(b *strings.Builder) {
	s := r.send
	if !s.AlreadySent.IsZero() {
		fmt.Fprintf(b, "campaign %s was sent completely on %s: %s numbers in %s jobs; nothing was sent again (use another --campaign to have them looked up anew)\n",
			s.Campaign, s.AlreadySent.Local().Format(time.DateTime), ui.Group(s.Numbers), ui.Group(s.Jobs))
		return
	}
	fmt.Fprintf(b, "campaign %s: %s numbers in %s jobs sent in %.1f s\n", s.Campaign, ui.Group(s.Numbers), ui.Group(s.Jobs), s.Seconds)
	if s.Resumed > 0 {
		fmt.Fprintf(b, "  %s of the jobs were sent by an earlier run\n", ui.Group(s.Resumed))
	}
	if s.Rejects > 0 {
		where := "--rejects FILE shows them"
		if r.rejects != "" {
			where = r.rejects
		}
		fmt.Fprintf(b, "  %s lines without a usable number (%s): %s\n", ui.Group(s.Rejects), where, counts(s.Reasons))
	}
}

// followText writes what became of the numbers.
func followText(b *strings.Builder, f *follow.Report) {
	fmt.Fprintf(b, "%s of %s numbers answered in %.1f s: %s lookups/s\n", ui.Group(f.Answered), ui.Group(f.Numbers), f.Seconds, ui.Group(int64(f.PerSecond)))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %-10s %s\n", name, text)
		}
	}
	line("status", counts(f.Status))
	line("source", counts(f.Source))
	var costs []string
	for _, c := range f.Cost {
		costs = append(costs, c.Amount+" "+c.Currency)
	}
	line("cost", strings.Join(costs, ", "))
	line("errors", counted(f.Errors))
	line("countries", counted(f.Countries))
	line("line types", counted(f.LineTypes))
	line("carriers", counted(f.Carriers))
	if f.Surplus > 0 {
		line("surplus", ui.Group(f.Surplus)+" results came again")
	}
	if f.Out != "" {
		line("written to", f.Out)
	}
}

// counts lists counters, the largest first.
func counts(m map[string]int64) string { return counted(follow.Top(m, len(m))) }

func counted(all []follow.Counted) string {
	parts := make([]string, 0, len(all))
	for _, c := range all {
		parts = append(parts, c.Name+" "+ui.Group(c.Count))
	}
	return strings.Join(parts, ", ")
}
