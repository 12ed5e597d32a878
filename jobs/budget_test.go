package jobs

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBudgetOfACampaign(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Budget{
		`{"amount":"100.50","currency":"CNY"}`:                    {Amount: "100.50", Currency: "CNY"},
		`{"amount":100.5,"currency":"CNY","on_exhausted":"wait"}`: {Amount: "100.5", Currency: "CNY", OnExhausted: "wait"},
		`{"amount":[1],"currency":7}`:                             {Amount: "[1]", Currency: "7"},
		`"100CNY"`:                                                {Amount: "?"},
	} {
		var c Campaign
		require.NoError(t, json.Unmarshal([]byte(`{"state":"active","budget":`+in+`}`), &c), in)
		c.Budget.rest = nil
		require.Equal(t, want, *c.Budget, in)
	}
	var c Campaign
	require.NoError(t, json.Unmarshal([]byte(`{"state":"active","budget":{"amount":"1","currency":"CNY","later":[1]}}`), &c))
	c.Budget.Amount = "2"
	out, err := json.Marshal(&c)
	require.NoError(t, err)
	require.JSONEq(t, `{"state":"active","budget":{"amount":"2","currency":"CNY","later":[1]}}`, string(out))
	require.NoError(t, json.Unmarshal([]byte(`{"state":"active","budget":null}`), &c))
	require.Nil(t, c.Budget)
}
