package telnyx

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// lowWater: below a tenth of its limit a key is slowed down.
	lowWater = 10
	// longestHold bounds what one header can ask for.
	longestHold = time.Minute
)

// slowDown is how long a key should rest when little is left of its limit: the
// share of the time until the limit is reset that one request has. 0 is not at all.
func slowDown(h http.Header) time.Duration {
	limit, errL := strconv.Atoi(strings.TrimSpace(h.Get("X-Ratelimit-Limit")))
	left, errR := strconv.Atoi(strings.TrimSpace(h.Get("X-Ratelimit-Remaining")))
	if errL != nil || errR != nil || left < 0 || float64(left)*lowWater >= float64(limit) {
		return 0
	}
	return min(seconds(h.Get("X-Ratelimit-Reset"))/time.Duration(left+1), longestHold)
}
