// Package catalog lists the provider types that a configuration may name. What
// comes in is a type's name and its configuration, what goes out a provider. It
// holds no state.
package catalog

import (
	"fmt"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/nxcloud"
	"github.com/lookupq/lookupq/providers/offline"
	"github.com/lookupq/lookupq/providers/portcheck"
	"github.com/lookupq/lookupq/providers/qxt"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/telnyx"
)

// Config is what a provider is built from.
type Config = setup.Config

// Entry is one provider type.
type Entry struct {
	// Type is its name in the configuration, and the folder of its code.
	Type string
	// Summary says in a line what it answers, for lists and documentation.
	Summary string
	// New builds a provider; the error has every mistake of the configuration, as
	// setup.FieldErrors.
	New func(Config) (providers.Provider, error)
}

// All lists every type, in the order in which documentation shows them. A new
// type is one line here.
func All() []Entry {
	return []Entry{
		{"offline", "any number, from libphonenumber's metadata: country, validity, line type, area, time zones, original carrier; no account, no cost", of(offline.New)},
		{"qxt", "mainland China mobiles, from QXT (企讯通): ported or not, original and current carrier, area; up to 1000 a call", of(qxt.New)},
		{"portcheck", "one number a call, from any JSON-over-HTTP porting check, by configuration: ported or not, original and current carrier", of(portcheck.New)},
		{"telnyx", "any number, from Telnyx: portable to Telnyx or not, carrier and porting history, the number's porting order; by options.operation", of(telnyx.New)},
		{"nxcloud", "any number, from NXCloud (牛信云), which answers later: validity, ringing or reachability by options.check_level; up to 5000 a call", of(nxcloud.New)},
	}
}

// Find is the entry of a type; the error lists what there is.
func Find(typ string) (Entry, error) {
	var names []string
	for _, e := range All() {
		if e.Type == typ {
			return e, nil
		}
		names = append(names, e.Type)
	}
	return Entry{}, fmt.Errorf("there is no provider type %q; use one of %s", typ, strings.Join(names, ", "))
}

// of lets a constructor return its own type, and nil with an error.
func of[P providers.Provider](build func(Config) (P, error)) func(Config) (providers.Provider, error) {
	return func(cfg Config) (providers.Provider, error) {
		p, err := build(cfg)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}
