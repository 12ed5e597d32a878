package main

import (
	"bytes"
	"encoding/csv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/numbers"
)

// shipped reads the export that `make demo` uses, without its header.
func shipped(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../crm-export.csv")
	require.NoError(t, err)
	require.Less(t, len(text), 1<<20, "the example must stay small")
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	r.Comma = ';'
	all, err := r.ReadAll()
	require.NoError(t, err)
	return all[1:]
}

// What README and Makefile promise of the demo, and that nearly every row that is
// meant to hold a number holds one for us.
func TestShippedExport(t *testing.T) {
	t.Parallel()
	countries, again, unusable := map[string]bool{}, map[string]int{}, 0
	forms := map[string]int{}
	all := shipped(t)
	r, err := numbers.NewResolver()
	require.NoError(t, err)
	for _, row := range all {
		n, why := r.Resolve(row[2], row[3])
		if why != numbers.OK {
			unusable++
			continue
		}
		countries[row[3]] = true
		again[n.E164]++
		forms[form(row[2])]++
	}
	require.GreaterOrEqual(t, len(all)-unusable, 10000)
	require.Greater(t, len(countries), 200)
	require.InDelta(t, unusable, 0.03*float64(len(all)), 0.01*float64(len(all)))
	require.Less(t, len(again), len(all)-unusable, "some customers must stand there twice")
	for _, f := range []string{"plus", "tel", "zeros", "full width", "national", "spreadsheet"} {
		require.Greater(t, forms[f], 50, "too few rows of the form %q: %v", f, forms)
	}
}

// form sorts rows by how they are written.
func form(s string) string {
	switch {
	case strings.HasPrefix(s, "tel:"):
		return "tel"
	case strings.HasPrefix(s, "00"):
		return "zeros"
	case strings.HasPrefix(s, "+"):
		return "plus"
	case strings.ContainsAny(s, "０１２３４５６７８９"):
		return "full width"
	case strings.ContainsAny(s, "='\u00a0\u202a"):
		return "spreadsheet"
	}
	return "national"
}

// The generator must give everybody the same file. One country shows it; all of
// them take the race detector half a minute.
func TestSameNumbersEachTime(t *testing.T) {
	t.Parallel()
	some := func() []contact {
		rnd := rand.New(rand.NewPCG(seed1, seed2))
		var all []contact
		for _, n := range someNumbers(rnd, share{"DE", 60}) {
			all = append(all, dress(rnd, n, "DE"))
		}
		return all
	}
	first := some()
	require.Len(t, first, 60)
	require.Equal(t, first, some())
}
