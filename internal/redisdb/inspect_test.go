package redisdb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTooOld(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"5.0.14": true, "6.0.9": true, "6.1.240": true,
		"6.2.0": false, "7.0.15": false, "7.2.4": false, "8.0": false, "10.1.0": false,
		"": false, "unknown": false, "x.y": false,
	} {
		require.Equal(t, want, Server{Version: version}.tooOld(), version)
	}
}
