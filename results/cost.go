package results

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrCost says that a cost cannot be summed.
var ErrCost = errors.New("not a cost: want an amount and a currency of 1 to 16 letters")

// CostSum adds costs exactly, each currency on its own. The zero value is empty.
// Not for parallel use.
type CostSum struct {
	sums []currencySum // few: a linear search is the fastest
	// last is the cost added last, and what it was read as: nearly always the next
	// one is the same.
	last   Cost
	parsed Decimal
}

type currencySum struct {
	currency string
	amount   Decimal
}

// Add adds one cost; the zero Cost adds nothing. ErrCost and ErrDecimal leave
// the sum as it was.
func (s *CostSum) Add(c Cost) error {
	if c == (Cost{}) {
		return nil
	}
	if c != s.last {
		d, err := ParseDecimal(c.Amount)
		if err != nil {
			return fmt.Errorf("cost of %d characters: %w", len(c.Amount), err)
		}
		if !validCurrency(c.Currency) {
			return ErrCost
		}
		s.last, s.parsed = c, d
	}
	for i := range s.sums {
		if s.sums[i].currency == c.Currency {
			s.sums[i].amount = s.sums[i].amount.Add(s.parsed)
			return nil
		}
	}
	s.sums = append(s.sums, currencySum{currency: c.Currency, amount: s.parsed})
	slices.SortFunc(s.sums, func(a, b currencySum) int { return cmp.Compare(a.currency, b.currency) })
	return nil
}

// Costs are the sums, by currency in order of the alphabet.
func (s *CostSum) Costs() []Cost {
	var out []Cost
	for _, c := range s.sums {
		out = append(out, Cost{Amount: c.amount.String(), Currency: c.currency})
	}
	return out
}

// appendHeader appends "CNY=0.9960,USD=0.0100".
func (s *CostSum) appendHeader(dst []byte) []byte {
	for i, c := range s.sums {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.currency...)
		dst = append(dst, '=')
		dst = c.amount.Append(dst)
	}
	return dst
}

// parseCosts reads what appendHeader writes; empty is none.
func parseCosts(s string) ([]Cost, error) {
	if s == "" {
		return nil, nil
	}
	var out []Cost
	for field := range strings.SplitSeq(s, ",") {
		currency, amount, _ := strings.Cut(field, "=")
		if !validCurrency(currency) {
			return nil, ErrCost
		}
		if _, err := ParseDecimal(amount); err != nil {
			return nil, err
		}
		out = append(out, Cost{Amount: amount, Currency: currency})
	}
	return out, nil
}

func validCurrency(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
