// Package numbers reads phone numbers as people, CRMs and spreadsheets write
// them. What comes in: text. What goes out: the E.164 form, or one short word
// of why it is none. Nothing here does I/O, starts a goroutine or has to be
// stopped, and no reason ever holds a digit of the number.
//
// Clean is the cheap half, for producers: it finds the digits and refuses text
// that holds none. Resolver is the whole: Clean, then libphonenumber's rule of
// possible numbers, mostly by tables that give the same answer sooner.
package numbers

// Number is one phone number.
type Number struct {
	// E164 is the canonical form with '+'.
	E164 string
	// CountryCode is the calling code ("86"), National the rest of E164.
	CountryCode, National string
	// Region is the ISO 3166-1 region of the calling code, "001" for codes of no
	// country, "" where several regions share the code (+1, +7, +44 and others).
	Region string
}

// Problem says in a few words why text is no usable number; OK is none. It never
// holds the number, so it may be shown, logged and used as a label.
type Problem string

// The problems. The first block is found by Clean, the second by Resolver alone.
const (
	OK         Problem = ""
	Empty      Problem = "empty"
	NoDigits   Problem = "no digits"
	Zeros      Problem = "only zeros"
	Scientific Problem = "scientific notation" // a spreadsheet has cut the digits off
	Formula    Problem = "spreadsheet formula"
	Masked     Problem = "masked digits"
	Several    Problem = "several numbers"
	Unreadable Problem = "unreadable"
	TooShort   Problem = "too short"
	TooLong    Problem = "too long"

	NoCountry      Problem = "no country code and no region"
	UnknownCountry Problem = "unknown country code"
	NoAreaCode     Problem = "no area code"
	WrongLength    Problem = "wrong length"
)

// Mask hides all of a number but its last four digits, for logs. Text with
// fewer than eight digits is hidden completely: four would be most of it.
func Mask(s string) string {
	const shown = 4
	var tail [shown]byte
	digits := 0
	for i := range len(s) {
		if c := s[i]; isDigit(c) {
			copy(tail[:], tail[1:])
			tail[shown-1] = c
			digits++
		}
	}
	if digits < 2*shown {
		return "***"
	}
	return "***" + string(tail[:])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
