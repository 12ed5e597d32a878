package normal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
)

func TestPorted(t *testing.T) {
	t.Parallel()
	tests := map[providers.Tri][]string{
		providers.No:           {"未携转", "未转网", "未携号转网", "非携转", "非携号转网", "否", "0", "false", "N", " 未 携转\u3000"},
		providers.Yes:          {"已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "Y", "TRUE", "\uFEFF携 转", "携\u200B转"},
		providers.Undetermined: {"未知", "空号", "查无", "null", "Unknown"},
		providers.Unknown:      {"", " ", "携转中", "并非携转", "2", "3", "未", "x"},
	}
	for want, list := range tests {
		for _, word := range list {
			require.Equal(t, want, normal.Ported(word), word)
		}
	}
}

// The table of docs/providers.md.
func TestJudge(t *testing.T) {
	t.Parallel()
	mobile, telecom := providers.Carrier{ID: normal.ChinaMobile}, providers.Carrier{ID: normal.ChinaTelecom}
	virtual, named := providers.Carrier{ID: normal.Virtual}, providers.Carrier{Name: "铁通"}
	type verdict struct {
		ported providers.Tri
		basis  string
	}
	for _, tt := range []struct {
		stated       providers.Tri
		apart, alike verdict
	}{
		{providers.Yes, verdict{providers.Yes, ""}, verdict{providers.Yes, normal.Inconsistent}},
		{providers.No, verdict{providers.Yes, normal.Inconsistent}, verdict{providers.No, ""}},
		{providers.Undetermined, verdict{providers.Yes, normal.Derived}, verdict{providers.Unknown, ""}},
		{providers.Unknown, verdict{providers.Yes, normal.Derived}, verdict{providers.No, normal.Derived}},
	} {
		judge := func(original, current providers.Carrier) verdict {
			ported, basis := normal.Judge(tt.stated, original, current)
			return verdict{ported, basis}
		}
		require.Equal(t, tt.apart, judge(mobile, telecom), tt)
		require.Equal(t, tt.alike, judge(mobile, mobile), tt)
		stated := verdict{tt.stated, ""}
		if tt.stated == providers.Undetermined {
			stated.ported = providers.Unknown
		}
		for _, other := range []providers.Carrier{virtual, named, {}} {
			require.Equal(t, stated, judge(mobile, other), "no network that is known")
			require.Equal(t, stated, judge(other, telecom))
			require.Equal(t, stated, judge(other, other))
		}
	}
}
