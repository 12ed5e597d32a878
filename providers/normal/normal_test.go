package normal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/normal"
)

func TestOperatorsOfChina(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		normal.ChinaMobile:   {"chinamobile", "移动", "中国移动", " 中国 移动 ", "CMCC", "China Mobile", "ChinaMobile", "china-mobile", "china_mobile", "中国移动通信", "移动通信"},
		normal.ChinaUnicom:   {"联通", "中国联通", "CUCC", "china_union", "China Union", "CHINA UNICOM", "中国联合网络通信"},
		normal.ChinaTelecom:  {"电信", "中国电信", "CTCC", "China Telecom", "中国-电信"},
		normal.ChinaBroadnet: {"广电", "中国广电", "CBN", "CBCC", "China Broadnet", "China Broadcasting Network", "中国广电网络", "中国广播电视网络"},
		"":                   {"和记", "1", "Vodafone", "铁通"},
	}
	for id, names := range tests {
		for _, name := range names {
			c := normal.Carrier("CN", name)
			require.Equal(t, id, c.ID, name)
			require.NotEmpty(t, c.Name, name)
		}
	}
	require.Equal(t, providers.Carrier{ID: normal.ChinaMobile, Name: "移动"}, normal.Carrier("CN", "移动"), "the name stays as given")
}

func TestVirtualOperators(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"虚拟运营商": normal.Virtual, "虚拟": normal.Virtual, "MVNO": normal.Virtual, "阿里通信虚拟": normal.Virtual, "阿里通信": normal.Virtual,
		"移动虚拟": normal.ChinaMobile, "中国联通（虚拟运营商）": normal.ChinaUnicom, "虚拟运营商-电信": normal.ChinaTelecom, "联通转售": normal.ChinaUnicom, "广电 MVNO": normal.ChinaBroadnet, "电信虚商": normal.ChinaTelecom,
		"China Mobile (MVNO)": normal.ChinaMobile,
	}
	for name, id := range tests {
		require.Equal(t, id, normal.Carrier("CN", name).ID, name)
	}
}

func TestUnknownOperatorIsAbsent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "  ", "未知", "other", "Others", "中国"} {
		require.Zero(t, normal.Carrier("CN", name), name)
	}
}

func TestOperatorsElsewhereHaveNoChineseID(t *testing.T) {
	t.Parallel()
	require.Equal(t, providers.Carrier{Name: "China Mobile"}, normal.Carrier("HK", "China Mobile"))
	require.Equal(t, providers.Carrier{Name: "CBN"}, normal.Carrier("US", " CBN "))
}

func TestLineType(t *testing.T) {
	t.Parallel()
	tests := map[string]providers.LineType{
		"mobile": providers.LineMobile, "landline": providers.LineFixed, "toll_free": providers.LineTollFree,
		"Toll-Free": providers.LineTollFree, "shared_cost": providers.LineSharedCost, "fixed line or mobile": providers.LineFixedOrMobile,
		"VOIP": providers.LineVoIP, "others": providers.LineOther, "local": providers.LineFixed, "national": providers.LineOther,
		"fixed": providers.LineFixed, "organisation": providers.LineUAN, "special_private": providers.LineOther,
		"special_restricted": providers.LineOther, "voicemail": providers.LineVoicemail, "手机": providers.LineMobile,
	}
	for word, want := range tests {
		got, ok := normal.LineType(word)
		require.True(t, ok, word)
		require.Equal(t, want, got, word)
	}
	for _, word := range []string{"", "invalid", "7"} {
		_, ok := normal.LineType(word)
		require.False(t, ok, word)
	}
}

func TestCommonSpellingsDoNotAllocate(t *testing.T) {
	var c providers.Carrier
	require.Zero(t, testing.AllocsPerRun(100, func() { c = normal.Carrier("CN", "中国移动") }))
	require.NotZero(t, c)
}
