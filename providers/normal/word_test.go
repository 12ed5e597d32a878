package normal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
)

func TestYesNo(t *testing.T) {
	t.Parallel()
	tests := map[providers.Tri][]string{
		providers.Yes:          {"YES", "yes", " Yes ", "Y", "true", "1", "是"},
		providers.No:           {"NO", "no", "N", "False", "0", "否"},
		providers.Undetermined: {"UNKNOWN", "unknown", "未知"},
	}
	for want, words := range tests {
		for _, word := range words {
			got, ok := normal.YesNo(word)
			require.True(t, ok, word)
			require.Equal(t, want, got, word)
		}
	}
	for _, word := range []string{"", " ", "maybe", "2", "null", "yesno"} {
		got, ok := normal.YesNo(word)
		require.False(t, ok, word)
		require.Zero(t, got, word)
	}
}

func TestPorted(t *testing.T) {
	t.Parallel()
	tests := map[providers.Tri][]string{
		providers.No:      {"未携转", "未转网", "未携号转网", "非携转", "非携号转网", "否", "0", "false", "N", " 未 携转\u3000"},
		providers.Yes:     {"已携转", "携转", "已转网", "携号转网", "已携号转网", "是", "1", "true", "Y", "TRUE", "\uFEFF携 转"},
		providers.Unknown: {"未知", "空号", "查无", "", " ", "null"},
	}
	for want, words := range tests {
		for _, word := range words {
			got, ok := normal.Ported(word)
			require.True(t, ok, word)
			require.Equal(t, want, got, word)
		}
	}
	for _, word := range []string{"携转中", "并非携转", "2", "3", "未", "x"} {
		got, ok := normal.Ported(word)
		require.False(t, ok, word)
		require.Zero(t, got, word)
	}
}

func TestArea(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ province, city, want string }{
		{"广东", "深圳", "广东-深圳"},
		{"广东省", "深圳市", "广东-深圳"},
		{" 北京 ", "北京", "北京"},
		{"北京市", "北京市", "北京"},
		{"内蒙古自治区", "呼和浩特", "内蒙古-呼和浩特"},
		{"广西壮族自治区", "南宁市", "广西-南宁"},
		{"新疆维吾尔自治区", "乌鲁木齐市", "新疆-乌鲁木齐"},
		{"香港特别行政区", "", "香港"},
		{"湖北", "沙市", "湖北-沙市"},
		{"湖北", "恩施州", "湖北-恩施州"},
		{"", "深圳", "深圳"},
		{"未知", "", ""},
		{"", "", ""},
		{"广东", "其他", "广东"},
	} {
		require.Equal(t, tt.want, normal.Area(tt.province, tt.city), tt)
	}
}

// Whatever the words, a negative is never read as its opposite.
func FuzzWords(f *testing.F) {
	for _, word := range []string{"未携转", "携转", "YES", "no", "\xff", "中国移动（虚拟）", "省", ""} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		ported, known := normal.Ported(word)
		if !known {
			require.Equal(t, providers.Unknown, ported)
		}
		if negated, ok := normal.Ported("未" + word); ok {
			require.NotEqual(t, providers.Yes, negated)
		}
		answer, ok := normal.YesNo(word)
		require.Equal(t, ok, answer != providers.Unknown)
		op := normal.OperatorOf("CN", word)
		require.Equal(t, op.Name == "", op == normal.Operator{})
		_, _ = normal.LineType(word)
		_ = normal.Area(word, word)
	})
}
