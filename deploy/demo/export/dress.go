package main

import (
	"math/rand/v2"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// dress writes a number the way one of many hands would. The country column is
// there when the text needs it, and mostly when it does not.
func dress(rnd *rand.Rand, n *phonenumbers.PhoneNumber, region string) contact {
	c := contact{country: region}
	national := phonenumbers.Format(n, phonenumbers.NATIONAL)
	international := phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	switch p := rnd.IntN(100); {
	case p < 26:
		c.phone = national
	case p < 34:
		c.phone = onlyDigits(national)
	case p < 50:
		c.phone = international
	case p < 70:
		c.phone = e164
	case p < 77:
		c.phone = phonenumbers.Format(n, phonenumbers.RFC3966)
	case p < 84:
		c.phone = "00" + international[1:]
	case p < 89:
		c.phone = fullWidth(international)
	default:
		c.phone = messy(rnd, international, e164)
	}
	if !readable(c.phone, region, n) {
		c.phone = e164
	}
	if strings.HasPrefix(c.phone, "+") && rnd.IntN(8) == 0 {
		c.country = ""
	}
	return c
}

// messy is what spreadsheets and forms leave behind.
func messy(rnd *rand.Rand, international, e164 string) string {
	switch rnd.IntN(8) {
	case 0:
		return `="` + e164 + `"` // a spreadsheet's way to keep the plus
	case 1:
		return "'" + e164
	case 2:
		return "\u00a0" + strings.ReplaceAll(international, " ", "\u00a0") + "\u00a0"
	case 3:
		return strings.ReplaceAll(international, " ", ".")
	case 4:
		return "Tel.: " + international
	case 5:
		return "\u202a" + e164 + "\u202c" // copied from an address book
	case 6:
		return strings.ReplaceAll(international, "-", "\u2013")
	default:
		return e164 + " (mobile)"
	}
}

// rubbish is a cell that holds no usable number.
func rubbish(rnd *rand.Rand) string {
	all := []string{"", "", "n/a", "-", "unknown", "#REF!", "1.38E+10", "0", "000000", "call reception", "see notes", "12", "???", "+", "tbd", "please ask", "999"}
	return all[rnd.IntN(len(all))]
}

// readable reports whether libphonenumber finds the same number in the text, the
// wrapping of spreadsheets and forms aside. What fails (00 is no international
// prefix everywhere) is written in the international form.
func readable(text, region string, want *phonenumbers.PhoneNumber) bool {
	text = strings.Trim(text, "='\"\u202a\u202c")
	got, err := phonenumbers.Parse(text, region)
	return err == nil && phonenumbers.Format(got, phonenumbers.E164) == phonenumbers.Format(want, phonenumbers.E164)
}

// onlyDigits drops the grouping of a number.
func onlyDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
}

// fullWidth writes digits as East Asian input methods do.
func fullWidth(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= '0' && c <= '9':
			return c - '0' + '０'
		case c == '+':
			return '＋'
		case c == '-':
			return '－'
		}
		return c
	}, s)
}
