package portcheck

import (
	"path/filepath"
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

// Two other products of the kind are nothing but settings: one with a form, numeric
// codes for everything and a list of one answer; one that is asked with GET and
// answers flat, without a code. The vendor's own is examined with the catalog.
func TestOtherProductsConform(t *testing.T) {
	for _, product := range []string{"carriers", "memo"} {
		t.Run(product, func(t *testing.T) {
			providertest.Run(t, providertest.Type{Name: product, New: build, Testdata: filepath.Join("testdata", product)})
		})
	}
}
