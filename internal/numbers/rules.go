package numbers

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// rules is what decides, without a regular expression, that libphonenumber
// would take a number's digits as they stand. Where rules cannot be sure they
// say so, and libphonenumber is asked.
type rules struct {
	code   string // calling code
	region string // the calling code's only region, or ""
	main   *rules // of the calling code's main region; may be these
	// possible has a bit for each possible length of a national number, local
	// for each length that lacks an area code; longest is the highest possible.
	possible, local uint32
	longest         int
	// idd and trunk tell for the first three digits whether the region's
	// dialling prefix, or its national prefix, might match them.
	idd, trunk *prefixes
	// trunkDigit is the national prefix where it is one digit ("0") and nothing
	// longer that starts with it, else 0; used tells what national numbers may
	// start with.
	trunkDigit byte
	used       *prefixes
	// idd00 says that the dialling prefix 00 matches and nothing longer does.
	idd00 bool
}

func (rl *rules) isPossible(length int) bool { return rl.possible&(1<<length) != 0 }

// isFinal reports that national is certainly a possible number which nobody
// would shorten.
func (rl *rules) isFinal(national []byte) bool {
	return len(national) >= minDigits && rl.isPossible(len(national)) && !rl.trunk.has(national)
}

// strip drops the national prefix from digits, at least four, as libphonenumber
// does; sure is false where only libphonenumber knows. A prefix digit that no
// national number starts with is always dropped if a possible length is left.
func (rl *rules) strip(digits []byte) (rest []byte, sure bool) {
	switch {
	case !rl.trunk.has(digits):
		return digits, true
	case digits[0] == rl.trunkDigit && !rl.used.has(digits) && rl.isPossible(len(digits)-1):
		return digits[1:], true
	}
	return nil, false
}

// plan holds the rules of every region and calling code. It never changes after
// newPlan.
type plan struct {
	regions map[[2]byte]*rules
	codes   [1000]*rules // by calling code; the main region's rules
}

// newPlan derives the rules from libphonenumber's own metadata.
func newPlan() (*plan, error) {
	meta, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil, fmt.Errorf("read the phone number metadata: %w", err)
	}
	p := &plan{regions: make(map[[2]byte]*rules)}
	cache := make(map[string]*prefixes)
	for _, m := range meta.GetMetadata() {
		r, err := newRules(m, cache)
		if err != nil {
			return nil, fmt.Errorf("phone number metadata of %s: %w", m.GetId(), err)
		}
		code, id := int(m.GetCountryCode()), m.GetId()
		if len(id) == 2 {
			p.regions[[2]byte{id[0], id[1]}] = r
		}
		if phonenumbers.GetRegionCodeForCountryCode(code) == id {
			p.codes[code] = r
		}
	}
	for id, r := range p.regions {
		code, _ := strconv.Atoi(r.code)
		if r.main = p.codes[code]; r.main == nil {
			return nil, fmt.Errorf("phone number metadata: no main region for that of %s", id[:])
		}
	}
	return p, nil
}

func newRules(m *phonenumbers.PhoneMetadata, cache map[string]*prefixes) (*rules, error) {
	code, idd := int(m.GetCountryCode()), m.GetInternationalPrefix()
	r := &rules{
		code:  strconv.Itoa(code),
		idd00: idd == "00" || strings.HasPrefix(idd, "00|"),
	}
	if regions := phonenumbers.GetRegionCodesForCountryCode(code); len(regions) == 1 {
		r.region = regions[0]
	}
	for _, n := range m.GetGeneralDesc().GetPossibleLength() {
		r.possible |= 1 << n
		r.longest = max(r.longest, int(n))
	}
	for _, n := range m.GetGeneralDesc().GetPossibleLengthLocalOnly() {
		r.local |= 1 << n
	}
	var err error
	if r.idd, err = newPrefixes(idd, cache); err != nil {
		return nil, err
	}
	if r.used, err = newPrefixes(m.GetGeneralDesc().GetNationalNumberPattern(), cache); err != nil {
		return nil, err
	}
	trunk := m.GetNationalPrefixForParsing()
	if r.trunk, err = newPrefixes(trunk, cache); err != nil {
		return nil, err
	}
	r.trunkDigit, err = soleDigit(trunk, cache)
	return r, err
}

// soleDigit returns the digit of a pattern such as "0" or "(1\d\d\d)|0", if none of
// the other alternatives starts with it.
func soleDigit(pattern string, cache map[string]*prefixes) (byte, error) {
	others, digit := "", pattern
	if i := strings.LastIndexByte(pattern, '|'); i >= 0 {
		others, digit = pattern[:i], pattern[i+1:]
	}
	if len(digit) != 1 || !isDigit(digit[0]) {
		return 0, nil
	}
	set, err := newPrefixes(others, cache)
	if err != nil {
		return 0, err
	}
	for i := range 100 {
		if set.has([]byte{digit[0], '0' + byte(i/10), '0' + byte(i%10)}) {
			return 0, nil
		}
	}
	return digit[0], nil
}

// prefixes is a set of three-digit beginnings.
type prefixes [1000/64 + 1]uint64

// has reports whether digits, at least three, begin with one of the set.
func (p *prefixes) has(digits []byte) bool {
	i := int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
	return p[i/64]&(1<<(i%64)) != 0
}

// newPrefixes finds the beginnings that pattern might match when anchored at
// the front: those after which its automaton has matched or is still alive.
// Assertions count as fulfilled, so the set may be too large and never too
// small. An empty pattern is none and matches nothing.
func newPrefixes(pattern string, cache map[string]*prefixes) (*prefixes, error) {
	if known := cache[pattern]; known != nil {
		return known, nil
	}
	set := new(prefixes)
	if pattern != "" {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return nil, err
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			return nil, err
		}
		a := automaton{prog: prog, set: set}
		a.walk(a.closure(nil, uint32(prog.Start)), 0, 0)
	}
	cache[pattern] = set
	return set, nil
}

// automaton runs a compiled pattern over all beginnings.
type automaton struct {
	prog *syntax.Prog
	set  *prefixes
}

// walk extends the beginning at, of depth digits, that leads to the instructions alive.
func (a *automaton) walk(alive []uint32, at, depth int) {
	const digits = 3
	if len(alive) == 0 {
		return
	}
	if depth == digits || a.matched(alive) {
		for range pow10(digits - depth) {
			a.set[at/64] |= 1 << (at % 64)
			at++
		}
		return
	}
	for d := range 10 {
		var next []uint32
		for _, pc := range alive {
			if in := &a.prog.Inst[pc]; in.MatchRune(rune('0' + d)) {
				next = a.closure(next, in.Out)
			}
		}
		a.walk(next, at+d*pow10(digits-depth-1), depth+1)
	}
}

func (a *automaton) matched(alive []uint32) bool {
	for _, pc := range alive {
		if a.prog.Inst[pc].Op == syntax.InstMatch {
			return true
		}
	}
	return false
}

// closure adds to set all instructions that pc leads to without reading a rune.
func (a *automaton) closure(set []uint32, pc uint32) []uint32 {
	in := &a.prog.Inst[pc]
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.closure(a.closure(set, in.Out), in.Arg)
	case syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstNop:
		return a.closure(set, in.Out)
	case syntax.InstFail:
		return set
	case syntax.InstMatch, syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
	}
	if slices.Contains(set, pc) {
		return set
	}
	return append(set, pc)
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}
