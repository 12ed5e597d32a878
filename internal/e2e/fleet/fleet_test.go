package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/jobs"
)

// TestLoad: what the load says of itself is what its jobs hold.
func TestLoad(t *testing.T) {
	t.Parallel()
	const size = 50
	l := newLoad(20_000, size)
	require.Equal(t, 20_000, l.numbers())
	paid, again := 0, 0
	asked := map[string]int{} // by how many tenants
	for tenant := range tenants() {
		own := map[string]bool{}
		for job := range l.jobs() {
			decoded, err := jobs.Decode(l.body(tenant, job))
			require.NoError(t, err)
			require.Equal(t, jobID(job), decoded.ID)
			for _, item := range decoded.Items {
				if own[item.Number] {
					again++
				}
				own[item.Number] = true
			}
		}
		paid += len(own)
		for n := range own {
			asked[n]++
		}
	}
	require.Equal(t, l.paid, paid)
	require.Equal(t, l.sameJob+l.sameTenant, again)
	shared := 0
	for text, times := range asked {
		n, ok := l.parseNumber(text)
		require.True(t, ok)
		require.Equal(t, times, l.allowed(n))
		shared += times - 1
	}
	require.Equal(t, l.elsewhere, shared)
	require.InEpsilon(t, l.numbers()/oneIn, again+shared, 0.02)
	_, ok := l.parseNumber("13710000001")
	require.False(t, ok)
}

const oneIn = 10

func TestRepeated(t *testing.T) {
	t.Parallel()
	l := &load{items: make([][]number, 2), owner: []uint8{0, 0, nobody, 1, 0}}
	at := time.Unix(1_700_000_000, 0)
	one := func(worker, from, to int, f fate, numbers ...number) call {
		return call{worker: worker, start: at.Add(time.Duration(from) * time.Second), end: at.Add(time.Duration(to) * time.Second), numbers: numbers, fate: f}
	}
	calls := []call{
		one(0, 0, 2, paid, 0, 1, 2, 3),
		one(1, 1, 3, paid, 0, 2), // 0 is on the wire with worker 0; 2 is two tenants'
		one(1, 1, 3, refused, 1, 3),
		one(0, 1, 3, paid, 3), // on the wire with the same
		one(0, 5, 6, paid, 1), // long answered
		one(1, 7, 8, paid, 4),
	}
	require.Equal(t, repeats{paid: 3, atOnce: 1, alone: 1, laterSame: 1, late: 3 * time.Second}, l.repeated(calls))
}

func TestDuring(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	s := func(from, to int) stretch {
		return stretch{at.Add(time.Duration(from) * time.Second), at.Add(time.Duration(to) * time.Second)}
	}
	for name, c := range map[string]struct {
		holes []stretch
		want  int
	}{
		"none":        {nil, 10},
		"inside":      {[]stretch{s(2, 4)}, 8},
		"overlapping": {[]stretch{s(3, 5), s(2, 4)}, 7},
		"nested":      {[]stretch{s(2, 8), s(3, 4)}, 4},
		"at the ends": {[]stretch{s(-5, 1), s(9, 20)}, 8},
		"outside":     {[]stretch{s(-5, -1), s(11, 20)}, 10},
		"all of it":   {[]stretch{s(-5, 20)}, 0},
	} {
		require.Equal(t, time.Duration(c.want)*time.Second, during(s(0, 10), c.holes...), name)
	}
}

// TestPlan: configurations and profiles can be read, and the revoked key is in use.
func TestPlan(t *testing.T) {
	t.Parallel()
	c := &fleetCmd{Numbers: 20_000, Job: 50, Batch: 100, Latency: time.Second, Outage: 15 * time.Second}
	p := c.newPlan(newLoad(c.Numbers, c.Job))
	for _, provider := range []string{primary, backup} {
		profile, err := p.profile(provider)
		require.NoError(t, err)
		require.NotEmpty(t, profile.QXT.Keys)
		text, err := json.Marshal(profile.QXT.Keys)
		require.NoError(t, err)
		require.Equal(t, provider == primary, profile.QXT.Outages != nil, string(text))
	}
}
