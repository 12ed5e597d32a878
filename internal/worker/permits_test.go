package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/results"
)

// TestWaitReasons: what becomes of items whose provider has no permit, and why.
func TestWaitReasons(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		wait keys.WaitError
		stop bool
		code results.Code // of items that end with it; "" if none does
	}{
		{"busy", keys.WaitError{Reason: keys.WaitConcurrency}, false, ""},
		{"rate", keys.WaitError{Reason: keys.WaitNumberRate}, false, ""},
		{"redis away", keys.WaitError{Reason: keys.WaitRedisAway}, true, ""},
		{"no money", keys.WaitError{Reason: keys.WaitQuarantined, Cause: "no_balance"}, true, results.CodeNoBalance},
		{"no money, paused", keys.WaitError{Reason: keys.WaitPaused, Cause: "no_balance"}, true, results.CodeNoBalance},
		{"revoked", keys.WaitError{Reason: keys.WaitQuarantined, Cause: "unauthorized"}, true, results.CodeNoUsableKey},
		{"forbidden", keys.WaitError{Reason: keys.WaitQuarantined, Cause: "forbidden"}, true, results.CodeNoUsableKey},
		{"of all kinds", keys.WaitError{Reason: keys.WaitQuarantined}, true, results.CodeNoUsableKey},
		{"a cause of another version", keys.WaitError{Reason: keys.WaitQuarantined, Cause: "stolen"}, true, results.CodeNoUsableKey},
		{"no key", keys.WaitError{Reason: keys.WaitNoKey}, true, results.CodeNoUsableKey},
		{"throttled", keys.WaitError{Reason: keys.WaitPaused, Cause: "throttled"}, true, results.CodeProviderUnavailable},
		{"down", keys.WaitError{Reason: keys.WaitPaused, Cause: "unavailable"}, true, results.CodeProviderUnavailable},
		{"paused for several reasons", keys.WaitError{Reason: keys.WaitPaused}, true, results.CodeProviderUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.wait.After = time.Second
			w := waitError(&tt.wait)
			require.Equal(t, time.Second, w.After)
			require.Equal(t, tt.stop, w.Stop)
			if tt.code == "" {
				require.Nil(t, w.Fault)
				return
			}
			code, _ := codeOf(w.Fault.Kind)
			require.Equal(t, tt.code, code)
			require.Contains(t, w.Reason, tt.wait.Cause)
		})
	}
	require.Equal(t, keys.CauseNoBalance, providers.KindNoBalance.String())
}
