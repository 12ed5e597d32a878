// Package offline answers from the numbering plans and prefix lists of Google's
// libphonenumber, which are part of the program: country, validity, line type,
// area, time zones and who a number was issued by. What comes in is up to 1000
// numbers, what goes out an outcome for each. It calls nobody, costs nothing,
// needs no key, is safe in parallel and needs no stopping; it uses the caller's
// processor. The lists are loaded by the first call that needs them.
//
// A prefix says who a number was issued by and never who serves it now, not even
// where the metadata calls a country's numbers not portable: it does so for
// China, which has had portability since 2019. So there is no current carrier
// here, and nothing is said of porting.
//
//	settings:
//	  language: en    # of areas and carrier names, where there are any in it; else they are English
package offline

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

const (
	maxBatch = 1000
	// checkEvery is how many numbers are done between two looks at the context:
	// less than a millisecond's work.
	checkEvery = 64
	// partition is the one there is: any numbers may share a batch.
	partition = "any"
)

// Provider answers from the lists. It implements providers.Provider.
type Provider struct {
	language string
	// plans loads the numbering plans, by calling code, once.
	plans func() map[string]plan
}

var _ providers.Provider = (*Provider)(nil)

type settings struct {
	Language string `yaml:"language"`
}

// New builds the provider; the error has every fault of the configuration.
func New(cfg setup.Config) (*Provider, error) {
	s := settings{Language: "en"}
	errs := []error{setup.Join("settings", setup.Decode(cfg.Settings, &s))}
	if !slices.Contains(languages(), s.Language) {
		errs = append(errs, setup.FieldError{
			Path: "settings.language", Problem: "is none of " + strings.Join(languages(), ", "),
		})
	}
	if cfg.BaseURL != "" {
		errs = append(errs, setup.FieldError{Path: "base_url", Problem: "has no meaning here, nobody is called; remove it"})
	}
	if err := setup.Join("", errs...); err != nil {
		return nil, err
	}
	return &Provider{language: s.Language, plans: sync.OnceValue(loadPlans)}, nil
}

// Limits are what the processor can do: a call takes some milliseconds of it.
func (p *Provider) Limits() providers.Limits {
	return providers.Limits{
		MaxBatch: maxBatch, DefaultBatch: maxBatch, Timeout: 10 * time.Second,
		Concurrency: runtime.GOMAXPROCS(0), Keyless: true,
	}
}

// Partition accepts every number.
func (p *Provider) Partition(providers.Number, providers.Options) (string, *providers.Failure) {
	return partition, nil
}

// Call looks up the numbers of q one after the other. It stops within a
// millisecond when ctx ends.
func (p *Provider) Call(ctx context.Context, q providers.Query) providers.Reply {
	outcomes := make([]providers.Outcome, len(q.Numbers))
	for i, n := range q.Numbers {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return providers.Reply{Failure: &providers.Failure{
				Kind: providers.KindUnavailable, Message: "stopped before the end, nothing was sent",
			}}
		}
		outcomes[i] = p.lookup(n)
	}
	return providers.Reply{Outcomes: outcomes}
}

func (p *Provider) lookup(n providers.Number) providers.Outcome {
	plan := p.plans()[n.CountryCode]
	if plan == nil {
		return providers.Outcome{Kind: providers.NotFound} // a calling code that nobody has
	}
	region, line := plan.find(n.National)
	valid := line != lineUnknown
	out := providers.Outcome{Kind: providers.Found, Facts: providers.Facts{Valid: providers.TriOf(valid)}}
	if region != worldRegion {
		out.Facts.Country = region
	}
	if valid {
		out.Facts.LineType = line
		p.addPrefixFacts(n, &out.Facts)
	}
	return out
}
