package upstream

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what an upstream can ask for: a slip of its clock or its
// units must not stop a key for a year.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads how long the upstream asks to wait: Retry-After-Ms, else
// Retry-After as (fractional) seconds or as an HTTP date measured against now. It
// is 0 if there is none, none that can be read, or its time has passed, and 24 h
// at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if d, ok := number(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return d
	}
	value := h.Get("Retry-After")
	if d, ok := number(value, time.Second); ok {
		return d
	}
	if t, err := http.ParseTime(strings.TrimSpace(value)); err == nil {
		return clamp(float64(t.Sub(now)))
	}
	return 0
}

func number(s string, unit time.Duration) (time.Duration, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(v) {
		return 0, false
	}
	return clamp(v * float64(unit)), true
}

func clamp(d float64) time.Duration {
	return time.Duration(min(max(d, 0), float64(maxRetryAfter)))
}
