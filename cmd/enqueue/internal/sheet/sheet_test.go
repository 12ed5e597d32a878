package sheet

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"":                      "",
		"plain":                 "plain",
		"+8613800138000":        "+8613800138000",
		"-1.5":                  "-1.5",
		"+1-2-3":                "'+1-2-3",
		"+1 555 0100":           "'+1 555 0100",
		"-":                     "'-",
		"+":                     "'+",
		"=1+1":                  "'=1+1",
		"=cmd|' /C calc'!A0":    "'=cmd|' /C calc'!A0",
		"@SUM(1,1)":             "'@SUM(1,1)",
		"\t=1+1":                "'\t=1+1",
		"\r=1+1":                "'\r=1+1",
		"＝1+1":                  "'＝1+1",
		"2026-11-21":            "2026-11-21",
		"a=1":                   "a=1",
		"+1.2.3":                "'+1.2.3",
		"'already":              "'already",
		"\xff=1":                "\xff=1",
		"+86138\xef\xbc\x90000": "'+86138\xef\xbc\x90000",
	} {
		require.Equal(t, want, Guard(cell), "%q", cell)
	}
}

// Whatever the cell, what a spreadsheet sees first is no formula sign, or the
// cell is a plain number.
func FuzzGuard(f *testing.F) {
	f.Add("=1")
	f.Add("+1")
	f.Fuzz(func(t *testing.T, s string) {
		g := Guard(s)
		require.True(t, g == s || g == "'"+s)
		if strings.ContainsAny(g[:min(len(g), 1)], "=+-@\t\r") {
			require.Empty(t, strings.Trim(g[1:], "0123456789."), "%q", g)
		}
	})
}
