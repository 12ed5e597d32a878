package results

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// ErrDecimal says that a text is no decimal number.
var ErrDecimal = errors.New(`not a decimal amount: want digits with at most one point, like "0.0020"`)

const (
	maxDigits = 64
	// maxSmall is the longest text whose digits always fit an int64.
	maxSmall = 18
)

// Decimal is an exact decimal number: unscaled * 10^-scale. The zero value is 0.
// It is a value: Add returns a new one. Small numbers (all real costs) take no
// allocation; a sum that outgrows int64 goes on as a big.Int.
type Decimal struct {
	small int64
	large *big.Int // instead of small if not nil; never changed once set
	scale int
}

// ParseDecimal reads "12", "-0.50"; no exponent, no spaces. The number of
// decimals is kept: "0.9960" prints as it was.
func ParseDecimal(s string) (Decimal, error) {
	digits := strings.TrimPrefix(s, "-")
	whole, frac, point := strings.Cut(digits, ".")
	if whole == "" || point && frac == "" || len(digits) > maxDigits || !allDigits(whole) || !allDigits(frac) {
		return Decimal{}, ErrDecimal
	}
	d := Decimal{scale: len(frac)}
	if len(whole)+len(frac) > maxSmall {
		d.large, _ = new(big.Int).SetString(whole+frac, 10)
		if len(digits) < len(s) {
			d.large.Neg(d.large)
		}
		return d, nil
	}
	for _, part := range [2]string{whole, frac} {
		for i := range len(part) {
			d.small = 10*d.small + int64(part[i]-'0')
		}
	}
	if len(digits) < len(s) {
		d.small = -d.small
	}
	return d, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Add returns d + e with the decimals of the one that has more.
func (d Decimal) Add(e Decimal) Decimal {
	if d.scale < e.scale {
		d, e = e, d
	}
	if d.large == nil && e.large == nil {
		if v, ok := shift(e.small, d.scale-e.scale); ok {
			if sum := d.small + v; (sum > d.small) == (v > 0) {
				return Decimal{small: sum, scale: d.scale}
			}
		}
	}
	factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.scale-e.scale)), nil)
	return Decimal{large: factor.Mul(factor, e.unscaled()).Add(factor, d.unscaled()), scale: d.scale}
}

// shift returns v * 10^n, false if it does not fit.
func shift(v int64, n int) (int64, bool) {
	for range n {
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, false
		}
		v *= 10
	}
	return v, true
}

func (d Decimal) unscaled() *big.Int {
	if d.large != nil {
		return d.large
	}
	return big.NewInt(d.small)
}

// String returns the number as ParseDecimal reads it.
func (d Decimal) String() string { return string(d.Append(nil)) }

// Append appends String to dst.
func (d Decimal) Append(dst []byte) []byte {
	start := len(dst)
	if d.large != nil {
		dst = d.large.Append(dst, 10)
	} else {
		dst = strconv.AppendInt(dst, d.small, 10)
	}
	if d.scale == 0 {
		return dst
	}
	if dst[start] == '-' {
		start++
	}
	// A point needs a digit before it: pad to scale+1 digits.
	if pad := d.scale + 1 - (len(dst) - start); pad > 0 {
		dst = append(dst, strings.Repeat("0", pad)...)
		copy(dst[start+pad:], dst[start:])
		for i := range pad {
			dst[start+i] = '0'
		}
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - d.scale
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}
