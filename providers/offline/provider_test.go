package offline

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func newProvider(tb testing.TB, settings string) *Provider {
	tb.Helper()
	var node yaml.Node
	require.NoError(tb, yaml.Unmarshal([]byte(settings), &node))
	p, err := New(setup.Config{Name: "offline", Settings: &node})
	require.NoError(tb, err)
	return p
}

func number(code, national string) providers.Number {
	return providers.Number{E164: "+" + code + national, CountryCode: code, National: national}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	shanghai := []string{"Asia/Shanghai"}
	tests := map[string]struct {
		code, national string
		want           providers.Facts
	}{
		"CN mobile with an area": {"86", "13800138000", providers.Facts{
			Country: "CN", Area: "Beijing", LineType: providers.LineMobile, Valid: providers.Yes, TimeZones: shanghai,
			OriginalCarrier: providers.Carrier{ID: "china_mobile", Name: "China Mobile"},
		}},
		"CN mobile without area or carrier": {"86", "16212345678", providers.Facts{
			Country: "CN", LineType: providers.LineMobile, Valid: providers.Yes, TimeZones: shanghai,
		}},
		"CN fourth network": {"86", "19212345678", providers.Facts{
			Country: "CN", LineType: providers.LineMobile, Valid: providers.Yes, TimeZones: shanghai,
			OriginalCarrier: providers.Carrier{ID: "china_broadnet", Name: "China Broadnet"},
		}},
		"CN service number": {"86", "10086", providers.Facts{Country: "CN", Valid: providers.No}},
		"CN shared cost":    {"86", "4008008820", providers.Facts{Country: "CN", LineType: providers.LineSharedCost, Valid: providers.Yes}},
		"US": {"1", "4155550123", providers.Facts{
			Country: "US", Area: "San Francisco, CA", LineType: providers.LineFixedOrMobile, Valid: providers.Yes, TimeZones: []string{"America/Los_Angeles"},
		}},
		"US toll free has no place":    {"1", "8005551234", providers.Facts{Country: "US", LineType: providers.LineTollFree, Valid: providers.Yes}},
		"calling code 1 but no number": {"1", "1234567890", providers.Facts{Valid: providers.No}},
		"Italy keeps its zero": {"39", "0236618300", providers.Facts{
			Country: "IT", Area: "Milan", LineType: providers.LineFixed, Valid: providers.Yes, TimeZones: []string{"Europe/Rome"},
		}},
		"a mobile abroad has no area": {"44", "7512345678", providers.Facts{
			Country: "GB", LineType: providers.LineMobile, Valid: providers.Yes,
			TimeZones:       []string{"Europe/Guernsey", "Europe/Isle_of_Man", "Europe/London"},
			OriginalCarrier: providers.Carrier{Name: "O2"},
		}},
		"leading digits tell the region": {"44", "7624123456", providers.Facts{
			Country: "IM", LineType: providers.LineMobile, Valid: providers.Yes,
			TimeZones:       []string{"Europe/Guernsey", "Europe/Isle_of_Man", "Europe/London"},
			OriginalCarrier: providers.Carrier{Name: "Manx Telecom"},
		}},
		"no country": {"800", "12345678", providers.Facts{LineType: providers.LineTollFree, Valid: providers.Yes}},
	}
	p := newProvider(t, "")
	for name, tt := range tests {
		reply := p.Call(t.Context(), providers.Query{Numbers: []providers.Number{number(tt.code, tt.national)}})
		require.Nil(t, reply.Failure, name)
		require.Equal(t, []providers.Outcome{{Kind: providers.Found, Facts: tt.want}}, reply.Outcomes, name)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "language: zh")
	facts := p.lookup(number("86", "13800138000")).Facts
	require.Equal(t, "北京市", facts.Area)
	require.Equal(t, providers.Carrier{ID: "china_mobile", Name: "中国移动"}, facts.OriginalCarrier)
	require.Equal(t, "San Francisco, CA", newProvider(t, "language: sq").lookup(number("1", "4155550123")).Facts.Area, "English where there is none")
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("language: klingon\ncolour: red\n"), &node))
	_, err := New(setup.Config{Settings: &node, BaseURL: "https://x.example"})
	require.ErrorContains(t, err, "settings.language: is none of ar, be")
	require.ErrorContains(t, err, "settings.colour (line 2): is no setting")
	require.ErrorContains(t, err, "base_url")
}

// China's numbers are portable since 2019, whatever the metadata says; so the
// library's "safe" carrier must not find its way into the current one.
func TestNeverACurrentCarrier(t *testing.T) {
	t.Parallel()
	require.False(t, phonenumbers.IsMobileNumberPortableRegion("CN"), "the metadata has learned of portability: change the package comment")
	p := newProvider(t, "")
	for _, n := range sample(200) {
		facts := p.lookup(n).Facts
		require.Zero(t, facts.CurrentCarrier)
		require.Equal(t, providers.Unknown, facts.Ported)
	}
}

// The rules here are the library's, only faster: for any digits of any calling
// code both say the same.
func TestPlansAgreeWithTheLibrary(t *testing.T) {
	t.Parallel()
	plans := loadPlans()
	for _, n := range sample(3000) {
		parsed := parsedOf(t, n)
		region, line := plans[n.CountryCode].find(n.National)
		require.Equal(t, phonenumbers.GetRegionCodeForNumber(parsed), region, n.E164)
		require.Equal(t, phonenumbers.IsValidNumber(parsed), line != lineUnknown, n.E164)
		require.Equal(t, lineOf(phonenumbers.GetNumberType(parsed)), line, n.E164)
	}
}

func lineOf(t phonenumbers.PhoneNumberType) providers.LineType {
	switch t {
	case phonenumbers.FIXED_LINE:
		return providers.LineFixed
	case phonenumbers.MOBILE:
		return providers.LineMobile
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return providers.LineFixedOrMobile
	case phonenumbers.TOLL_FREE:
		return providers.LineTollFree
	case phonenumbers.PREMIUM_RATE:
		return providers.LinePremiumRate
	case phonenumbers.SHARED_COST:
		return providers.LineSharedCost
	case phonenumbers.VOIP:
		return providers.LineVoIP
	case phonenumbers.PERSONAL_NUMBER:
		return providers.LinePersonal
	case phonenumbers.PAGER:
		return providers.LinePager
	case phonenumbers.UAN:
		return providers.LineUAN
	case phonenumbers.VOICEMAIL:
		return providers.LineVoicemail
	case phonenumbers.UNKNOWN:
	}
	return lineUnknown
}

func parsedOf(tb testing.TB, n providers.Number) *phonenumbers.PhoneNumber {
	tb.Helper()
	code, err := strconv.Atoi(n.CountryCode)
	require.NoError(tb, err)
	national, err := strconv.ParseUint(n.National, 10, 64)
	require.NoError(tb, err)
	code32 := int32(code)
	parsed := &phonenumbers.PhoneNumber{CountryCode: &code32, NationalNumber: &national}
	if zeros := len(n.National) - len(strings.TrimLeft(n.National, "0")); zeros > 0 {
		leading, count := true, int32(zeros)
		parsed.ItalianLeadingZero, parsed.NumberOfLeadingZeros = &leading, &count
	}
	return parsed
}

// sample is n numbers of all calling codes: the library's examples with their
// last digits changed, and digits out of the blue. None starts or ends up as 0
// alone, which the library cannot express.
func sample(n int) []providers.Number {
	random := rand.New(rand.NewPCG(1, 2))
	var seeds []providers.Number
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			if ex := phonenumbers.GetExampleNumberForType(region, kind); ex != nil {
				seeds = append(seeds, number(strconv.Itoa(int(ex.GetCountryCode())), phonenumbers.GetNationalSignificantNumber(ex)))
			}
		}
	}
	var codes []string
	for code := range phonenumbers.GetSupportedCallingCodes() {
		codes = append(codes, strconv.Itoa(code))
	}
	out := make([]providers.Number, 0, n)
	for len(out) < n {
		if random.IntN(3) == 0 {
			digits := strconv.FormatUint(random.Uint64N(1e12)+1, 10)
			out = append(out, number(codes[random.IntN(len(codes))], digits))
			continue
		}
		seed := seeds[random.IntN(len(seeds))]
		keep := random.IntN(len(seed.National))
		digits := []byte(seed.National)
		for i := max(keep, 1); i < len(digits); i++ {
			digits[i] = byte('0' + random.IntN(10))
		}
		if strings.Trim(string(digits), "0") != "" {
			out = append(out, number(seed.CountryCode, string(digits)))
		}
	}
	return out
}

// The trick of prefixOf finds what the library finds, less the country's name.
func TestPrefixFactsAgreeWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, n := range sample(1000) {
		prefix := prefixOf(n.E164)
		if prefix == nil {
			continue
		}
		parsed := parsedOf(t, n)
		want, err := phonenumbers.GetCarrierForNumber(parsed, "zh")
		require.NoError(t, err)
		got, err := phonenumbers.GetCarrierForNumber(prefix, "zh")
		require.NoError(t, err)
		require.Equal(t, want, got, n.E164)
		if area, _ := phonenumbers.GetGeocodingForNumber(prefix, "en"); area != "" {
			want, err := phonenumbers.GetGeocodingForNumber(parsed, "en")
			require.NoError(t, err)
			require.Equal(t, want, area, n.E164)
		}
	}
}

func TestStrangeNumbersDoNotPanic(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "")
	for _, n := range []providers.Number{
		{},
		{E164: "+"},
		{E164: "+86", CountryCode: "86"},
		{E164: "x", CountryCode: "1", National: "y"},
		number("39", "0000000000"), number("86", strings.Repeat("9", 40)), number("999", "1"),
	} {
		require.NotPanics(t, func() { p.lookup(n) }, n.E164)
	}
	require.Equal(t, providers.NotFound, p.lookup(number("999", "12345678")).Kind)
}

func TestCallStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	reply := newProvider(t, "").Call(ctx, providers.Query{Numbers: []providers.Number{number("86", "13800138000")}})
	require.Nil(t, reply.Outcomes)
	require.Equal(t, providers.KindUnavailable, reply.Failure.Kind)
}

func BenchmarkLookup(b *testing.B) {
	p := newProvider(b, "")
	mixed := sample(4096)
	for name, numbers := range map[string][]providers.Number{
		"CN": {number("86", "13800138000"), number("86", "18612345678"), number("86", "19912345678")},
		"US": {number("1", "4155550123"), number("1", "2125550123")}, "GB": {number("44", "7512345678")}, "mixed": mixed,
	} {
		b.Run(name, func(b *testing.B) {
			for _, n := range numbers {
				p.lookup(n) // compiles the patterns
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p.lookup(numbers[i%len(numbers)])
				i++
			}
		})
	}
}
