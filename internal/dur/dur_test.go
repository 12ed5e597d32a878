package dur

import (
	"math"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "1ms": time.Millisecond, "250ms": 250 * time.Millisecond, "30s": 30 * time.Second,
		"5m": 5 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "007d": 7 * 24 * time.Hour,
		"106751d": 106751 * 24 * time.Hour, "90s": 90 * time.Second,
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "00", "1", "s", "ms", "-1s", "+1s", "1.5h", "1h30m", " 1s", "1s ", "1S", "1us", "1w", "1 s", "１s", "0x1s", "1_0s",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, "write a whole number", text)
	}
	for _, text := range []string{"106752d", "99999999999999999999s", "9223372036854775807ms"} {
		_, err := Parse(text)
		require.ErrorContains(t, err, "longer than 292 years", text)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0": 0, "1ms": time.Millisecond, "1500ms": 1500 * time.Millisecond, "90s": 90 * time.Second, "1m": time.Minute,
		"36h": 36 * time.Hour, "1d": 24 * time.Hour, "7d": 168 * time.Hour,
	} {
		require.Equal(t, want, Format(d))
	}
	require.Equal(t, "0", Format(time.Microsecond))
	require.Equal(t, "0", Format(-time.Second))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "1ms", "2s", "3m", "4h", "5d", "-1s", "1.5h", "9223372036854775807ms"} {
		f.Add(s)
	}
	grammar := regexp.MustCompile(`^(\d+(ms|s|m|h|d)|0)$`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if !grammar.MatchString(text) {
			require.Error(t, err)
			return
		}
		if err != nil {
			require.ErrorContains(t, err, "longer than")
			return
		}
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, time.Duration(math.MaxInt64))
		back, err := Parse(Format(d))
		require.NoError(t, err)
		require.Equal(t, d, back)
	})
}
