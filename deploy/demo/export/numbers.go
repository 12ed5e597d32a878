package main

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// share is a country and how many rows it gets.
type share struct {
	code string
	rows int
}

// quota gives every country some rows and the large markets more of them.
func quota() []share {
	weight := map[string]int{
		"CN": 28, "US": 24, "IN": 20, "BR": 14, "DE": 12, "GB": 12, "FR": 10, "JP": 10, "ID": 10, "MX": 10, "NG": 8,
		"RU": 8, "TR": 8, "IT": 8, "ES": 8, "VN": 8, "PH": 8, "PL": 6, "NL": 6, "ZA": 6, "EG": 6, "AU": 6, "CA": 6, "KR": 6,
	}
	codes := slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions()))
	// Ascension and Tristan da Cunha have numbers but no ISO 3166-1 code of their own.
	codes = slices.DeleteFunc(codes, func(code string) bool { return code == "AC" || code == "TA" })
	total := 0
	for _, code := range codes {
		total += max(1, weight[code])
	}
	all := make([]share, 0, len(codes))
	for _, code := range codes {
		all = append(all, share{code, max(1, rows*(1000-35)/1000*max(1, weight[code])/total)})
	}
	return all
}

// someNumbers varies a country's example numbers until it has the rows asked for,
// or the plan gives no more.
func someNumbers(rnd *rand.Rand, s share) []*phonenumbers.PhoneNumber {
	// Twice mobile and once each of what a CRM also holds.
	kinds := []phonenumbers.PhoneNumberType{
		phonenumbers.MOBILE, phonenumbers.MOBILE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.FIXED_LINE,
		phonenumbers.TOLL_FREE, phonenumbers.VOIP, phonenumbers.SHARED_COST, phonenumbers.UAN, phonenumbers.PREMIUM_RATE,
	}
	seen := map[string]bool{}
	var all []*phonenumbers.PhoneNumber
	for tries := 0; len(all) < s.rows && tries < 40*s.rows; tries++ {
		kind := kinds[min(rnd.IntN(len(kinds)), rnd.IntN(len(kinds)))] // the first ones more often
		n := vary(rnd, s.code, phonenumbers.GetExampleNumberForType(s.code, kind))
		if n == nil {
			continue
		}
		if e164 := phonenumbers.Format(n, phonenumbers.E164); !seen[e164] {
			seen[e164] = true
			all = append(all, n)
		}
	}
	return all
}

// vary replaces the last digits of an example number; nil if what comes out is no
// valid number of the country.
func vary(rnd *rand.Rand, region string, example *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	if example == nil {
		return nil
	}
	digits := []byte(phonenumbers.GetNationalSignificantNumber(example))
	for i := min(len(digits)-1, 1+rnd.IntN(5)); i < len(digits); i++ {
		digits[i] = byte('0' + rnd.IntN(10))
	}
	prefix := phonenumbers.Format(example, phonenumbers.E164)
	prefix = prefix[:len(prefix)-len(digits)]
	n, err := phonenumbers.Parse(prefix+string(digits), "")
	if err != nil || !phonenumbers.IsValidNumberForRegion(n, region) ||
		phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE { // some can be dialled locally only
		return nil
	}
	return n
}
