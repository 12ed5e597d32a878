package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

// Every configuration that the documentation shows loads as it stands there.
func TestDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	types := ProviderTypes{}
	for _, e := range catalog.All() {
		types[e.Type] = e.New
	}
	text, err := os.ReadFile("../../docs/providers.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		file := filepath.Join(t.TempDir(), "worker.yaml")
		require.NoError(t, os.WriteFile(file, []byte(block[1]), 0o600))
		c, err := LoadConfig(file, func(name string) (string, bool) {
			return "secret-of-" + name, !strings.HasPrefix(name, "LOOKUPQ_")
		}, types)
		require.NoError(t, err, "block %d", i+1)
		require.Empty(t, c.Warnings, "block %d", i+1)
		for _, p := range c.Providers {
			shown[p.Type] = true
		}
	}
	for _, e := range catalog.All() {
		require.True(t, shown[e.Type], "%s has no configuration in docs/providers.md", e.Type)
		require.Contains(t, string(text), fmt.Sprintf("\n## %s\n", e.Type))
	}
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
