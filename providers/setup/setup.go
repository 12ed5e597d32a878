// Package setup is what every provider is built from: one small Config, and the
// strict reading of a provider's own settings. What comes in is the provider's
// part of the configuration, what goes out is a filled struct or every fault at
// once, each with its line. It holds no state.
package setup

import (
	"net/http"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config builds one provider. Only Name is required.
type Config struct {
	// Name is what the configuration calls the provider; errors name it.
	Name string
	// BaseURL replaces the documented address.
	BaseURL string
	// Keys are the names of the configured keys, for settings that go by key.
	Keys []string
	// Batch is how many numbers a call is to carry, 0 for the type's default.
	Batch int
	// Receipts says that what the upstream pushes can be received.
	Receipts bool
	// Settings is the provider's own part of the configuration, as read; nil or
	// a zero node is "nothing set". Its lines end up in the faults.
	Settings *yaml.Node
	// Transport carries the calls; nil is a pooled transport of the provider's
	// own. Tests pass one to see or end its connections.
	Transport http.RoundTripper
	// Clock tells the time that a Retry-After date is measured against; nil is
	// the system's. It is called in parallel.
	Clock func() time.Time
}
