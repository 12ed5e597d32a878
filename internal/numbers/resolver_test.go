package numbers

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newResolver(tb testing.TB) *Resolver {
	tb.Helper()
	r, err := NewResolver()
	require.NoError(tb, err)
	return r
}

func TestResolve(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	tests := []struct{ text, region, e164 string }{
		{"13972565391", "CN", "+8613972565391"},
		{"+8613972565391", "CN", "+8613972565391"},
		{"+86 139 7256 5391", "", "+8613972565391"},
		{"8613972565391", "CN", "+8613972565391"},
		{"008613972565391", "CN", "+8613972565391"},
		{"008613972565391", "US", "+8613972565391"}, // 00 means '+' everywhere
		{"011 86 139 7256 5391", "US", "+8613972565391"},
		{"139-7256-5391", "CN", "+8613972565391"},
		{"１３９７２５６５３９１", "CN", "+8613972565391"},
		{"013972565391", "CN", "+8613972565391"},
		{"010-12345678", "CN", "+861012345678"},
		{"400-800-8820", "CN", "+864008008820"},
		{"+1 415 555 2671", "CN", "+14155552671"},
		{"(415) 555-2671", "US", "+14155552671"},
		{"1-415-555-2671", "CA", "+14155552671"},
		{"1-800-FLOWERS", "US", "+18003569377"},
		{"+44 (0)20 7946 0018", "CN", "+442079460018"},
		{"+39 (0)6 1234 5678", "", "+390612345678"}, // Italy keeps the zero
		{"+34 (0)612 345 678", "", "+34612345678"},  // Spain never had one
		{"tel:+49-30-123456", "", "+4930123456"},
		{"0412 345 678", "AU", "+61412345678"},
		{"8 (809) 123-45-54", "RU", "+78091234554"},
		{"11 15-2345-6789", "AR", "+5491123456789"},
		{"+800 1234 5678", "", "+80012345678"},
		{"0044 20 7946 0018", "AU", "+442079460018"},
		{"0011 44 20 7946 0018", "AU", "+442079460018"},
		{"+683 4002", "", "+6834002"},
		{"+49 0 030 123456", "", "+4930123456"},
	}
	for _, tt := range tests {
		n, why := r.Resolve(tt.text, tt.region)
		require.Equal(t, OK, why, tt.text)
		require.Equal(t, tt.e164, n.E164, tt.text)
		require.Equal(t, tt.e164, "+"+n.CountryCode+n.National, tt.text)
	}
}

func TestResolveRegion(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	for text, want := range map[string]string{
		"+8613972565391": "CN", "+14155552671": "", "+80012345678": "001", "+393331234567": "",
		"+85291234567": "HK",
	} {
		n, why := r.Resolve(text, "")
		require.Equal(t, OK, why)
		require.Equal(t, want, n.Region, text)
	}
	require.True(t, r.KnownRegion("CN"))
	require.False(t, r.KnownRegion("cn"))
	require.False(t, r.KnownRegion("001"))
	require.False(t, r.KnownRegion(""))
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	tests := []struct {
		text, region string
		want         Problem
	}{
		{"13972565391", "", NoCountry},
		{"13972565391", "XX", NoCountry},
		{"13972565391", "cn", NoCountry},
		{"+999 123 456", "CN", UnknownCountry},
		{"12345", "CN", NoAreaCode},
		{"+8612345", "", NoAreaCode},
		{"555-0100", "US", NoAreaCode},
		{"1234", "CN", TooShort},
		{"12", "CN", TooShort},
		{"139725653911234", "CN", TooLong},
		{"9999999999999999999999999999999999999999", "CN", TooLong},
		{"+86139725653911", "CN", OK}, // 12 digits are possible in China
		{"+861397256539112", "CN", TooLong},
		{"000000000", "CN", Zeros},
		{"1.38E+10", "CN", Scientific},
		{"无", "CN", NoDigits},
		{"", "CN", Empty},
	}
	for _, tt := range tests {
		n, why := r.Resolve(tt.text, tt.region)
		require.Equal(t, tt.want, why, "%s in %s", tt.text, tt.region)
		if why != OK {
			require.Zero(t, n)
		}
	}
}

// TestResolveEveryCountry takes libphonenumber's example numbers as people write
// them and as machines do.
func TestResolveEveryCountry(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	formats := []phonenumbers.PhoneNumberFormat{
		phonenumbers.E164, phonenumbers.INTERNATIONAL, phonenumbers.NATIONAL, phonenumbers.RFC3966,
	}
	cases := 0
	for region := range phonenumbers.GetSupportedRegions() {
		require.True(t, r.KnownRegion(region))
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE} {
			num := phonenumbers.GetExampleNumberForType(region, kind)
			if num == nil || phonenumbers.IsPossibleNumberWithReason(num) != phonenumbers.IS_POSSIBLE {
				continue
			}
			for _, f := range formats {
				text := phonenumbers.Format(num, f)
				// Argentina's national format does not lead back to the number.
				want := phonenumbers.Format(must(phonenumbers.Parse(text, region)), phonenumbers.E164)
				n, why := r.Resolve(text, region)
				require.Equal(t, OK, why, "%s in %s", text, region)
				require.Equal(t, want, n.E164, "%s in %s", text, region)
				cases++
			}
		}
	}
	require.Greater(t, cases, 1900)
}

// sameAsLibrary fails if the tables answer what libphonenumber does not.
func sameAsLibrary(t require.TestingT, r *Resolver, text, region string) (quick bool) {
	var d dial
	if d.read(text) != OK {
		return false
	}
	rl, rest := r.quick(&d, r.region(region))
	if rl == nil {
		return false
	}
	got := newNumber(rl, rest)
	want, err := phonenumbers.Parse(string(d.text()), region)
	require.NoError(t, err, "%s in %s", text, region)
	require.Equal(t, phonenumbers.IS_POSSIBLE, phonenumbers.IsPossibleNumberWithReason(want), "%s in %s", text, region)
	require.Equal(t, phonenumbers.Format(want, phonenumbers.E164), got.E164, "%s in %s", text, region)
	require.Equal(t, strconv.Itoa(int(want.GetCountryCode())), got.CountryCode, "%s in %s", text, region)
	return true
}

func TestQuickIsLibphonenumber(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	var regions []string
	for region := range phonenumbers.GetSupportedRegions() {
		regions = append(regions, region)
	}
	codes := make([]string, 0, 300)
	for _, rl := range r.plan.codes {
		if rl != nil {
			codes = append(codes, rl.code)
		}
	}
	home := rapid.SampledFrom(append([]string{"CN", "CN", "CN", "US", "CA", "GB", "AR", "BR", "MX", "RU", "KZ", ""}, regions...))
	front := rapid.SampledFrom(append([]string{"", "", "", "+", "00", "0", "1", "8", "+86", "86", "0086", "+1", "001", "179", "011"}, codes...))
	quick, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 40 {
			code := ""
			if rapid.Bool().Draw(t, "coded") {
				code = rapid.SampledFrom(codes).Draw(t, "code")
			}
			text := front.Draw(t, "front") + code + rapid.StringMatching(`[0-9]{2,14}`).Draw(t, "digits")
			all++
			if sameAsLibrary(t, r, text, home.Draw(t, "region")) {
				quick++
			}
		}
	})
	t.Logf("%d of %d answered by the tables", quick, all)
	require.Greater(t, quick*10, all, "the tables hardly ever answer: the test proves nothing")
}

// TestQuickCommonForms makes sure that what a busy worker sees takes the tables.
func TestQuickCommonForms(t *testing.T) {
	t.Parallel()
	r := newResolver(t)
	for _, front := range []string{"", "+86", "86", "0086", "+86 ", "(+86)"} {
		for second := '3'; second <= '9'; second++ {
			text := front + "1" + string(second) + "0-0013-8000"
			require.True(t, sameAsLibrary(t, r, text, "CN"), text)
		}
	}
	for _, text := range []string{"4155552671", "(415) 555-2671", "14155552671", "+14155552671", "+442079460018", "+4930123456", "+33612345678", "+919812345678"} {
		require.True(t, sameAsLibrary(t, r, text, "US"), text)
	}
	require.False(t, sameAsLibrary(t, r, "17911001234", "CN"), "a Chinese dialling prefix must go to libphonenumber")
}

func FuzzQuick(f *testing.F) {
	r := newResolver(f)
	for _, s := range []string{"13972565391", "+8613972565391", "0086139", "+14155552671", "8 800 123", "011 86 1", "+39 06 1234", "=1+2", "1.5E+9"} {
		f.Add(s, "CN")
		f.Add(s, "US")
		f.Add(s, "")
	}
	f.Add("00861361399", "CC") // found: national prefixes that libphonenumber strips one at a time
	f.Add("0000010000", "CC")
	f.Fuzz(func(t *testing.T, text, region string) {
		sameAsLibrary(t, r, text, region)
		n, why := r.Resolve(text, region)
		require.Equal(t, why == OK, strings.HasPrefix(n.E164, "+"))
		for i := range len(why) {
			require.False(t, isDigit(why[i]))
		}
		if why != OK {
			return
		}
		again, why := r.Resolve(n.E164, region)
		require.Equal(t, OK, why)
		require.Equal(t, n, again, "an E164 must resolve to itself")
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func BenchmarkResolve(b *testing.B) {
	r := newResolver(b)
	for _, bb := range []struct{ name, text, region string }{
		{"quick/national", "13972565391", "CN"},
		{"quick/e164", "+8613972565391", "CN"},
		{"quick/dashes", "139-7256-5391", "CN"},
		{"quick/00", "008613972565391", "CN"},
		{"quick/nanp", "(415) 555-2671", "US"},
		{"quick/fullwidth", "１３９７２５６５３９１", "CN"},
		{"quick/trunk", "010-12345678", "CN"},
		{"slow/invalid", "139725653911234", "CN"},
		{"refused", "n/a", "CN"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Resolve(bb.text, bb.region)
			}
		})
	}
	b.Run("libphonenumber", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			num, _ := phonenumbers.Parse("13972565391", "CN")
			_ = phonenumbers.IsPossibleNumber(num)
			_ = phonenumbers.Format(num, phonenumbers.E164)
		}
	})
}
