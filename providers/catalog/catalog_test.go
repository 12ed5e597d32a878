package catalog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers/catalog"
	"github.com/lookupq/lookupq/providers/providertest"
)

// TestConformance runs the suite over every type, from the recorded calls in its
// folder.
func TestConformance(t *testing.T) {
	for _, e := range catalog.All() {
		t.Run(e.Type, func(t *testing.T) {
			providertest.Run(t, providertest.Type{
				Name: e.Type, New: e.New, Testdata: filepath.Join("..", e.Type, "testdata"),
			})
		})
	}
}

func TestFind(t *testing.T) {
	var all []string
	for _, e := range catalog.All() {
		all = append(all, e.Type)
		got, err := catalog.Find(e.Type)
		require.NoError(t, err)
		require.Equal(t, e.Summary, got.Summary)
		require.NotEmpty(t, e.Summary)
	}
	_, err := catalog.Find("carrier-pigeon")
	require.EqualError(t, err, `there is no provider type "carrier-pigeon"; use one of `+strings.Join(all, ", "))
}

func TestNewReturnsNilWithAnError(t *testing.T) {
	e, err := catalog.Find("qxt")
	require.NoError(t, err)
	p, err := e.New(catalog.Config{Name: "x", BaseURL: "nowhere"})
	require.Error(t, err)
	require.Nil(t, p)
}
