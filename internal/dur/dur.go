// Package dur reads and writes the durations of the contract, which match
// \d+(ms|s|m|h|d) or are 0. What comes in: text. What goes out: a time.Duration.
// It holds no state.
package dur

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is one of the units of the contract.
type unit struct {
	name string
	size time.Duration
}

// units has the longest names first: 5ms is not 5m.
func units() [5]unit {
	return [...]unit{
		{"ms", time.Millisecond},
		{"s", time.Second},
		{"m", time.Minute},
		{"h", time.Hour},
		{"d", 24 * time.Hour},
	}
}

// Parse reads a duration such as "250ms", "30s", "5m", "24h", "7d" or "0". A day
// is 24 hours. The error names the text and what is allowed.
func Parse(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	for _, u := range units() {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/int64(u.size) {
			return 0, fmt.Errorf("duration %.40q is longer than 292 years", s)
		}
		return time.Duration(n) * u.size, nil
	}
	return 0, fmt.Errorf("duration %.40q: write a whole number and one of ms, s, m, h, d (such as 30s), or 0", s)
}

// Format writes d, which must not be negative, so that Parse reads it back: in
// the largest unit that divides it, rounded down to milliseconds.
func Format(d time.Duration) string {
	d = d.Truncate(time.Millisecond)
	if d <= 0 {
		return "0"
	}
	best := unit{"ms", time.Millisecond}
	for _, u := range units() {
		if d%u.size == 0 && u.size > best.size {
			best = u
		}
	}
	return strconv.FormatInt(int64(d/best.size), 10) + best.name
}
