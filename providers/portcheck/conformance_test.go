package portcheck

import (
	"testing"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/providertest"
	"github.com/lookupq/lookupq/providers/setup"
)

// build keeps a nil provider from becoming an interface that is not nil.
func build(cfg setup.Config) (providers.Provider, error) {
	p, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// The vendor's product, and two others of its kind, which are nothing but settings.
func TestConformance(t *testing.T) {
	for _, product := range []string{"testdata", "testdata/carriers", "testdata/memo"} {
		t.Run(product, func(t *testing.T) {
			providertest.Run(t, providertest.Type{Name: "portcheck", New: build, Testdata: product})
		})
	}
}
