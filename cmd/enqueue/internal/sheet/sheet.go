// Package sheet makes CSV cells that no spreadsheet takes for a formula. Text
// comes in, text goes out.
package sheet

import "strings"

// Guard puts an apostrophe before a cell that a spreadsheet would run as a
// formula: one that begins with = + - @, their full-width forms, a tab or a
// carriage return. A number with its sign (+8613800138000, -1.5) is no formula
// and stays as it is, so that programs can read the column.
func Guard(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", firstRune(cell)) || isNumber(cell) {
		return cell
	}
	return "'" + cell
}

func firstRune(s string) rune {
	for _, c := range s {
		return c
	}
	return 0
}

// isNumber reports whether s is a sign, digits and at most one point.
func isNumber(s string) bool {
	digits, points := 0, 0
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case i == 0 && (c == '+' || c == '-'):
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}
