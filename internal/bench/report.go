package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints the results of a run.
type report struct {
	w       io.Writer
	results []result
}

const percent = 100

// head says what was measured and on what.
func (r *report) head(machine, redis string, scale float64) {
	fmt.Fprintf(r.w, `
lookupq bench, scale %g
machine   %s
servers   separate processes on loopback: nats-server with its default sync interval (2m) and worker simulate, fresh for
          each round; %s on a unix socket, append-only file synced every second as with --embedded, emptied for each round
backlog   stored before the worker starts; times count from the first call; one lane; all settings at their defaults
`, scale, machine, redis)
}

// ratios prints the figures that have goals.
func (r *report) ratios() {
	t := tabwriter.NewWriter(r.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nwhat\tmeasured\tgoal\t\t")
	var worst struct {
		fill         float64
		at           string
		peak         int64
		open         int
		refused, two int64
	}
	for i := range r.results {
		res := &r.results[i]
		if res.engine() {
			r.engine(t, res)
		} else {
			r.drain(t, res)
		}
		for j := range res.worker {
			o := &res.worker[j]
			if f := o.fill(); f > worst.fill {
				worst.fill, worst.at = f, res.name
			}
			worst.peak = max(worst.peak, o.peak)
			worst.refused += o.sum.Refused
			worst.two += o.sum.AskedTwice
			for _, k := range o.sum.Keys {
				worst.open = max(worst.open, k.Peak)
			}
		}
	}
	const fullCalls, memory, mib = 1.01, 256, 1 << 20
	row(t, "calls / ceil(distinct numbers / 1,000), worst round", fmt.Sprintf("%.4f (%s)", worst.fill, worst.at), "≤ 1.01", verdict(fullCalls/worst.fill))
	row(t, "numbers asked twice", fmt.Sprint(worst.two), "0", met(worst.two == 0))
	row(t, "calls at once, as the upstream saw", fmt.Sprintf("%d, %d refused", worst.open, worst.refused), "≤ 4", met(worst.open <= concurrency && worst.refused == 0))
	peak := float64(worst.peak) / mib
	row(t, "memory of the worker, peak RSS", fmt.Sprintf("%.0f MiB", peak), "≤ 256 MiB", verdict(memory/peak))
	_ = t.Flush()
}

func (r *report) drain(t io.Writer, res *result) {
	const busy = 0.95
	eff := median(res.worker, func(o *outcome) float64 { return efficiency(res, o.toLastAck) })
	lastCall := median(res.worker, func(o *outcome) float64 { return efficiency(res, o.toLastCall) })
	row(t, res.what, fmt.Sprintf("%.3f (to the last call %.3f)", eff, lastCall), fmt.Sprintf("≥ %.2f", res.goal), verdict(eff/res.goal))
	if len(res.minimal) > 0 {
		eff := median(res.minimal, func(o *outcome) float64 { return efficiency(res, o.toLastAck) })
		row(t, "  the minimal worker's", fmt.Sprintf("%.3f", eff), "", "")
	}
	use := median(res.worker, (*outcome).permitUse)
	if res.name == "drain-300ms" {
		row(t, "  permit time used", fmt.Sprintf("%.3f", use), fmt.Sprintf("≥ %.2f", busy), verdict(use/busy))
	} else {
		row(t, "  permit time used", fmt.Sprintf("%.3f", use), "", "")
	}
}

func efficiency(res *result, took time.Duration) float64 {
	return ideal(res.load, res.latency).Seconds() / took.Seconds()
}

func (r *report) engine(t io.Writer, res *result) {
	ratio := median(res.worker, (*outcome).rate) / median(res.minimal, (*outcome).rate)
	least, most := 0.0, 0.0
	for i := range res.worker {
		q := res.worker[i].rate() / res.minimal[i].rate()
		if i == 0 {
			least, most = q, q
		}
		least, most = min(least, q), max(most, q)
	}
	row(t, res.what, fmt.Sprintf("%.2f [%.2f to %.2f in %d rounds]", ratio, least, most, len(res.worker)), fmt.Sprintf("≥ %.2f", res.goal), verdict(ratio/res.goal))
	// Where all processors are busy this says the same, and other work on the machine hardly touches it.
	row(t, "  by CPU time of all processes", fmt.Sprintf("%.2f", median(res.minimal, (*outcome).cost)/median(res.worker, (*outcome).cost)), "", "")
}

func row(t io.Writer, what, measured, goal, how string) {
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", what, measured, goal, how)
}

// verdict says how far a figure is from its goal; 1 is exactly there.
func verdict(ofGoal float64) string {
	if ofGoal >= 1 {
		return fmt.Sprintf("met, by %.0f %%", (ofGoal-1)*percent)
	}
	return fmt.Sprintf("MISSED by %.1f %%", (1-ofGoal)*percent)
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}

// processes in the order of the table.
func processes() []string { return []string{"worker", "nats", "redis", "simulator"} }

// details prints what each contender cost, medians over the rounds.
func (r *report) details() {
	fmt.Fprintln(r.w, `
medians; a number: CPU time of each process in µs (worker: the contender's), allocations and bytes of the worker;
GC: the collector's share of the contender's time by its own clock, which overstates it on a busy machine;
others: share of the machine's CPU time that went to none of these processes`)
	t := tabwriter.NewWriter(r.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "scenario\t\tnumbers\t/s\trange\tfill\t%s µs\tallocs\tbytes\tGC\tpeak RSS\tothers\t\n", strings.Join(processes(), " µs\t"))
	for i := range r.results {
		res := &r.results[i]
		detail(t, res.name, "worker", res.worker)
		detail(t, res.name, "minimal", res.minimal)
	}
	_ = t.Flush()
}

func detail(t io.Writer, scenario, who string, rounds []outcome) {
	if len(rounds) == 0 {
		return
	}
	const thousand, mib = 1e3, 1 << 20
	numbers := float64(rounds[0].load.numbers)
	rates := make([]float64, 0, len(rounds))
	for i := range rounds {
		rates = append(rates, rounds[i].rate()/thousand)
	}
	fmt.Fprintf(t, "%s\t%s\t%.0fk\t%.1fk\t%.1f to %.1fk\t%.4f\t", scenario, who, numbers/thousand,
		median(rounds, (*outcome).rate)/thousand, slices.Min(rates), slices.Max(rates), median(rounds, (*outcome).fill))
	for _, p := range processes() {
		fmt.Fprintf(t, "%.2f\t", median(rounds, func(o *outcome) float64 { return o.perNumber(o.cpu[p]) }))
	}
	counted := func(of func(*outcome) float64) string {
		if who != "worker" {
			return "-"
		}
		return fmt.Sprintf("%.2f", median(rounds, of)/numbers)
	}
	fmt.Fprintf(t, "%s\t%s\t%.0f %%\t%.0f MiB\t%.0f %%\t\n",
		counted(func(o *outcome) float64 { return o.mallocs }), counted(func(o *outcome) float64 { return o.bytes }),
		percent*median(rounds, func(o *outcome) float64 { return float64(o.gc) / float64(max(o.cpu["worker"], 1)) }),
		median(rounds, func(o *outcome) float64 { return float64(o.peak) / mib }),
		percent*median(rounds, func(o *outcome) float64 { return o.foreign }))
}

// median of a figure over rounds.
func median(rounds []outcome, of func(*outcome) float64) float64 {
	all := make([]float64, 0, len(rounds))
	for i := range rounds {
		all = append(all, of(&rounds[i]))
	}
	slices.Sort(all)
	n := len(all)
	if n == 0 {
		return 0
	}
	return (all[(n-1)/2] + all[n/2]) / 2
}
