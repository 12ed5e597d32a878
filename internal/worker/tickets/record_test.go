package tickets

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/providers"
)

func goodRecord() record {
	return record{
		Version: 1, Owner: "w1", Key: "main", Partition: "CN", CreatedAt: time.Unix(1700000000, 0).UTC(),
		Token: "00000000000000000000000000000000000000000000000000000000000000ff", Groups: []string{"a", "b"}, GroupOf: []uint16{0, 1},
		Numbers: []uint64{8613800138000, 8613900139000},
	}
}

func goodStatus() status {
	return status{
		Version: 1, State: "submitted", Owner: "w1",
		Final: []final{{Index: 1, Kind: "invalid", Failure: &failure{Kind: "rejected", Code: "114"}}},
	}
}

func encode(tb testing.TB, r any) []byte {
	tb.Helper()
	b, err := json.Marshal(r)
	require.NoError(tb, err)
	return b
}

func TestDecodeRecord(t *testing.T) {
	t.Parallel()
	good := goodRecord()
	b := encode(t, good)
	require.Equal(t, `{"version":1,`, string(b[:13]), "the version comes first")
	got, err := decodeRecord(b)
	require.NoError(t, err)
	require.Equal(t, good, got)
	for name, change := range map[string]func(*record){
		"no numbers":     func(r *record) { r.Numbers, r.GroupOf = nil, nil },
		"no groups":      func(r *record) { r.Groups = nil },
		"unknown group":  func(r *record) { r.GroupOf[1] = 2 },
		"too few groups": func(r *record) { r.GroupOf = r.GroupOf[:1] },
		"token":          func(r *record) { r.Token = "ff" },
		"no owner":       func(r *record) { r.Owner = "" },
		"no time":        func(r *record) { r.CreatedAt = time.Time{} },
	} {
		r := goodRecord()
		change(&r)
		_, err := decodeRecord(encode(t, r))
		require.ErrorIs(t, err, errRecord, name)
	}
	for _, text := range []string{`{"version":2}`, `{}`, `{"version":7,"numbers":"packed"}`} {
		_, err := decodeRecord([]byte(text))
		require.ErrorIs(t, err, errVersion, text)
	}
	for _, text := range []string{``, `[]`, `{"version":1,"numbers":["8613800138000"]}`} {
		_, err := decodeRecord([]byte(text))
		require.ErrorIs(t, err, errRecord, text)
		require.NotContains(t, err.Error(), "86138")
	}
}

func TestDecodeStatus(t *testing.T) {
	t.Parallel()
	good := goodStatus()
	got, err := decodeStatus(encode(t, good), 2)
	require.NoError(t, err)
	require.Equal(t, good, got)
	for name, change := range map[string]func(*status){
		"state":          func(s *status) { s.State = "x" },
		"no state":       func(s *status) { s.State = "" },
		"no owner":       func(s *status) { s.Owner = "" },
		"final":          func(s *status) { s.Final[0].Index = 2 },
		"negative final": func(s *status) { s.Final[0].Index = -1 },
	} {
		s := goodStatus()
		change(&s)
		_, err := decodeStatus(encode(t, s), 2)
		require.ErrorIs(t, err, errRecord, name)
	}
	_, err = decodeStatus([]byte(`{"version":2,"state":7}`), 2)
	require.ErrorIs(t, err, errVersion)
}

func TestFinalOutcomes(t *testing.T) {
	t.Parallel()
	for k := range providers.Kinds {
		fail := &providers.Failure{Kind: providers.Kind(k), Code: "1", Message: "words", Tries: 2}
		for _, kind := range []providers.OutcomeKind{providers.Failed, providers.Invalid, providers.NotFound} {
			want := providers.Outcome{Kind: kind, Failure: fail}
			got, ok := newFinal(3, want).outcome()
			require.True(t, ok)
			require.Equal(t, want, got)
		}
	}
	_, ok := newFinal(0, providers.Outcome{Kind: providers.Found}).outcome()
	require.False(t, ok, "facts are not kept")
	require.Equal(t, providers.KindUndocumented, parseKind("of a newer program"))
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"+1", "+8613800138000", "+999999999999999999"} {
		got, ok := parseNumber(n)
		require.True(t, ok, n)
		require.Equal(t, n, e164(got))
	}
	for _, n := range []string{"", "+", "86138", "+0861", "+86 138", "+-1", "++1", "+1234567890123456789", "+86x"} {
		_, ok := parseNumber(n)
		require.False(t, ok, n)
	}
}

// TestIndex: whatever comes and goes, the index finds the newest of what is there
// and keeps nothing of what is gone.
func TestIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		there := map[string]*ticket{}
		groups := []string{"a", "b"}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := rapid.StringMatching(`[A-Z]{2}`).Draw(t, "id")
				if there[id] != nil {
					t.Skip("taken")
				}
				r := goodRecord()
				r.Numbers = rapid.SliceOfNDistinct(rapid.Uint64Range(1, 6), 1, 4, rapid.ID[uint64]).Draw(t, "numbers")
				r.GroupOf = rapid.SliceOfN(rapid.Uint16Range(0, 1), len(r.Numbers), len(r.Numbers)).Draw(t, "groups")
				there[id] = newTicket(id, &r)
				there[id].token[0], there[id].token[1] = id[0], id[1]
				x.add(there[id])
			},
			"answer": func(t *rapid.T) {
				for _, tick := range there {
					tick.answered.set(rapid.IntRange(0, len(tick.numbers)-1).Draw(t, "i"))
					x.recount(tick)
				}
			},
			"remove": func(*rapid.T) {
				for id, tick := range there {
					x.remove(tick)
					delete(there, id)
					return
				}
			},
			"": func(t *rapid.T) {
				outstanding, keys := 0, map[numberKey]bool{}
				for _, tick := range there {
					outstanding += tick.unanswered()
					require.Same(t, tick, x.tokens[tick.token])
				}
				for n := range uint64(7) {
					for _, g := range groups {
						k := numberKey{n, scopeOf(g, "CN")}
						var want *ticket
						for _, tick := range there {
							if i := tick.find(n); i >= 0 && tick.scope(i) == k.scope && (want == nil || tick.newerThan(want)) {
								want = tick
							}
						}
						got := x.newest(k, func(*ticket) bool { return true })
						require.Same(t, want, got)
						keys[k] = want != nil
						require.Equal(t, want != nil, x.byNumber[k] != nil)
					}
				}
				require.Equal(t, outstanding, x.outstanding)
				require.Len(t, x.tickets, len(there))
				require.Len(t, x.tokens, len(there))
			},
		})
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(encode(f, goodRecord()), encode(f, goodStatus()))
	for _, s := range []string{`{}`, `{"version":1}`, `{"version":2,"numbers":"x"}`, `[1`, `{"version":1,"numbers":[1e400]}`, `null`} {
		f.Add([]byte(s), encode(f, goodStatus()))
		f.Add(encode(f, goodRecord()), []byte(s))
	}
	f.Fuzz(func(t *testing.T, body, state []byte) {
		r, err := decodeRecord(body)
		if err != nil {
			require.True(t, errors.Is(err, errRecord) || errors.Is(err, errVersion))
			return
		}
		again, err := decodeRecord(encode(t, r))
		require.NoError(t, err)
		require.Equal(t, r.Numbers, again.Numbers)
		x := newIndex()
		tick := newTicket("id", &r)
		x.add(tick)
		if s, err := decodeStatus(state, len(r.Numbers)); err == nil {
			tick.learn(&s)
			x.recount(tick)
			require.Equal(t, s.State, tick.status("").State)
		} else {
			require.True(t, errors.Is(err, errRecord) || errors.Is(err, errVersion))
		}
		x.remove(tick)
		require.Empty(t, x.byNumber)
		require.Empty(t, x.older)
		require.Zero(t, x.outstanding)
	})
}
