package upstream_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

func e164(n providers.Number) string { return n.E164 }

func asked(n int) []providers.Number {
	numbers := make([]providers.Number, n)
	for i := range numbers {
		numbers[i].E164 = "+" + strconv.Itoa(1000+i)
	}
	return numbers
}

// Whatever order, gaps, repetitions and strangers a reply has: each number has
// the outcome of its own first entry, and every entry is accounted for.
func TestJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := asked(rapid.IntRange(1, 30).Draw(t, "asked"))
		entries := rapid.SliceOf(rapid.IntRange(1000, 1040)).Draw(t, "entries")
		if rapid.Bool().Draw(t, "orderly") {
			entries = append(orderly(len(numbers)), entries...)
		}
		j := upstream.NewJoin(numbers, e164)
		first := map[int]int{}
		extra, duplicates := 0, 0
		for at, id := range entries {
			out := j.Place([]byte("+" + strconv.Itoa(id)))
			_, again := first[id]
			switch {
			case id >= 1000+len(numbers):
				require.Nil(t, out)
				extra++
			case again:
				require.Nil(t, out)
				duplicates++
			default:
				first[id] = at
				*out = providers.Outcome{Kind: providers.Found, Facts: providers.Facts{Area: strconv.Itoa(at)}}
			}
		}
		require.Equal(t, len(numbers)-len(first), j.Left())
		reply := j.Reply()
		require.Len(t, reply.Outcomes, len(numbers))
		require.Equal(t, [2]int{extra, duplicates}, [2]int{reply.Extra, reply.Duplicates})
		for i, out := range reply.Outcomes {
			if at, ok := first[1000+i]; ok {
				require.Equal(t, strconv.Itoa(at), out.Facts.Area)
				continue
			}
			require.Equal(t, providers.Failed, out.Kind)
			require.Equal(t, providers.KindMissing, out.Failure.Kind)
		}
	})
}

func orderly(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = 1000 + i
	}
	return ids
}

func TestJoinRest(t *testing.T) {
	t.Parallel()
	j := upstream.NewJoin(asked(3), e164)
	j.Place([]byte("+1001")).Kind = providers.Found
	j.Rest(providers.Outcome{Kind: providers.Invalid})
	j.Extra(2)
	reply := j.Reply()
	require.Equal(t, 2, reply.Extra)
	kinds := []providers.OutcomeKind{reply.Outcomes[0].Kind, reply.Outcomes[1].Kind, reply.Outcomes[2].Kind}
	require.Equal(t, []providers.OutcomeKind{providers.Invalid, providers.Found, providers.Invalid}, kinds)
}

func BenchmarkJoin(b *testing.B) {
	numbers := asked(1000)
	keys := make([][]byte, len(numbers))
	for i, n := range numbers {
		keys[i] = []byte(n.E164)
	}
	for name, step := range map[string]int{"in order": 1, "out of order": 7} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				j := upstream.NewJoin(numbers, e164)
				for i := range keys {
					j.Place(keys[i*step%len(keys)])
				}
				j.Reply()
			}
		})
	}
}
