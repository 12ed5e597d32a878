package telnyx_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/providertest"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/telnyx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs the suite over the recorded calls of all operations.
func TestConformance(t *testing.T) {
	providertest.Run(t, providertest.Type{
		Name: "telnyx", Testdata: "testdata",
		New: func(cfg setup.Config) (providers.Provider, error) {
			p, err := telnyx.New(cfg)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	})
}
