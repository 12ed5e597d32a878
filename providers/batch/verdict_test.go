package batch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

func TestVerdictTable(t *testing.T) {
	t.Parallel()
	type row struct {
		call, number action
		doubtful     bool
	}
	want := map[providers.Kind]row{
		providers.KindInternal:      {actBlame, actNext, false},
		providers.KindThrottled:     {actPauseKey, actRetry, false},
		providers.KindUnavailable:   {actRetry, actRetry, false},
		providers.KindTimeout:       {actRetry, actRetry, true},
		providers.KindCutOff:        {actRetry, actRetry, true},
		providers.KindGarbled:       {actRetry, actRetry, true},
		providers.KindOversize:      {actRetry, actRetry, true},
		providers.KindUnauthorized:  {actQuarantineKey, actRetry, false},
		providers.KindForbidden:     {actQuarantineKey, actRetry, false},
		providers.KindNoBalance:     {actQuarantineKey, actRetry, false},
		providers.KindTooMany:       {actSplit, actRetry, false},
		providers.KindRefused:       {actBlame, actNext, false},
		providers.KindMisconfigured: {actPauseProvider, actNext, false},
		providers.KindMissing:       {actRetry, actRetry, true},
		providers.KindRetryable:     {actRetry, actRetry, false},
		providers.KindRejected:      {actBlame, actNext, false},
		providers.KindUnsupported:   {actNext, actNext, false},
		providers.KindUndocumented:  {actRetry, actRetry, true},
		providers.KindUnaffordable:  {actNext, actNext, false},
	}
	require.Len(t, want, providers.Kinds, "every kind has a row")
	for k, r := range want {
		require.Equal(t, rule(r), ruleOf(k), k.String())
	}
	require.True(t, ruleOf(providers.Kind(providers.Kinds)).doubtful, "a kind without a row is bounded")
}

func TestWholeFailure(t *testing.T) {
	t.Parallel()
	failed := func(kinds ...providers.Kind) providers.Reply {
		var r providers.Reply
		for _, k := range kinds {
			r.Outcomes = append(r.Outcomes, providers.Outcome{Failure: &providers.Failure{Kind: k}})
		}
		return r
	}
	mixed := failed(providers.KindMissing, providers.KindMissing)
	mixed.Outcomes[1] = providers.Outcome{Kind: providers.NotFound}
	cases := map[string]struct {
		reply providers.Reply
		asked int
		want  string // kind, "" for none
	}{
		"answered":                   {found(3), 3, ""},
		"its own failure":            {failure(providers.KindGarbled), 3, "garbled"},
		"too few outcomes":           {found(2), 3, "garbled"},
		"no outcomes":                {providers.Reply{}, 1, "garbled"},
		"some missing":               {mixed, 2, ""},
		"all missing":                {failed(providers.KindMissing, providers.KindMissing), 2, "missing"},
		"one alone missing":          {failed(providers.KindMissing), 1, ""},
		"one alone accuses the key":  {failed(providers.KindUnauthorized), 1, "unauthorized"},
		"one of many accuses it":     {failed(providers.KindMissing, providers.KindNoBalance), 2, "no_balance"},
		"a rejection is an answer":   {failed(providers.KindMissing, providers.KindRejected), 2, ""},
		"failed without any failure": {providers.Reply{Outcomes: make([]providers.Outcome, 2)}, 2, "undocumented"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := wholeFailure(&c.reply, c.asked)
			if c.want == "" {
				require.Nil(t, f)
				return
			}
			require.NotNil(t, f)
			require.Equal(t, c.want, f.Kind.String())
		})
	}
}

func TestFinalWords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for f := Answer; f <= Dropped; f++ {
		seen[f.String()] = true
	}
	require.Len(t, seen, 6)
	require.Equal(t, "unknown", Final(99).String())
}
