package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/batch"
)

// step is one provider of a route, with a packer for each set of keys: a key may
// be reserved to tenants, and what shares a batch has to share its keys.
type step struct {
	name string
	all  []*provider          // at least one
	open *provider            // of tenants without a key of their own; nil if every key is reserved
	of   map[string]*provider // of the others, by tenant
	desk *desk                // of all of them; nil for a provider that answers at once
}

// deliver brings late outcomes to whichever packer waits for them.
func (s *step) deliver(ticket string, outcomes []batch.Late) {
	for _, prov := range s.all {
		prov.loop.Deliver(ticket, outcomes)
	}
}

// forTenant is the packer of a tenant's numbers, nil if it may use no key.
func (s *step) forTenant(name string) *provider {
	if prov, ok := s.of[name]; ok {
		return prov
	}
	return s.open
}

// sample is any of the packers, for what all have in common.
func (s *step) sample() *provider { return s.all[0] }

// noKey says why a tenant that no key is for gets no answer.
func (s *step) noKey() *providers.Failure {
	return &providers.Failure{Kind: providers.KindForbidden, Message: "every key of " + s.name + " is reserved to other tenants"}
}

// keySet is the keys that some tenants share.
type keySet struct {
	tenants []string // with a key of their own; none is everybody else
	keys    []Key
}

// keySets divides a provider's keys by who may use them: tenants named by a key
// have it besides those that name nobody. The first set is everybody else's; it
// is left out if it would be empty.
func keySets(all []Key) []keySet {
	var names []string
	for _, k := range all {
		names = append(names, k.Tenants...)
	}
	slices.Sort(names)
	var sets []keySet
	if open := usableBy(all, ""); len(open) > 0 || len(all) == 0 {
		sets = append(sets, keySet{keys: open})
	}
	for _, tenant := range slices.Compact(names) {
		keys := usableBy(all, tenant)
		i := slices.IndexFunc(sets, func(s keySet) bool { return len(s.tenants) > 0 && slices.EqualFunc(s.keys, keys, sameKey) })
		if i < 0 {
			i, sets = len(sets), append(sets, keySet{keys: keys})
		}
		sets[i].tenants = append(sets[i].tenants, tenant)
	}
	return sets
}

func sameKey(a, b Key) bool { return a.Name == b.Name }

func usableBy(all []Key, tenant string) []Key {
	return slices.DeleteFunc(slices.Clone(all), func(k Key) bool {
		return len(k.Tenants) > 0 && !slices.Contains(k.Tenants, tenant)
	})
}

// name tells the sets of a provider's keys apart, as a token.
func (s *keySet) name(provider string) string {
	if len(s.tenants) == 0 {
		return provider
	}
	const most = 50 // a token has 64 characters
	sum := sha256.Sum256([]byte(strings.Join(s.tenants, ",")))
	return provider[:min(len(provider), most)] + "-" + hex.EncodeToString(sum[:6])
}

// waiting is what all packers have.
func (s *step) waiting(one func(*provider) int) int {
	n := 0
	for _, prov := range s.all {
		n += one(prov)
	}
	return n
}

// free is how many items the packers would have too few of, where their keys are
// the least busy. waiting tells what a packer has.
func (s *step) free(waiting func(*provider) int) int {
	most := 0
	for i, prov := range s.all {
		if room := roundsAhead*prov.share()*prov.cfg.Batch - waiting(prov); i == 0 || room > most {
			most = room
		}
	}
	return most
}
