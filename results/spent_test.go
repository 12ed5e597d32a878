package results_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/results"
)

func TestSpent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(r.partOf("c", "a", 0, 1), r.partOf("other", "x", 5), r.partOf("c", "b", 3))
	_, err := r.js.Publish(t.Context(), "lookup.results.acme.c", []byte("no part"))
	require.NoError(t, err)
	reader := results.NewReader(r.js, r.names)
	for name, want := range map[string][]results.Cost{
		"c":                 {{Amount: "0.006", Currency: "CNY"}},
		results.AnyCampaign: {{Amount: "0.008", Currency: "CNY"}},
		"none":              nil,
	} {
		sum, err := reader.Spent(t.Context(), "acme", name, time.Time{})
		require.NoError(t, err)
		require.Equal(t, want, sum.Costs(), name)
	}
	sum, err := reader.Spent(t.Context(), "acme", "c", time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, sum.Costs())
	_, err = results.NewReader(r.js, r.names).Spent(t.Context(), "acme", "c", time.Time{})
	require.NoError(t, err)
	require.Zero(t, r.consumers())
}

func TestMillionths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1": 1_000_000, "0.0020": 2000, "0.000001": 1, "0.0000001": 1, "1.0000010": 1_000_001, "1.00000101": 1_000_002,
		"0.0000000": 0, "999999999.999999": 999_999_999_999_999,
	} {
		d, err := results.ParseDecimal(text)
		require.NoError(t, err)
		got, ok := d.Millionths()
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"9999999999999999", "12345678901234567890"} {
		d, err := results.ParseDecimal(text)
		require.NoError(t, err)
		_, ok := d.Millionths()
		require.False(t, ok, text)
	}
}
