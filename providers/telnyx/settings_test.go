package telnyx

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "", nil)
	require.Equal(t, settings{
		Operation: opPortability, ReadTimeout: age(10 * time.Second), Direct: 3, MaxAge: age(5 * time.Minute), MaxNumbers: 200_000, PageSize: 100,
	}, p.settings)
	p = newProvider(t, `
operation: porting_status
porting_direct: 0
porting_max_age: 1h
porting_max_numbers: 5
porting_page_size: 250
read_timeout: 20s
`, nil)
	require.Equal(t, settings{
		Operation: opPorting, ReadTimeout: age(20 * time.Second), Direct: 0, MaxAge: age(time.Hour), MaxNumbers: 5, PageSize: 250,
	}, p.settings)
	partition, failure := p.Partition(number("+13035550000"), nil)
	require.Nil(t, failure)
	require.Equal(t, "porting_status", partition)
}

func TestSettingsFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(`operation: port
porting_direct: 21
porting_max_age: 0
porting_max_numbers: 0
porting_page_size: 1001
read_timeout: fast
porting_rate: 4/s
`), &node))
	_, err := New(setup.Config{Settings: &node, BaseURL: "nowhere"})
	for _, want := range []string{
		"base_url: does not start with",
		`settings.operation (line 1): "port" is no operation of Telnyx; use one of portability, number_lookup, porting_status`,
		"settings.porting_direct (line 2): 21 is not between 0 and 20",
		"settings.porting_max_age (line 3): must be above 0",
		"settings.porting_max_numbers (line 4): 0 is not between 1 and 5000000",
		"settings.porting_page_size (line 5): 1001 is not between 1 and 1000",
		"settings.read_timeout (line 6): ",
		"settings.porting_rate (line 7): is no setting of this type; known are operation, porting_direct",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, bad := range []string{"read_timeout: 0", "read_timeout: 4", "porting_page_rate: 4/s", "porting_max_age: soon", "[]", "x"} {
		var node yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(bad), &node))
		_, err := New(setup.Config{Settings: &node})
		require.ErrorContains(t, err, "settings", bad)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "", nil)
	for name, limit := range map[string]int{"portability": 1000, "number_lookup": 1, "porting_status": 1000} {
		opts := providers.Options{"operation": name}
		require.NoError(t, p.ValidateOptions(opts))
		partition, failure := p.Partition(number("+442079460018"), opts)
		require.Nil(t, failure)
		require.Equal(t, name, partition)
		require.Equal(t, limit, p.PartitionLimit(partition))
	}
	require.NoError(t, p.ValidateOptions(nil))
	require.EqualError(t, p.ValidateOptions(providers.Options{"operation": "activate"}),
		`option operation: "activate" is no operation of Telnyx; use one of portability, number_lookup, porting_status`)
	require.ErrorContains(t, p.ValidateOptions(providers.Options{"operation": 5.0}), `"5" is no operation of Telnyx`)
	require.EqualError(t, p.ValidateOptions(providers.Options{"check_level": 5}), `option "check_level": Telnyx knows no such option, only operation`)
	bad := providers.Options{"operation": "activate"}
	_, failure := p.Partition(number("+13035550000"), bad)
	require.Equal(t, providers.KindUnsupported, failure.Kind)
	require.Equal(t, providers.KindUnsupported, p.Call(t.Context(), providers.Query{Options: bad}).Failure.Kind)
}

func TestScopeIsE164(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "", nil)
	for _, n := range []string{"+13035550000", "+8613800138000", "+442079460018", "+6830000", "+123456789012345"} {
		_, failure := p.Partition(number(n), nil)
		require.Nil(t, failure, n)
	}
	for _, n := range []string{"", "+", "13035550000", "+03035550000", "+123456", "+1234567890123456", "+1303555000x", "+1303/5550000"} {
		_, failure := p.Partition(providers.Number{E164: n}, nil)
		require.NotNil(t, failure, n)
		require.Equal(t, providers.KindUnsupported, failure.Kind)
	}
}
