package normal_test

import (
	"strings"
	"testing"
	"unicode/utf8"

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

func TestSplitArea(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"广东-深圳": "广东-深圳", "北京-北京": "北京", "北京市-北京市": "北京", "广东省-深圳市": "广东-深圳", "北京": "北京", "上海-": "上海", "-深圳": "深圳",
		"广东省-未知": "广东", "新疆-克孜勒苏-x": "新疆-克孜勒苏-x", "-": "", "": "", "未知": "",
	} {
		require.Equal(t, want, normal.SplitArea(text), text)
	}
}

func TestWord(t *testing.T) {
	t.Parallel()
	require.Equal(t, "移动", normal.Word("移动"))
	require.Equal(t, "a\uFFFD", normal.Word("a\xff"))
	require.LessOrEqual(t, len(normal.Word(strings.Repeat("京", 1000))), 256+2)
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"0": true, "0123456789": true, "": false, "-1": false, "1.0": false, "１": false, "a": false} {
		require.Equal(t, want, normal.Digits(text), text)
	}
}

// Whatever the words, a negative is never read as its opposite.
func FuzzWords(f *testing.F) {
	for _, word := range []string{"未携转", "携转", "YES", "no", "\xff", "中国移动（虚拟）", "省", ""} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		require.NotEqual(t, providers.Yes, normal.Ported("未"+word))
		answer, ok := normal.YesNo(word)
		require.Equal(t, ok, answer != providers.Unknown)
		c := normal.Carrier("CN", word)
		require.Equal(t, c.Name == "", c == providers.Carrier{})
		_, _ = normal.LineType(word)
		_ = normal.Area(word, word)
		area := normal.SplitArea(word)
		require.Equal(t, area == "", normal.SplitArea(area) == "")
		require.True(t, utf8.ValidString(normal.Word(word)))
	})
}
