package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// A number whose ticket was never handed in is asked again at once and for free,
// but not for ever.
func TestInnocentNumbersOfTickets(t *testing.T) {
	t.Parallel()
	innocent := func(tries int) providers.Outcome {
		return providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable, Innocent: true, Tries: tries}}
	}
	for name, c := range map[string]struct{ tries, free, calls int }{
		"never handed in": {0, 7, 15},
		"never arrived":   {2, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, nil)
			d.upstream = func(numbers []string) providers.Reply { return taken(len(numbers), "t") }
			d.add(items(1, 3, nil)...)
			d.run(time.Second)
			for i := 1; len(d.ends) == 0; i++ {
				require.Len(t, d.calls, i)
				b := d.core.tickets["t"]
				failed := innocent(c.tries)
				u := b.head
				d.late("t", late(1, failed), late(2, failed), late(3, failed))
				if i <= c.free {
					require.Zero(t, u.burned, "no attempt is used up")
					d.run(0)
					require.Len(t, d.calls, i+1, "asked again at once, together")
				}
				d.run(time.Minute)
			}
			require.Len(t, d.calls, c.calls)
			require.Equal(t, NextProvider, d.ends[1].Verdict)
		})
	}
}

// Who waited for somebody else's ticket loses nothing by it, and pays the next call.
func TestInnocentWaitersOfTickets(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(c *coreConfig[int]) { c.retry.Attempts = 2 })
	d.add(again(1, 1, ticketed("t", true)))
	d.late("t", late(1, providers.Outcome{Failure: &providers.Failure{Kind: providers.KindRetryable, Innocent: true}}))
	d.run(time.Second)
	require.Equal(t, Answer, d.ends[1].Verdict)
	require.True(t, d.ends[1].First)
	require.False(t, d.ends[1].Shared)
}
