package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// answers is what stands on the results stream.
type answers struct {
	right, missing, twice int
	status                map[results.Status]int
	source                map[results.Source]int
	provider              map[string]int
	// wrong are results that differ from what the provider that they name knows, or
	// that nobody asked for; the first few of them are told.
	wrong int
	told  []error
}

const mostTold = 10

// fault notes a wrong result.
func (a *answers) fault(err error) {
	a.wrong++
	if len(a.told) < mostTold {
		a.told = append(a.told, err)
	}
}

// judge reads every result of every tenant.
func (n *night) judge(ctx context.Context) (*answers, error) {
	a := &answers{status: map[results.Status]int{}, source: map[results.Source]int{}, provider: map[string]int{}}
	reader := results.NewReader(n.stage.js, names.Default())
	for t, who := range tenants() {
		seen := make([]bool, len(n.load.items[t]))
		opt := results.ReadOptions{Tenant: who.name, Campaign: campaign}
		err := reader.Read(ctx, opt, func(p results.StoredPart) error {
			if p.Err != nil {
				return p.Err
			}
			for i := range p.Part.Results {
				n.result(a, t, seen, p.Part.JobID, &p.Part.Results[i])
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("results of %s: %w", who.name, err)
		}
		for _, yes := range seen {
			if !yes {
				a.missing++
			}
		}
	}
	return a, nil
}

// result judges one result of tenant t.
func (n *night) result(a *answers, t int, seen []bool, job string, r *results.Result) {
	j, err := strconv.Atoi(strings.TrimPrefix(job, "job-"))
	at := j*n.load.size + r.Index
	if err != nil || at < 0 || at >= len(seen) || string(r.Ref) != strconv.Itoa(at) {
		a.fault(fmt.Errorf("%s: a result that nobody asked for", job))
		return
	}
	if seen[at] {
		a.twice++
		return
	}
	seen[at] = true
	a.status[r.Status]++
	a.source[r.Source]++
	a.provider[r.Provider]++
	if err := n.check(n.load.items[t][at], r); err != nil {
		a.fault(fmt.Errorf("%s.%d of %s by %s: %w", job, r.Index, tenants()[t].name, r.Provider, err))
		return
	}
	a.right++
}

// check holds a result against what its provider knows of the number.
func (n *night) check(want number, r *results.Result) error {
	if r.Number != want.national() {
		return errors.New("the answer is about another number")
	}
	provider := r.Provider
	if provider == "" {
		return fmt.Errorf("status %s (%v), and no provider", r.Status, r.Error)
	}
	profile, ok := n.stage.profiles[provider]
	if !ok {
		return fmt.Errorf("provider %q, which is none of the route", provider)
	}
	truth := profile.Truth(simulator.Ask{Upstream: simulator.UpstreamQXT}, want.e164())
	return judge.Check(&truth, r)
}
