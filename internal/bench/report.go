package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// report puts the results of a run into words.
type report struct {
	results []result
}

const percent = 100

// head says what was measured and on what.
func (*report) head(machine, redis string, scale float64) string {
	return fmt.Sprintf(`
lookupq bench, scale %g
machine   %s
servers   separate processes on loopback: nats-server with its default sync interval (2m) and worker simulate, fresh for
          each round; %s on a unix socket, append-only file synced every second as with --embedded,
          emptied for each round
backlog   stored before the worker starts; times count from the first call; one lane; all settings at their defaults

`, scale, machine, redis)
}

// goals are the figures that have some.
func (r *report) goals() string {
	t := table{{"what", "measured", "goal", ""}}
	for i := range r.results {
		res := &r.results[i]
		if res.engine() {
			t = append(t, res.engineRows()...)
		} else {
			t = append(t, res.drainRows()...)
		}
	}
	return append(t, r.limits()...).text(0)
}

// limits are what must hold in every round.
func (r *report) limits() table {
	var fill float64
	var fillOf string
	var peak, refused, twice int64
	var open int
	for i := range r.results {
		res := &r.results[i]
		for j := range res.worker {
			o := &res.worker[j]
			if f := o.fill(); f > fill {
				fill, fillOf = f, res.name
			}
			peak = max(peak, o.peak)
			refused += o.sum.Refused
			twice += o.sum.AskedTwice
			for _, k := range o.sum.Keys {
				open = max(open, k.Peak)
			}
		}
	}
	const leastFill, memory = 1.01, 256 << 20
	return table{
		{"calls / ceil(distinct numbers / 1,000), worst round", fmt.Sprintf("%.4f (%s)", fill, fillOf), "≤ 1.01", verdict(leastFill / fill)},
		{"numbers asked twice", strconv.FormatInt(twice, 10), "0", met(twice == 0)},
		{"calls at once, as the upstream saw", fmt.Sprintf("%d, %d refused", open, refused), "≤ 4", met(open <= concurrency && refused == 0)},
		{"memory of the worker, peak RSS", fmt.Sprintf("%d MiB", peak>>20), "≤ 256 MiB", verdict(memory / float64(max(peak, 1)))},
	}
}

// drainRows are of a scenario in which the upstream is the limit.
func (res *result) drainRows() table {
	lastAck := func(o *outcome) float64 { return res.efficiency(o.toLastAck) }
	lastCall := func(o *outcome) float64 { return res.efficiency(o.toLastCall) }
	eff := median(res.worker, lastAck)
	t := table{{
		res.what, fmt.Sprintf("%.3f (to the last call %.3f)", eff, median(res.worker, lastCall)),
		fmt.Sprintf("≥ %.2f", res.goal), verdict(eff / res.goal),
	}}
	if len(res.minimal) > 0 {
		t = append(t, []string{"  the minimal worker's", fmt.Sprintf("%.3f", median(res.minimal, lastAck)), "", ""})
	}
	use := []string{"  permit time used", fmt.Sprintf("%.3f", median(res.worker, (*outcome).permitUse)), "", ""}
	if res.useGoal > 0 {
		use[2], use[3] = fmt.Sprintf("≥ %.2f", res.useGoal), verdict(median(res.worker, (*outcome).permitUse)/res.useGoal)
	}
	return append(t, use)
}

// efficiency is how near a drain came to what the limits allow.
func (res *result) efficiency(took time.Duration) float64 {
	return ideal(res.load, res.latency).Seconds() / took.Seconds()
}

// engineRows are of a scenario in which the worker is the limit.
func (res *result) engineRows() table {
	ratio := median(res.worker, (*outcome).rate) / median(res.minimal, (*outcome).rate)
	pairs := make([]float64, 0, len(res.worker))
	for i := range res.worker {
		pairs = append(pairs, res.worker[i].rate()/res.minimal[i].rate())
	}
	cost := median(res.minimal, (*outcome).cost) / median(res.worker, (*outcome).cost)
	return table{
		{
			res.what, fmt.Sprintf("%.2f [%.2f to %.2f in %d rounds]", ratio, slices.Min(pairs), slices.Max(pairs), len(pairs)),
			fmt.Sprintf("≥ %.2f", res.goal), verdict(ratio / res.goal),
		},
		// Where all processors are busy it says the same, and other work on the machine hardly touches it.
		{"  by CPU time of all processes", fmt.Sprintf("%.2f", cost), "", ""},
	}
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

// processes whose CPU time a number costs, in the order of the table.
func processes() []string { return []string{"worker", "nats", "redis", "simulator"} }

// costs are what the rounds took, medians.
func (r *report) costs() string {
	head := []string{"scenario", "", "numbers", "/s", "range", "fill"}
	for _, p := range processes() {
		head = append(head, p+" µs")
	}
	t := table{append(head, "allocs", "bytes", "GC", "peak RSS", "others", "idle")}
	for i := range r.results {
		res := &r.results[i]
		t = append(t, costRow(res.name, "worker", res.worker))
		if len(res.minimal) > 0 {
			t = append(t, costRow(res.name, "minimal", res.minimal))
		}
	}
	return `
medians; a number: CPU time of each process in µs (worker: the contender's), allocations and bytes of the worker;
GC: the collector's share of the contender's CPU time, ? where others kept it from being measured;
others: share of the machine's CPU time that went to none of these processes; idle: to nobody, waiting for the disk included

` + t.text(2)
}

// costRow is one line of costs.
func costRow(scenario, who string, rounds []outcome) []string {
	const thousand = 1e3
	numbers := float64(rounds[0].load.numbers)
	rates := make([]float64, 0, len(rounds))
	for i := range rounds {
		rates = append(rates, rounds[i].rate()/thousand)
	}
	row := []string{
		scenario, who, fmt.Sprintf("%.0fk", numbers/thousand), fmt.Sprintf("%.1fk", median(rounds, (*outcome).rate)/thousand),
		fmt.Sprintf("%.1f to %.1fk", slices.Min(rates), slices.Max(rates)), fmt.Sprintf("%.4f", median(rounds, (*outcome).fill)),
	}
	for _, p := range processes() {
		row = append(row, fmt.Sprintf("%.2f", median(rounds, func(o *outcome) float64 { return o.perNumber(o.cpu[p]) })))
	}
	allocs, bytes := "-", "-"
	if mallocs := median(rounds, func(o *outcome) float64 { return o.mallocs }); mallocs > 0 {
		allocs = fmt.Sprintf("%.1f", mallocs/numbers)
		bytes = fmt.Sprintf("%.0f", median(rounds, func(o *outcome) float64 { return o.bytes })/numbers)
	}
	return append(
		row, allocs, bytes,
		gcShare(rounds),
		fmt.Sprintf("%.0f MiB", median(rounds, func(o *outcome) float64 { return float64(o.peak >> 20) })),
		fmt.Sprintf("%.0f %%", percent*median(rounds, func(o *outcome) float64 { return o.foreign })),
		fmt.Sprintf("%.0f %%", percent*median(rounds, func(o *outcome) float64 { return o.idle })),
	)
}

// gcShare is the collector's share of the contender's CPU time. The collector
// counts by the wall clock: where others take the processors away, it is wrong.
func gcShare(rounds []outcome) string {
	const noise = 0.1
	if median(rounds, func(o *outcome) float64 { return o.foreign }) > noise {
		return "?"
	}
	return fmt.Sprintf("%.0f %%", percent*median(rounds, func(o *outcome) float64 { return float64(o.gc) / float64(max(o.cpu["worker"], 1)) }))
}

// table is rows of cells.
type table [][]string

// text aligns the columns; those from right on, to the right.
func (t table) text(right int) string {
	var widths []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right > 0 && i >= right {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
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
