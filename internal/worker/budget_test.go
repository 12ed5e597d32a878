package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

const budgetConfig = `
tenants:
  acme: {budget: BUDGET}
  "*": {}
routes: {r: {providers: [qxt, local]}}
providers:
  qxt:
    type: qxt
    keys:
      - {name: cny, secret: a, price: "0.002CNY"}
      - {name: usd, secret: b, price: "0.002USD"}
      - {name: none, secret: c}
      - {name: foreign, secret: d, tenants: [other]}
  local: {type: offline}
`

func loadBudget(t *testing.T, text string) (Budget, *Config, error) {
	t.Helper()
	c, err := load(t, strings.Replace(budgetConfig, "BUDGET", text, 1), nil)
	if err != nil {
		return Budget{}, nil, err
	}
	return c.Tenants["acme"].Budget, c, nil
}

func TestReadBudget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Budget{
		`{amount: "500", currency: CNY, per: day}`:                  {Amount: 500 * million, Currency: "CNY", PerDay: true},
		`{amount: 0.000001, currency: USD, on_exhausted: wait}`:     {Amount: 1, Currency: "USD", Wait: true},
		`{amount: "0", currency: CNY, per: "", on_exhausted: fail}`: {Currency: "CNY"},
		`{on_exhausted: wait}`:                                      {Wait: true},
		`{}`:                                                        {},
	} {
		got, _, err := loadBudget(t, text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		`{amount: "500"}`:                                  "worker.yaml:3: tenants.acme.budget: needs amount and currency together",
		`{currency: CNY}`:                                  "needs amount and currency together",
		`{amount: "-1", currency: CNY}`:                    "tenants.acme.budget.amount: must be a decimal amount",
		`{amount: "0.0000001", currency: CNY}`:             "at most 6 decimals",
		`{amount: "1000000000", currency: CNY}`:            "must be a decimal amount",
		`{amount: "1", currency: yuan}`:                    "tenants.acme.budget.currency: must be a currency",
		`{amount: "1", currency: CNY, per: week}`:          "tenants.acme.budget.per: must be day",
		`{amount: "1", currency: CNY, on_exhausted: drop}`: "must be fail or wait",
	} {
		_, _, err := loadBudget(t, text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestUncoveredKeysAreWarnedOf(t *testing.T) {
	t.Parallel()
	_, c, err := loadBudget(t, `{amount: "500", currency: CNY}`)
	require.NoError(t, err)
	var all []string
	for _, w := range c.Warnings {
		if strings.Contains(w, "budget") {
			all = append(all, w)
		}
	}
	require.Len(t, all, 2)
	require.Contains(t, all[0], "providers.qxt.keys[1].price: is in USD: the CNY budget of tenant acme does not cover it")
	require.Contains(t, all[1], "providers.qxt.keys[2]: has no price")
}

func TestBudgetIDs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.FixedZone("", 8*3600))
	for _, tt := range []struct {
		line budgetLine
		want string
	}{
		{budgetLine{scope: scopeCampaign, tenant: "acme", campaign: "c-1", currency: "CNY"}, "c.acme.c-1.CNY"},
		{budgetLine{scope: scopeTenant, tenant: "acme", currency: "CNY"}, "t.acme.CNY"},
		{budgetLine{scope: scopeTenant, tenant: "acme", currency: "CNY", perDay: true}, "d.acme.CNY.2026-11-21"},
	} {
		id := tt.line.id(at)
		require.Equal(t, tt.want, id)
		parts, ok := parseBudgetID(id)
		require.True(t, ok)
		require.Equal(t, id, parts.String())
	}
	for _, id := range []string{"", "c.a.b", "x.a.b.c", "t.a"} {
		_, ok := parseBudgetID(id)
		require.False(t, ok, id)
	}
	day := (&budgetLine{perDay: true}).again(at)
	require.False(t, day.Before(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)), "not before the next day")
	require.True(t, day.Before(time.Date(2026, 11, 22, 0, 1, 0, 0, time.UTC)))
	require.Equal(t, at.Add(time.Minute), (&budgetLine{}).again(at))
}

func TestMoneyText(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]string{0: "0", 1: "0.000001", 500_000: "0.5", 12 * million: "12", 12_340_000: "12.34"} {
		require.Equal(t, want, moneyText(in))
	}
}

// What a number of a call counts: at its price, as reported, or nothing.
func TestBill(t *testing.T) {
	t.Parallel()
	priced := providers.Cost{Amount: "0.002", Currency: "CNY"}
	reported := providers.Outcome{Kind: providers.Found, Cost: providers.Cost{Amount: "0.0035", Currency: "USD"}}
	failed := func(k providers.Kind) *providers.Failure { return &providers.Failure{Kind: k} }
	one := func(o providers.Outcome) providers.Reply { return providers.Reply{Outcomes: []providers.Outcome{o}} }
	for name, tt := range map[string]struct {
		reply    providers.Reply
		price    providers.Cost
		deferred bool
		numbers  int
		usd      int64
	}{
		"answered":                  {one(providers.Outcome{Kind: providers.NotFound}), priced, false, 1, 0},
		"answered without a price":  {one(providers.Outcome{Kind: providers.Found}), providers.Cost{}, false, 0, 0},
		"reported":                  {one(reported), priced, false, 0, 3500},
		"reported later":            {one(reported), priced, true, 1, 0},
		"pending":                   {one(providers.Outcome{Kind: providers.Pending}), priced, true, 1, 0},
		"left out":                  {one(providers.Outcome{Failure: failed(providers.KindMissing)}), priced, false, 0, 0},
		"unsure":                    {one(providers.Outcome{Failure: failed(providers.KindGarbled)}), providers.Cost{}, false, 1, 0},
		"refused call":              {providers.Reply{Failure: failed(providers.KindThrottled)}, priced, false, 0, 0},
		"timeout":                   {providers.Reply{Failure: failed(providers.KindTimeout)}, priced, false, 1, 0},
		"submit of unknown fate":    {providers.Reply{Failure: failed(providers.KindUnavailable), Ticket: "t"}, priced, true, 1, 0},
		"fewer outcomes than asked": {providers.Reply{}, priced, false, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bill
			b.add(tt.deferred, tt.price, &tt.reply, 0)
			require.Equal(t, tt.numbers, b.numbers)
			require.Equal(t, tt.usd, b.reported["USD"])
		})
	}
}
