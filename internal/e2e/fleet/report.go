package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// report puts the night into tables; the error is errWrong if something that has
// to hold did not.
func (n *night) report(out io.Writer) error {
	calls := byStart(n.stage.recorder.calls)
	sum := n.stage.upstreams.sum()
	w := &sheet{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	w.line("\n%s", n.title())
	w.line("what\texpected\tseen\t")
	n.callRows(w, calls, sum)
	n.repeatRows(w, calls)
	n.resultRows(w)
	uses := n.efficiencyRows(w, calls)
	n.limitRows(w, sum)
	w.line("memory of a worker, peak RSS\t\t%d MiB", n.memory>>20)
	n.shareTable(w, calls)
	n.keyTable(w, uses)
	if err := w.w.Flush(); err != nil {
		return err
	}
	for _, err := range n.answers.told {
		say("wrong: %v", err)
	}
	if len(w.wrong) > 0 {
		return fmt.Errorf("%w: %s", errWrong, strings.Join(w.wrong, ", "))
	}
	return nil
}

// sheet is a table under way and what in it has to be otherwise.
type sheet struct {
	w     *tabwriter.Writer
	wrong []string
}

func (s *sheet) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s.w, format+"\n", args...) // Flush tells
}

// must adds a row that has to hold.
func (s *sheet) must(ok bool, what string, expected, seen any) {
	word := "ok"
	if !ok {
		word = "WRONG"
		s.wrong = append(s.wrong, what)
	}
	s.line("%s\t%v\t%v\t%s", what, expected, seen, word)
}

// info adds a row that only tells.
func (s *sheet) info(what string, expected any, format string, args ...any) {
	s.line("%s\t%v\t%s\t", what, expected, fmt.Sprintf(format, args...))
}

// title says what was run.
func (n *night) title() string {
	c := n.cmd
	text := fmt.Sprintf("%d numbers of %d tenants in jobs of %d, %d workers; calls of %d numbers in %s to %s",
		n.load.numbers(), len(tenants()), c.Job, c.Workers, c.Batch, n.plan.latency, n.plan.latency+n.plan.jitter())
	if c.RedisAway > 0 {
		text += fmt.Sprintf("; Redis away for %s", c.RedisAway)
	}
	if c.CutOff > 0 {
		text += fmt.Sprintf("; one worker cut off from Redis for %s", c.CutOff)
	}
	return text
}

func (n *night) callRows(w *sheet, calls []call, sum simulator.Summary) {
	count := map[string]int{}
	for i := range calls {
		switch c := &calls[i]; {
		case c.fate == paid:
			count[c.provider]++
			count["paid"]++
		case c.fate == refused:
			count["refused"]++
		case c.denied:
			count["denied"]++
		default:
			count["failed"]++
		}
	}
	least := n.load.calls(n.cmd.Batch)
	w.info("calls answered", least, "%d (%.3f times as many)", count["paid"], float64(count["paid"])/float64(least))
	w.info("  of the first provider, of the second", "", "%d, %d", count[primary], count[backup])
	w.info("calls with a revoked key", "1 to 4", "%d", count["denied"])
	w.info("calls into the outage, probes included", "", "%d", count["failed"])
	w.info("calls refused with 429", "", "%d", count["refused"])
	w.info("numbers paid", n.load.paid, "%d", sum.Numbers)
	r := n.stage.recorder
	w.must(int64(r.paid) == sum.Numbers && r.strangers == 0, "  as the recorder has it", sum.Numbers, fmt.Sprintf("%d, %d strangers", r.paid, r.strangers))
}

func (n *night) repeatRows(w *sheet, calls []call) {
	l := n.load
	w.info("numbers that came before", "", "%d in their job, %d in a job before, %d of another tenant", l.sameJob, l.sameTenant, l.elsewhere)
	r := l.repeated(calls)
	w.info("numbers paid again", "0", "%d", r.paid)
	w.info("  while on the wire with another worker", "", "%d", r.atOnce)
	w.info("  while on the wire with the same", "0", "%d", r.alone)
	w.info("  after an answer to another worker, to the same", "", "%d, %d (at most %s after)", r.laterOther, r.laterSame, r.late.Round(time.Millisecond))
}

func (n *night) resultRows(w *sheet) {
	a := n.answers
	w.must(a.missing == 0, "items without a result", "0", a.missing)
	w.must(a.twice == 0, "results there twice", "0", a.twice)
	w.must(a.wrong == 0, "results that are wrong", "0", a.wrong)
	w.must(a.right == n.load.numbers(), "results that are right", n.load.numbers(), a.right)
	w.info("  ok, not found, failed", "", "%d, %d, %d", a.status[results.StatusOK], a.status[results.StatusNotFound], a.status[results.StatusFailed])
	w.info("  by upstream, shared, cache", "", "%d, %d, %d", a.source[results.SourceUpstream], a.source[results.SourceShared], a.source[results.SourceCache])
	w.info("  of the first provider, of the second", "", "%d, %d", a.provider[primary], a.provider[backup])
	w.must(n.dead == 0, "jobs that died", "0", n.dead)
}

// efficiencyRows say how much of the usable permits was needed: what the numbers
// of the first provider take in full calls, by the permit time that its keys had.
func (n *night) efficiencyRows(w *sheet, calls []call) []keyUse {
	var begin, last time.Time
	byBackup := 0
	for i := range calls {
		c := &calls[i]
		if begin.IsZero() {
			begin = c.start
		}
		if c.fate == paid && c.provider == primary && c.end.After(last) {
			last = c.end
		}
		if c.fate == paid && c.provider == backup {
			byBackup += len(c.numbers)
		}
	}
	needed := float64(n.load.paid-byBackup) / float64(n.cmd.Batch) * n.plan.mean().Seconds()
	var uses []keyUse
	var usable, busy, toEmpty time.Duration
	for _, k := range n.plan.keys {
		u := n.use(k, calls, last)
		uses = append(uses, u)
		if k.provider == primary {
			usable += u.usable
			busy += u.busy
			toEmpty += n.use(k, calls, n.drained).usable
		}
	}
	w.info("time to the last call, to the last ack", "", "%.1f s, %.1f s", last.Sub(begin).Seconds(), n.drained.Sub(begin).Seconds())
	w.info("drain efficiency: permit time needed / usable", "1", "%.3f (%.3f to the last ack)", needed/usable.Seconds(), needed/toEmpty.Seconds())
	w.info("  permit time used / usable", "1", "%.3f", busy.Seconds()/usable.Seconds())
	w.info("  slowest to start again after", "", "%s", n.restarts(calls))
	return uses
}

// restarts is how long the first provider was left alone after each disturbance.
func (n *night) restarts(calls []call) string {
	var text []string
	after := func(what string, since time.Time) {
		i := slices.IndexFunc(calls, func(c call) bool { return c.fate == paid && c.provider == primary && !c.start.Before(since) })
		if i >= 0 {
			text = append(text, fmt.Sprintf("%s %.1f s", what, calls[i].start.Sub(since).Seconds()))
		}
	}
	if o := n.plan.outage; o.to > 0 {
		after("outage", n.started.Add(o.to))
	}
	if !n.away.from.IsZero() {
		after("Redis", n.away.to)
	}
	return strings.Join(text, ", ")
}

func (n *night) limitRows(w *sheet, sum simulator.Summary) {
	w.must(sum.LargestBatch <= n.cmd.Batch && sum.Oversized == 0, "largest call", fmt.Sprintf("≤ %d", n.cmd.Batch), sum.LargestBatch)
}

// shareTable shows who got what while all had work.
func (n *night) shareTable(w *sheet, calls []call) {
	const percent = 100
	asked, total := n.load.shares(calls)
	w.line("\ntenant\tweight\tshare of %d\tseen, of the first %d numbers\tdeviation", weights(), total)
	for t, who := range tenants() {
		want := float64(who.weight) / float64(weights())
		seen := float64(asked[t]) / math.Max(1, float64(total))
		w.line("%s\t%d\t%.1f %%\t%.1f %%\t%+.1f %%", who.name, who.weight, want*percent, seen*percent, (seen/want-1)*percent)
	}
}

// keyTable shows the limits.
func (n *night) keyTable(w *sheet, uses []keyUse) {
	const percent = 100
	w.line("\nkey\tconfigured, granted\tpeak\tcalls, 429, revoked\tnumbers paid\tpermit time used\t")
	for i := range uses {
		u := &uses[i]
		word := "ok"
		if u.peak > u.key.configured {
			word = "WRONG"
			w.wrong = append(w.wrong, "peak of key "+u.key.name)
		}
		used := "" // of a provider that is there for failures alone
		if u.key.provider == primary {
			used = fmt.Sprintf("%.1f %%", u.busy.Seconds()/math.Max(1e-9, u.usable.Seconds())*percent)
		}
		w.line("%s/%s\t%d, %d\t%d\t%d, %d, %d\t%d\t%s\t%s", u.key.provider, u.key.name, u.key.configured, u.key.real, u.peak,
			u.calls, u.over, u.denied, u.paid, used, word)
	}
}
