package worker

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/results"
)

// Budget is what a tenant may spend. Without a currency there is none.
type Budget struct {
	// Amount is in millionths of the currency's unit.
	Amount   int64
	Currency string
	// PerDay budgets start anew at midnight UTC, others never.
	PerDay bool
	// Wait has items wait for money, in place of failing (budget_exhausted). It holds for
	// the tenant's campaigns too, unless their record says otherwise.
	Wait bool
}

// million is what amounts of money are counted in, so that they are whole numbers.
const million = 1_000_000

var (
	// budgetForm bounds amounts, so that millionths are exact in Redis, too.
	budgetForm   = regexp.MustCompile(`^\d{1,9}(?:\.\d{1,6})?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	errAmount    = errors.New(`must be a decimal amount below 1000000000 with at most 6 decimals, like "500" or "99.50"`)
	errCurrency  = errors.New("must be a currency of three capital letters, like CNY")
)

// parseMoney reads an amount in millionths.
func parseMoney(s string) (int64, error) {
	d, err := results.ParseDecimal(s)
	if err != nil || !budgetForm.MatchString(s) {
		return 0, fmt.Errorf("%w, not %q", errAmount, s)
	}
	v, _ := d.Millionths()
	return v, nil
}

// millionths is an amount in millionths, rounded up; false if there is none.
func millionths(c providers.Cost) (int64, bool) {
	d, err := results.ParseDecimal(c.Amount)
	if err != nil || c.Currency == "" {
		return 0, false
	}
	v, ok := d.Millionths()
	return v, ok && v >= 0
}

func parseCurrency(s string) (string, error) {
	if !currencyForm.MatchString(s) {
		return "", fmt.Errorf("%w, not %q", errCurrency, s)
	}
	return s, nil
}

// parseExhausted reads fail or wait.
func parseExhausted(s string) (wait bool, err error) {
	if s != "fail" && s != "wait" {
		return false, fmt.Errorf("must be fail or wait, not %q", s)
	}
	return s == "wait", nil
}

// moneyText is an amount for people.
func moneyText(millionths int64) string {
	text := strconv.FormatInt(millionths/million, 10)
	if rest := millionths % million; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return text
}

// readBudget reads the budget of a tenant; on_exhausted may stand alone.
func readBudget(r *reader, n *yaml.Node, path string) (b Budget) {
	const unsaid = -1
	b.Amount = unsaid
	r.section(n, path, fields{
		"amount":   {scalar: parsed(&b.Amount, parseMoney)},
		"currency": {scalar: parsed(&b.Currency, parseCurrency)},
		"per": {scalar: parsed(&b.PerDay, func(s string) (bool, error) {
			if s != "day" && s != "" {
				return false, fmt.Errorf(`must be day, or "" for a budget that never starts anew, not %q`, s)
			}
			return s == "day", nil
		})},
		"on_exhausted": {scalar: parsed(&b.Wait, parseExhausted)},
	})
	if (b.Amount == unsaid) != (b.Currency == "") && (r.lines[path+".amount"] == 0 || r.lines[path+".currency"] == 0) {
		r.wrong(path, "needs amount and currency together")
	}
	if b.Amount == unsaid || b.Currency == "" {
		b.Amount, b.Currency = 0, ""
	}
	return b
}

// checkBudgets warns of keys whose numbers a tenant's budget does not cover.
func (c *Config) checkBudgets(r *reader, built map[string]providers.Provider) {
	for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
		b := c.Tenants[tenant].Budget
		if b.Currency == "" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
			if p := built[name]; p == nil || p.Limits().Keyless {
				continue
			}
			for i, k := range usableBy(c.Providers[name].Keys, tenant) {
				at := fmt.Sprintf("providers.%s.keys[%d]", name, i)
				switch k.Price.Currency {
				case b.Currency:
				case "":
					r.warn(at, fmt.Sprintf("has no price: the %s budget of tenant %s only covers what the provider says a number has cost, after the call", b.Currency, tenant))
				default:
					r.warn(at+".price", fmt.Sprintf("is in %s: the %s budget of tenant %s does not cover it", k.Price.Currency, b.Currency, tenant))
				}
			}
		}
	}
}
