package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// metrics are the worker's own counters by series, "name{labels}".
type metrics map[string]float64

// scrape reads the worker's metrics.
func scrape(ctx context.Context, addr string) (metrics, error) {
	text, err := get(ctx, addr)
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(text)), nil
}

// parseMetrics reads Prometheus' text form; what is no sample is passed over.
func parseMetrics(text string) metrics {
	m := metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			m[line[:cut]] = v
		}
	}
	return m
}

// sum adds up the series of a name that have all the labels.
func (m metrics) sum(name string, labels ...string) float64 {
	total := 0.0
series:
	for series, v := range m {
		base, rest, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue series
			}
		}
		total += v
	}
	return total
}

// gcTrace has a Go program tell of each garbage collection; the collector's share
// of the processor time is in no metric that the worker shows.
const gcTrace = "GODEBUG=gctrace=1"

// gcTime adds up the time of the collections that a log tells of between two
// offsets: pauses, assists and workers, but not those on processors that the
// program left idle.
func gcTime(log string, from, to int64) (time.Duration, error) {
	f, err := os.Open(log) //nolint:gosec // the log of our own child
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.NewSectionReader(f, from, to-from))
	return parseGC(string(text)), err
}

// parseGC finds lines such as
//
//	gc 1 @0.01s 2%: 0.017+0.5+0.01 ms clock, 0.06+0.2/0.4/0.1+0.05 ms cpu, 4->4->1 MB, …
//
// where the times are of the sweep's end, assists, workers, idle workers and the mark's end.
func parseGC(text string) time.Duration {
	line := regexp.MustCompile(`(?m)^gc \d+ @.* ms clock, ([\d.]+)\+([\d.]+)/([\d.]+)/[\d.]+\+([\d.]+) ms cpu`)
	total := 0.0
	for _, found := range line.FindAllStringSubmatch(text, -1) {
		for _, part := range found[1:] {
			if ms, err := strconv.ParseFloat(part, 64); err == nil {
				total += ms
			}
		}
	}
	return time.Duration(total * float64(time.Millisecond))
}
