package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LoadConfig reads the file at path ("" for none) over the defaults, then the
// environment's LOOKUPQ_… scalars (LOOKUPQ_NATS_URL for nats.url), and checks
// everything. The error is a ConfigError with every fault at once, one a line as
// `worker.yaml:12: routes.carrier-cn.providers: …`, or says why the file cannot be
// read. It looks at the files that the configuration names, and at no network.
func LoadConfig(path string, env func(string) (string, bool), types ProviderTypes) (*Config, error) {
	r := newReader("configuration", "", env)
	if path == "" {
		return r.load(nil, types)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: name the configuration with --config, or leave that out for the defaults", path)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	r.file, r.dir = filepath.Base(path), filepath.Dir(path)
	return r.load(text, types)
}

// load is LoadConfig for the text of a file.
func (r *reader) load(text []byte, types ProviderTypes) (*Config, error) {
	root, err := parseYAML(text)
	if err != nil {
		return nil, r.syntax(err)
	}
	c := DefaultConfig()
	c.read(r, root)
	c.check(r, types)
	if len(r.faults) > 0 {
		return nil, r.result()
	}
	c.Warnings = r.warnings
	return c, nil
}

// errDocuments says that the file holds more than one configuration.
var errDocuments = errors.New("has several documents (---): keep one")

// parseYAML returns the root node of the one document in text; nil if it is empty.
func parseYAML(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil //nolint:nilnil // an empty file is a valid one that sets nothing
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		return nil, errDocuments
	}
	return doc.Content[0], nil
}

// syntax turns the parser's error, which starts with "yaml: line 3: ", into a fault.
func (r *reader) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if !errors.Is(err, errDocuments) {
		text = "is not YAML: " + text
	}
	r.faults = append(r.faults, FaultError{Place: r.place(line), Problem: text})
	return r.result()
}
