package telnyx

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// When Telnyx says that little is left, the key is to rest for its share of the time
// until there is more, whatever was asked and however it ended.
func TestSlowsDownNearTheLimit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header []string
		want   time.Duration
	}{
		"nothing said": {nil, 0},
		"plenty":       {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "5", "X-Ratelimit-Reset", "12"}, 0},
		"little":       {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "4", "X-Ratelimit-Reset", "12"}, 12 * time.Second / 5},
		"none":         {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "3"}, 3 * time.Second},
		"no reset":     {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0"}, 0},
		"senseless":    {[]string{"X-Ratelimit-Limit", "x", "X-Ratelimit-Remaining", "-1", "X-Ratelimit-Reset", "3"}, 0},
		"below zero":   {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "-1", "X-Ratelimit-Reset", "3"}, 0},
		"huge":         {[]string{"X-Ratelimit-Limit", "9223372036854775807", "X-Ratelimit-Remaining", "9223372036854775807", "X-Ratelimit-Reset", "3"}, 0},
		"far too far":  {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "7200"}, longestHold},
	}
	for name, tt := range tests {
		for _, op := range operations() {
			for _, status := range []int{200, 422, 429, 500} {
				p := newProvider(t, "", transport(func(*http.Request) *http.Response { return says(status, `{"data":[]}`, tt.header...) }))
				r := p.Call(t.Context(), query(op, "+13035550000"))
				require.Equal(t, tt.want, r.SlowDown, "%s, %s, %d", name, op, status)
			}
		}
		a := bulk(300)
		a.header = tt.header
		p := newProvider(t, "", a.transport())
		require.Equal(t, providers.Reply{Failure: unfinished(0), SlowDown: tt.want}, p.Call(t.Context(), bulkQuery(10)), name)
	}
}

// Reads have less time than checks.
func TestReadTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings string
		q        providers.Query
		want     time.Duration
	}{
		"portability":      {"", query(opPortability, "+13035550000"), 15 * time.Second},
		"number_lookup":    {"", query(opLookup, "+13035550000"), 10 * time.Second},
		"porting_status":   {"", query(opPorting, "+13035550000"), 10 * time.Second},
		"a list":           {"", bulkQuery(10), 10 * time.Second},
		"configured":       {"read_timeout: 2s", query(opLookup, "+13035550000"), 2 * time.Second},
		"beyond the other": {"read_timeout: 1m", query(opLookup, "+13035550000"), 15 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, tt.settings, hanging{})
				ctx, cancel := context.WithTimeout(t.Context(), p.Limits().Timeout)
				defer cancel()
				begin := time.Now()
				r := p.Call(ctx, tt.q)
				require.Equal(t, tt.want, time.Since(begin))
				require.Equal(t, providers.KindTimeout, r.Failure.Kind)
			})
		})
	}
}

// hanging never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
