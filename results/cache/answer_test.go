package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/results"
)

// qxtAnswer is an answer as QXT gives them.
func qxtAnswer() Answer {
	return Answer{
		Status: results.StatusOK, Provider: "qxt", AnsweredAt: time.UnixMilli(1795287731213),
		Lookup: &results.Lookup{
			Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes, Ported: results.Yes,
			OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"},
			CurrentCarrier:  results.Carrier{ID: "china_telecom", Name: "电信"},
		},
	}
}

func TestAnswerIsCompact(t *testing.T) {
	t.Parallel()
	c := newCodec()
	a := qxtAnswer()
	b := c.append(nil, &a)
	require.LessOrEqual(t, len(b), 32)
	got, err := c.decode(string(b))
	require.NoError(t, err)
	require.Equal(t, &a, got)
	a.Lookup.TimeZones = []string{"Asia/Shanghai"}
	require.LessOrEqual(t, len(c.append(nil, &a)), 33)
	a.Lookup.MCC, a.Lookup.MNC, a.Lookup.Reachable = "460", "03", results.WordYes
	require.LessOrEqual(t, len(c.append(nil, &a)), 42)
}

// TestWordsNeverMove: the table is part of what lies in Redis.
func TestWordsNeverMove(t *testing.T) {
	t.Parallel()
	words := knownWords()
	require.Less(t, len(words), firstInline-1)
	first := "offline qxt portcheck telnyx nxcloud mobile fixed_line fixed_line_or_mobile toll_free premium_rate shared_cost " +
		"voip personal pager uan voicemail other china_mobile china_unicom china_telecom china_broadnet " +
		"移动 联通 电信 广电 中国移动 中国联通 中国电信 中国广电 China_Mobile China_Unicom China_Telecom China_Broadnet " +
		"CN US HK TW MO GB DE FR IN JP KR SG AU CA BR ES IT MX ID TH VN PH MY RU TR " +
		"Asia/Shanghai Asia/Hong_Kong Asia/Taipei Asia/Macau"
	joined := strings.ReplaceAll(strings.Join(words, "|"), " ", "_")
	require.True(t, strings.HasPrefix(joined, strings.ReplaceAll(first, " ", "|")), joined)
	seen := map[string]bool{}
	for _, w := range words {
		require.False(t, seen[w], w)
		seen[w] = true
	}
}

func TestAnswerRoundTrip(t *testing.T) {
	t.Parallel()
	c := newCodec()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.SampledFrom(append(knownWords(), "")), rapid.StringN(0, 300, 1024))
		tri := rapid.SampledFrom([]results.Tri{results.Unknown, results.No, results.Yes})
		a := Answer{
			Status:     rapid.SampledFrom([]results.Status{results.StatusOK, results.StatusNotFound}).Draw(t, "status"),
			Provider:   word.Draw(t, "provider"),
			AnsweredAt: time.UnixMilli(rapid.Int64Range(0, 1<<47).Draw(t, "at")),
		}
		if rapid.Bool().Draw(t, "lookup") {
			a.Lookup = &results.Lookup{
				Country: word.Draw(t, "country"), Area: word.Draw(t, "area"), LineType: word.Draw(t, "line"),
				Valid: tri.Draw(t, "valid"), Ported: tri.Draw(t, "ported"),
				OriginalCarrier: results.Carrier{ID: word.Draw(t, "id"), Name: word.Draw(t, "name")},
				CurrentCarrier:  results.Carrier{ID: word.Draw(t, "id"), Name: word.Draw(t, "name")},
			}
			if zones := rapid.SliceOfN(word, 0, 5).Draw(t, "zones"); len(zones) > 0 {
				a.Lookup.TimeZones = zones
			}
			if rapid.Bool().Draw(t, "more") {
				drawMore(t, a.Lookup, word, tri)
			}
		}
		got, err := c.decode(string(c.append(nil, &a)))
		require.NoError(t, err)
		require.Equal(t, &a, got)
	})
}

// drawMore draws the facts that few providers know.
func drawMore(t *rapid.T, l *results.Lookup, word *rapid.Generator[string], tri *rapid.Generator[results.Tri]) {
	said := rapid.SampledFrom([]results.Word{"", results.WordYes, results.WordNo, results.WordUnknown})
	at := rapid.Map(rapid.Int64Range(1, 1<<48-1), time.UnixMilli)
	l.Portable, l.FastPortable = tri.Draw(t, "portable"), tri.Draw(t, "fast")
	l.Reachable, l.Roaming, l.Ringing, l.Answered = said.Draw(t, "reach"), said.Draw(t, "roam"), said.Draw(t, "ring"), said.Draw(t, "answer")
	l.NotPortableReason, l.PortedBasis, l.CallResponse = word.Draw(t, "reason"), word.Draw(t, "basis"), word.Draw(t, "call")
	l.MCC, l.MNC = word.Draw(t, "mcc"), word.Draw(t, "mnc")
	if rapid.Bool().Draw(t, "dated") {
		l.PortedAt = at.Draw(t, "ported at")
	}
	if !rapid.Bool().Draw(t, "ordered") {
		return
	}
	l.Porting = &results.Porting{OrderID: word.Draw(t, "order"), OrderStatus: word.Draw(t, "status"), ActivationStatus: word.Draw(t, "activation")}
	if list := rapid.SliceOfN(word, 0, 3).Draw(t, "exceptions"); len(list) > 0 {
		l.Porting.Exceptions = list
	}
	if rapid.Bool().Draw(t, "foc") {
		l.Porting.FOCAt = at.Draw(t, "foc at")
	}
}

func FuzzDecode(f *testing.F) {
	c := newCodec()
	a := qxtAnswer()
	f.Add(string(c.append(nil, &a)))
	a.Lookup.Area, a.Lookup.TimeZones = strings.Repeat("x", 500), []string{"a", "b"}
	f.Add(string(c.append(nil, &a)))
	a.Lookup.PortedAt, a.Lookup.MCC = time.UnixMilli(1795287731213), "460"
	a.Lookup.Porting = &results.Porting{OrderID: "x", FOCAt: time.UnixMilli(1)}
	f.Add(string(c.append(nil, &a)))
	f.Add("")
	f.Add("\x02")
	f.Fuzz(func(t *testing.T, value string) {
		a, err := c.decode(value)
		if err != nil {
			require.ErrorIs(t, err, ErrAnswer)
			return
		}
		again, err := c.decode(string(c.append(nil, a)))
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
