package numbers

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestCleanAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		// As CRMs export them.
		{"15387789328", "15387789328"},
		{"+8613121809679", "+8613121809679"},
		{"008613070174681", "008613070174681"},
		{"8618266638423", "8618266638423"},
		{"166-5972-9792", "16659729792"},
		{"137 1718 5133", "13717185133"},
		{"010-12345678", "01012345678"},
		{"(025) 123351", "025123351"},
		{"(0-612) 34937", "061234937"},
		{"8 (71234) 5 66 83", "871234566" + "83"},
		{"20.15.32", "201532"},
		{"+54 9 11 2345-6827", "+5491123456827"},
		{"tel:+972-1-800-123-427", "+9721800123427"},
		{"0664/1234567", "06641234567"},
		{"0664 / 12 34 567", "06641234567"},
		// As keyboards and clipboards write them.
		{"１３８００１３８０００", "13800138000"},
		{"＋８６　１３８－００１３－８０００", "+8613800138000"},
		{"٠٥٠١٢٣٤٥٦٧", "0501234567"},
		{"۰۹۱۲۳۴۵۶۷۸۹", "09123456789"},
		{"𝟙𝟛𝟠𝟘𝟘𝟙𝟛𝟠𝟘𝟘𝟘", "13800138000"},
		{"138\u00a00013\u202f8000", "13800138000"},
		{"\u202a+86 138 0013 8000\u202c", "+8613800138000"},
		{"\ufeff13800138000", "13800138000"},
		{"138\u20110013\u20138000", "13800138000"},
		{" \t13800138000\r\n", "13800138000"},
		{"138\n0013\n8000", "13800138000"},
		{"(+86)13800138000", "+8613800138000"},
		{"++86 13800138000", "+8613800138000"},
		{"+44 (0)20 7946 0018", "+4402079460018"},
		{"（010）12345678", "01012345678"},
		// As spreadsheets do.
		{"'13800138000", "13800138000"},
		{`="13800138000"`, "13800138000"},
		{`"13800138000"`, "13800138000"},
		{"=+8613800138000", "+8613800138000"},
		{"13800138000.0", "13800138000"},
		{"13800138000.00", "13800138000"},
		// With words.
		{"Tel: 13800138000", "13800138000"},
		{"手机：13800138000", "13800138000"},
		{"13800138000 (mobile)", "13800138000"},
		{"13800138000（微信同号）", "13800138000"},
		{"• 13800138000", "13800138000"},
		{"13800138000?", "13800138000"},
		// With an extension, which nobody can look up.
		{"+1 415 555 2671 ext. 22", "+14155552671"},
		{"+1 415 555 2671 x22", "+14155552671"},
		{"(415) 555-2671 #22", "4155552671"},
		{"+1 415 555 2671;ext=22", "+14155552671"},
		{"+7 495 123-45-67 доб. 12", "+74951234567"},
		{"400-800-8820转5", "4008008820"},
		{"010-12345678 分机 801", "01012345678"},
		{"13800138000,,5", "13800138000"},
		// In letters.
		{"1-800-FLOWERS", "18003569377"},
		{"+1 800 GO FEDEX", "+18004633339"},
		{"1300 FLOWER", "1300356937"},
	}
	for _, tt := range tests {
		got, why := Clean(tt.text)
		require.Equal(t, OK, why, tt.text)
		require.Equal(t, tt.want, got, tt.text)
	}
}

func TestCleanRefuses(t *testing.T) {
	t.Parallel()
	tests := map[Problem][]string{
		Empty:      {"", " ", "\t\r\n", "\u00a0"},
		NoDigits:   {"-", "+", "()", "n/a", "unknown", "call the office", "无", "手机号", "#N/A", "NULL", "x"},
		Zeros:      {"000000000", "0000", "+00 000 00"},
		Scientific: {"1.38E+10", "1,38E+10", "1.38001E10", "138e8", " 1.38E+10 "},
		Formula:    {`=HYPERLINK("x")`, `=HYPERLINK("tel:+8613800138000","call")`, "=A1", "=-B2+13800138000"},
		Masked:     {"138****8000", "1380013****", "138xxxx8000", "138XXXX8000", "1380013xxxx", "138••••8000", "****8000", "***", "1380013800x"},
		Several: {
			"+1 555 0100 ext. 22 or +1 555 0101", "13800138000,13900139000", "13800138000/13900139000",
			"13800138000;13900139000", "13800138000、13900139000", "13800138000 或 13900139000",
			"13800138000\n13900139000", "+8613800138000+8613900139000", "13800138000 张三 13900139000",
		},
		Unreadable: {
			"138OO138000", "1380013800O", "l3800138000", "O2079460018", "138a0138000", "Tel1: 13800138000",
			"20:15:32", "1=2=3456", "192.168.0.1:8080", "13800138000 room 12", "138\xff0013\xff8000", "13,800,138,000",
		},
		TooShort: {"1", "12", "+1", "123", "1 2 3", "12 apples", "x12"},
		TooLong:  {"9999999999999999999999999999999999999999", "１２３４５６７８９０１２３４５６７８９０１２３４５", "tel:" + strings.Repeat("-", 250) + "13800138000"},
	}
	for want, texts := range tests {
		for _, text := range texts {
			got, why := Clean(text)
			require.Equal(t, want, why, "%q", text)
			require.Empty(t, got, "%q", text)
		}
	}
}

func TestDigitValueKnowsEveryScript(t *testing.T) {
	t.Parallel()
	scripts := 0
	check := func(lo, hi rune) {
		for r := lo - 1; r <= hi+1; r++ {
			v, ok := digitValue(r)
			require.Equal(t, unicode.IsDigit(r), ok, "%U", r)
			if ok && r >= lo && r <= hi {
				require.Equal(t, byte((r-lo)%10), v, "%U", r)
			}
		}
		scripts += int(hi-lo+1) / 10
	}
	for _, r := range unicode.Nd.R16 {
		check(rune(r.Lo), rune(r.Hi))
	}
	for _, r := range unicode.Nd.R32 {
		check(rune(r.Lo), rune(r.Hi))
	}
	require.Greater(t, scripts, 60)
}

func TestMask(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"13972565391": "***5391", "+86 139-7256-53 91": "***5391", "12345678": "***5678",
		"1234567": "***", "1234": "***", "": "***", "n/a": "***", "１３９７２５６５３９１": "***",
	} {
		require.Equal(t, want, Mask(text), text)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{
		"13800138000", "+86 138", "1.38E+10", `="1"`, "1-800-FLOWERS", "138****8000", "+44 (0)20", "１３８", "x12#3",
		"12/34", "13800138000.0", "\xff1", "доб. 1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, why := Clean(text)
		if why != OK {
			require.Empty(t, got)
			require.False(t, strings.ContainsFunc(string(why), unicode.IsDigit))
			return
		}
		digits := strings.TrimPrefix(got, "+")
		require.GreaterOrEqual(t, len(digits), minDigits)
		require.LessOrEqual(t, len(digits), maxDigits)
		require.Empty(t, strings.Trim(digits, "0123456789"))
		again, why := Clean(got)
		require.Equal(t, OK, why)
		require.Equal(t, got, again)
	})
}

func BenchmarkClean(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"plain", "13972565391"},
		{"dashes", "139-7256-5391"},
		{"fullwidth", "１３９７２５６５３９１"},
		{"words", "Tel: 13800138000 (mobile)"},
		{"refused", "call the office"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Clean(bb.text)
			}
		})
	}
}
