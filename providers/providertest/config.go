package providertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers/setup"
)

// keyName is what the one key of every case is called.
const keyName = "main"

// baseSettings are the settings for a provider that cannot be built without any:
// those of settings.json, or else of found.json.
func baseSettings(dir string, found *Case) (json.RawMessage, error) {
	path := filepath.Join(dir, fileSettings)
	raw, err := os.ReadFile(path) //nolint:gosec // the suite's own testdata
	if errors.Is(err, fs.ErrNotExist) {
		return found.Settings, nil
	}
	if err == nil && !json.Valid(raw) {
		err = fmt.Errorf("%s is no JSON", path)
	}
	return raw, err
}

// config is the provider's configuration for the case, without an address.
func (x *exam) config(c *Case) (setup.Config, error) {
	cfg := setup.Config{Name: "examined", Clock: clock, Keys: []string{keyName}}
	settings, err := overlay(x.settings, c.Settings)
	if err != nil {
		return cfg, fmt.Errorf("%s: settings: %w", c.file, err)
	}
	if settings != nil {
		cfg.Settings = new(yaml.Node)
		if err := yaml.Unmarshal(settings, cfg.Settings); err != nil {
			return cfg, fmt.Errorf("%s: settings: %w", c.file, err)
		}
	}
	return cfg, nil
}

// overlay is base with the names of own replaced, on one line.
func overlay(base, own json.RawMessage) (json.RawMessage, error) {
	if base == nil {
		return own, nil
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(base, &all); err != nil {
		return nil, err
	}
	if own != nil {
		over := map[string]json.RawMessage{}
		if err := json.Unmarshal(own, &over); err != nil {
			return nil, err
		}
		maps.Copy(all, over)
	}
	return json.Marshal(all)
}
