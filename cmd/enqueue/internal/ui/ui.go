// Package ui shows a run to whoever watches: a progress bar on a terminal, a
// plain line every few seconds into a log, JSON lines for machines. What comes in
// are snapshots and one-line notices; what goes out is text. A meter has one
// goroutine, which its stop function ends and waits for.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	// barEvery and lineEvery are how often a bar moves and a line is written.
	barEvery  = 200 * time.Millisecond
	lineEvery = 5 * time.Second
)

// Options say who watches.
type Options struct {
	// Out gets bar and lines (the standard error output).
	Out io.Writer
	// Terminal is whether Out is one.
	Terminal bool
	// JSON, if not nil, gets a JSON object a line, and Out nothing.
	JSON io.Writer
	// Every overrides the pace, for tests.
	Every time.Duration
}

// State is a snapshot of a run.
type State struct {
	// Phase is a word such as "sending".
	Phase string
	// Done of Total is what the bar shows; Total 0 is unknown.
	Done, Total int64
	// Text is the rest of the line.
	Text string
	// Fields are what a machine gets besides phase, done and total.
	Fields map[string]any
}

// UI writes. It is safe for parallel use.
type UI struct {
	opt Options
	mu  sync.Mutex
	bar *progressbar.ProgressBar
}

// New returns a UI; there is nothing to close.
func New(opt Options) *UI { return &UI{opt: opt} }

// Notice shows one line.
func (u *UI) Notice(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.opt.JSON != nil {
		u.event("notice", map[string]any{"text": text})
		return
	}
	if u.bar != nil {
		_ = u.bar.Clear() // a terminal that is gone is nobody's problem
	}
	_, _ = fmt.Fprintln(u.opt.Out, text)
}

// Event writes a JSON event, if a machine watches.
func (u *UI) Event(name string, fields map[string]any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.opt.JSON != nil {
		u.event(name, fields)
	}
}

// event is Event with u.mu held.
func (u *UI) event(name string, fields map[string]any) {
	all := map[string]any{"event": name}
	maps.Copy(all, fields)
	b, err := json.Marshal(all)
	if err != nil { // a field that has no JSON form; there is none
		b = []byte(`{"event":"` + name + `"}`)
	}
	_, _ = u.opt.JSON.Write(append(b, '\n'))
}

// Meter shows read's snapshots until stop is called, which shows a last one and
// waits for the goroutine. read is called from that goroutine and from stop.
func (u *UI) Meter(read func() State) (stop func()) {
	quit := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(u.every())
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				u.show(read())
			}
		}
	})
	var once sync.Once
	return func() {
		once.Do(func() {
			close(quit)
			ended.Wait()
			u.last(read())
		})
	}
}

func (u *UI) every() time.Duration {
	switch {
	case u.opt.Every > 0:
		return u.opt.Every
	case u.opt.JSON == nil && u.opt.Terminal:
		return barEvery
	}
	return lineEvery
}

// show writes one snapshot.
func (u *UI) show(s State) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.opt.JSON != nil:
		fields := map[string]any{"phase": s.Phase, "done": s.Done, "total": s.Total}
		maps.Copy(fields, s.Fields)
		u.event("progress", fields)
	case u.opt.Terminal:
		if u.bar == nil {
			u.bar = u.newBar()
		}
		if s.Total > 0 {
			u.bar.ChangeMax64(max(s.Total, 1))
		}
		u.bar.Describe(s.Phase + " " + s.Text)
		_ = u.bar.Set64(min(s.Done, max(s.Total, s.Done)))
	default:
		_, _ = fmt.Fprintln(u.opt.Out, s.line())
	}
}

// last shows the last snapshot of a meter and ends the bar's line.
func (u *UI) last(s State) {
	if u.opt.JSON == nil && !u.opt.Terminal {
		return // what the summary says need not be said before it
	}
	u.show(s)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bar != nil {
		_ = u.bar.Clear()
		_ = u.bar.Exit()
		u.bar = nil
	}
}

func (u *UI) newBar() *progressbar.ProgressBar {
	return progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(u.opt.Out),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(0),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
		progressbar.OptionUseANSICodes(true),
	)
}

// line is a snapshot as a plain line.
func (s State) line() string {
	if s.Total <= 0 {
		return s.Phase + ": " + s.Text
	}
	return fmt.Sprintf("%s: %d %%, %s", s.Phase, 100*s.Done/s.Total, s.Text)
}

// Group writes n with separators between thousands: 1,234,567.
func Group(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Rate tells how fast a counter grows: over the last few seconds, so that a stall
// is seen. Use it from one goroutine.
type Rate struct {
	at   [rateWindow]time.Time
	n    [rateWindow]int64
	next int
}

const rateWindow = 16

// Add notes a reading and returns the rate per second.
func (r *Rate) Add(now time.Time, n int64) float64 {
	oldest := r.next
	if r.at[oldest].IsZero() {
		oldest = 0
	}
	from, was := r.at[oldest], r.n[oldest]
	r.at[r.next], r.n[r.next] = now, n
	r.next = (r.next + 1) % rateWindow
	if from.IsZero() || !now.After(from) {
		return 0
	}
	return float64(n-was) / now.Sub(from).Seconds()
}
