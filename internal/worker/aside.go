package worker

import (
	"github.com/lookupq/lookupq/results"
)

// setAside keeps what one provider said of an item while the route asks another
// for its word.
func (j *job) setAside(item int32, r *results.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.aside == nil {
		j.aside = make(map[int32]results.Result)
	}
	if earlier, ok := j.aside[item]; ok {
		r.Cost = together(earlier.Cost, r.Cost)
	}
	j.aside[item] = *r
}

// withAside is r, in the light of what was set aside: a not_found stands where no
// later provider has an answer, for whatever reason, and what it cost is part of
// the result's cost.
func (j *job) withAside(r results.Result) results.Result {
	j.mu.Lock()
	earlier, ok := j.aside[int32(r.Index)]
	j.mu.Unlock()
	if !ok {
		return r
	}
	cost := together(earlier.Cost, r.Cost)
	switch r.Status {
	case results.StatusOK, results.StatusNotFound, results.StatusInvalid:
	case results.StatusFailed, results.StatusExpired, results.StatusCancelled:
		r = earlier
	}
	r.Cost = cost
	return r
}

// together is what two answers cost. A result has one cost; of two currencies the
// later one stays.
func together(a, b results.Cost) results.Cost {
	var sum results.CostSum
	if sum.Add(a) != nil || sum.Add(b) != nil {
		return b
	}
	switch costs := sum.Costs(); len(costs) {
	case 0:
		return results.Cost{}
	case 1:
		return costs[0]
	default:
		return b
	}
}
