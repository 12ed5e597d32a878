package worker

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/catalog"
)

// The example that operators copy must load, with the documented defaults where it
// says so.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	types := ProviderTypes{}
	for _, e := range catalog.All() {
		types[e.Type] = e.New
	}
	c, err := LoadConfig("../../deploy/worker.yaml", lookup(map[string]string{"QXT_KEY": "0123456789abcdef0123456789abcdef"}), types)
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	d := DefaultConfig()
	d.Redis.Configured = true
	require.Equal(t, d.NATS, c.NATS)
	require.Equal(t, d.Redis, c.Redis)
	require.Equal(t, d.HTTP, c.HTTP)
	require.Equal(t, d.Claim, c.Claim)
	require.Equal(t, d.Results, c.Results)
	require.Equal(t, d.Retry, c.Retry)
	require.Equal(t, []string{"carrier-cn", "offline"}, c.RouteNames())
}

// docker-compose.yml configures the worker by variables; a misspelt one would be
// ignored without a word.
func TestComposeVariables(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var compose struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(text, &compose))
	require.Contains(t, compose.Services, "nats")
	require.Contains(t, compose.Services, "redis")
	env := compose.Services["worker"].Environment
	asked := map[string]bool{}
	_, err = LoadConfig("", func(name string) (string, bool) {
		asked[name] = true
		v, ok := env[name]
		return v, ok
	}, fakeTypes())
	require.NoError(t, err)
	for name := range env {
		if strings.HasPrefix(name, "LOOKUPQ_") {
			require.True(t, asked[name], "%s sets nothing", name)
		}
	}
	require.Len(t, env, 4)
}
