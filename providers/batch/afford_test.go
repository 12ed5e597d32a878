package batch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// ofTenant is items of a tenant; its waiters are numbered from first on.
func ofTenant(tenant int, change func(*Item[int])) func(*Item[int]) {
	return func(it *Item[int]) {
		it.Waiter += 1000 * tenant
		if change != nil {
			change(it)
		}
	}
}

// sameTenant tells the purses of ofTenant apart.
func sameTenant(a, b int) bool { return a/1000 == b/1000 }

// newTill is a core that asks for money.
func newTill(t *testing.T) *desk {
	t.Helper()
	return newDesk(t, func(c *coreConfig[int]) { c.samePurse = sameTenant })
}

// refuse takes the units of a tenant out of b, as Loop.afford does.
func (d *desk) refuse(b *packed[int], tenant int, why Refusal) {
	d.t.Helper()
	units := b.units
	b.units, b.numbers = nil, nil
	for i, u := range units {
		if b.payers[i]/1000 == tenant {
			b.refused = append(b.refused, refused[int]{u, why})
			continue
		}
		b.units, b.numbers = append(b.units, u), append(b.numbers, u.number)
	}
}

func spent() Refusal {
	return Refusal{Failure: &providers.Failure{Kind: providers.KindUnaffordable}}
}

func TestRefusedWithNobodyElse(t *testing.T) {
	t.Parallel()
	d := newTill(t)
	d.add(items(1, 2, ofTenant(1, nil))...)
	d.add(items(3, 1, ofTenant(1, func(it *Item[int]) { it.Last = true }))...)
	d.add(items(4, 2, ofTenant(2, nil))...)
	d.now = d.now.Add(time.Second)
	b := d.cut(10)
	d.refuse(b, 1, spent())
	require.Len(t, b.units, 2)
	d.answer(b)
	require.Equal(t, NextProvider, d.ends[1001].Verdict)
	require.Equal(t, GaveUp, d.ends[1003].Verdict)
	require.Equal(t, providers.KindUnaffordable, d.ends[1003].Failure.Kind)
	require.Zero(t, d.ends[1003].Attempts, "it was not asked")
	require.Equal(t, Answer, d.ends[2004].Verdict)
}

func TestAnotherPaysForARefusedNumber(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]Refusal{"ends": spent(), "waits": {Until: start().Add(time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTill(t)
			d.add(items(1, 1, ofTenant(1, nil))...)
			d.add(items(1, 1, ofTenant(2, nil))...)
			d.add(items(1, 1, ofTenant(1, func(it *Item[int]) { it.Waiter += 5 }))...)
			d.now = d.now.Add(time.Second)
			b := d.cut(10)
			d.add(items(1, 1, ofTenant(3, nil))...) // while it is refused
			d.refuse(b, 1, why)
			d.resolve(b, providers.Reply{})
			n, _ := d.core.want(d.core.at(d.now))
			require.Equal(t, 1, n, "at once")
			b = d.cut(10)
			require.Equal(t, []int{2001}, b.payers)
			d.answer(b)
			require.True(t, d.ends[2001].First)
			require.True(t, d.ends[3001].Shared)
			if why.Failure != nil {
				require.Equal(t, NextProvider, d.ends[1001].Verdict)
				require.Equal(t, NextProvider, d.ends[1006].Verdict)
				return
			}
			require.True(t, d.ends[1001].Shared, "it cost its tenant nothing")
			require.True(t, d.ends[1006].Shared)
		})
	}
}

func TestWaitsForMoney(t *testing.T) {
	t.Parallel()
	d := newTill(t)
	d.add(items(1, 3, ofTenant(1, nil))...)
	d.now = d.now.Add(time.Second)
	until := d.now.Add(time.Minute)
	b := d.cut(10)
	d.refuse(b, 1, Refusal{Until: until})
	d.resolve(b, providers.Reply{})
	n, next := d.core.want(d.core.at(d.now))
	require.Zero(t, n)
	require.Equal(t, d.core.at(until), next)
	require.Equal(t, 3, d.core.broke[names.Normal])

	d.add(items(1, 1, ofTenant(1, func(it *Item[int]) { it.Waiter += 5 }))...)
	n, _ = d.core.want(d.core.at(d.now))
	require.Zero(t, n, "the same purse wakes nothing")
	d.add(items(2, 1, ofTenant(2, nil))...)
	b = d.cut(10)
	require.Equal(t, []int{2002}, b.payers, "who has money does not wait with the others")
	d.answer(b)

	d.now = until
	require.Len(t, d.cut(10).units, 2)
	require.Empty(t, d.core.broke[names.Normal])
}

func TestReconsider(t *testing.T) {
	t.Parallel()
	d := newTill(t)
	d.add(items(1, 3, ofTenant(1, nil))...)
	d.now = d.now.Add(time.Second)
	b := d.cut(10)
	d.refuse(b, 1, Refusal{Until: d.now.Add(24 * time.Hour)})
	d.resolve(b, providers.Reply{})
	d.core.reconsider()
	b = d.cut(10)
	require.Len(t, b.units, 3)
	d.answer(b)
	require.Equal(t, 1, d.ends[1001].Attempts)
}

func TestRefusedProbeLetsAnotherProbe(t *testing.T) {
	t.Parallel()
	d := newTill(t)
	d.add(items(1, 1, ofTenant(1, nil))...)
	d.now = d.now.Add(time.Second)
	d.upstream = func([]string) providers.Reply {
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnavailable}}
	}
	d.answer(d.cut(10))
	require.True(t, d.core.parts["p"].health.open)
	d.upstream = nil
	d.now = d.now.Add(time.Minute)
	b := d.cut(10)
	require.True(t, b.probe)
	d.refuse(b, 1, Refusal{Until: d.now.Add(time.Hour)})
	d.resolve(b, providers.Reply{})
	d.add(items(2, 1, ofTenant(2, nil))...)
	b = d.cut(10)
	require.True(t, b.probe)
	d.answer(b)
	require.False(t, d.core.parts["p"].health.open)
}

func TestLoopAsksForMoney(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var settled []int
		mode := spent()
		b := newBed(t, func(_ *bed, c *Config[int]) {
			c.SamePurse = sameTenant
			c.Afford = func(_ context.Context, key string, payers []int) Purchase {
				require.Equal(t, "main", key)
				p := Purchase{Refused: make([]Refusal, len(payers)), Settle: func(r *providers.Reply) {
					settled = append(settled, len(r.Outcomes))
				}}
				for i, w := range payers {
					if w/1000 == 1 {
						p.Refused[i] = mode
					}
				}
				return p
			}
		}).begin()
		b.loop.Add(items(1, 10, ofTenant(1, nil)))
		b.loop.Add(items(11, 20, ofTenant(2, nil)))
		pass(time.Second)
		require.Equal(t, 10, b.count(NextProvider))
		require.Equal(t, 20, b.count(Answer))
		require.Equal(t, []int{20}, settled)
		require.Equal(t, []int{20}, b.provider.sizes())
		require.Contains(t, b.permits.seen().refunds, 10)

		mode = Refusal{Until: time.Now().Add(time.Hour)}
		b.loop.Add(items(101, 10, ofTenant(1, nil)))
		pass(time.Second)
		require.Equal(t, []int{20}, b.provider.sizes(), "no call without a number")
		require.Zero(t, b.permits.seen().inUse)
		require.Zero(t, b.loop.Waiting(names.Bulk), "what waits for money is no work")
		mode = Refusal{}
		b.loop.Reconsider()
		pass(time.Second)
		require.Equal(t, []int{20, 10}, b.provider.sizes())
		require.Equal(t, 30, b.count(Answer))
		b.end()
	})
}
