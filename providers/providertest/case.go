package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// The recorded calls that every provider needs; any other file is replayed too.
// balance.json is needed of a provider that reads balances.
const (
	fileFound    = "found.json"
	fileNotFound = "not_found.json"
	filePartial  = "partial.json"
	fileBalance  = "balance.json"
)

// Case is one recorded call: what was asked, what went over the wire, and what
// the provider has to make of it. Names and numbers are made up or public.
type Case struct {
	// About says where the exchange comes from.
	About string `json:"about"`
	// Settings are the provider's, if the call needs any.
	Settings json.RawMessage `json:"settings"`
	Secret   string          `json:"secret"`
	// Numbers are asked in this order, "+86 13972565391": a blank after the
	// calling code.
	Numbers  []string          `json:"numbers"`
	Options  providers.Options `json:"options"`
	Request  *Request          `json:"request"`
	Response *Response         `json:"response"`
	// Outcomes has one entry a number; Failure stands instead if the call as a
	// whole fails. Balance is for balance.json.
	Outcomes []Outcome `json:"outcomes"`
	Failure  *Failure  `json:"failure"`
	Balance  *Balance  `json:"balance"`

	file    string
	numbers []providers.Number
}

// Request is what the provider has to send.
type Request struct {
	Method string `json:"method"`
	// Path includes the query, if there is one.
	Path        string `json:"path"`
	ContentType string `json:"content_type"`
	// Header has values that must be there.
	Header map[string]string `json:"header"`
	// Body is compared as JSON; Form, instead, as form values.
	Body json.RawMessage `json:"body"`
	Form string          `json:"form"`
}

// Response is what the upstream answered.
type Response struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	// Body is replayed byte for byte as it stands in the file.
	Body json.RawMessage `json:"body"`
	// Entries is where the list of the numbers' entries is in Body, as a JSON
	// pointer ("" is the body itself, "/data" a field of it). Without it the body
	// is the answer to one number.
	Entries *string `json:"entries"`
}

// Balance is what balance.json expects.
type Balance struct {
	Amount   float64 `json:"amount"`
	Unit     string  `json:"unit"`
	Postpaid bool    `json:"postpaid"`
}

// load reads a recorded call. A file that is not there is an error that says
// what to record.
func load(dir, file, what string) (*Case, error) {
	path := filepath.Join(dir, file)
	raw, err := os.ReadFile(path) //nolint:gosec // the suite's own testdata
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("recorded call %s is missing: add it with %s; providertest.Case says how it is written", path, what)
	}
	if err != nil {
		return nil, err
	}
	c := &Case{file: file}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range c.Numbers {
		code, national, ok := strings.Cut(strings.TrimPrefix(s, "+"), " ")
		if !ok {
			return nil, fmt.Errorf("%s: number %q: write it like +86 13972565391", path, s)
		}
		c.numbers = append(c.numbers, providers.Number{E164: "+" + code + national, CountryCode: code, National: national})
	}
	return c, nil
}

// others are the recorded calls besides those that are asked for by name.
func others(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, p := range paths {
		file := filepath.Base(p)
		if !slices.Contains([]string{fileFound, fileNotFound, filePartial, fileBalance}, file) {
			files = append(files, file)
		}
	}
	return files, nil
}

// config is the provider's configuration for the case, without an address.
func (c *Case) config() (setup.Config, error) {
	cfg := setup.Config{Name: "examined", Clock: clock}
	if c.Settings != nil {
		cfg.Settings = new(yaml.Node)
		if err := yaml.Unmarshal(c.Settings, cfg.Settings); err != nil {
			return cfg, fmt.Errorf("%s: settings: %w", c.file, err)
		}
	}
	return cfg, nil
}

// query is the call that the case records.
func (c *Case) query() providers.Query {
	return c.queryOf(c.numbers)
}

func (c *Case) queryOf(numbers []providers.Number) providers.Query {
	return providers.Query{Key: c.key(), Numbers: numbers, Options: c.Options}
}

func (c *Case) key() providers.Key {
	return providers.Key{Name: "main", Secret: providers.NewSecret(c.Secret)}
}

// answers reports whether the call finds every number: the cases that faults are
// made of.
func (c *Case) answers() bool {
	return c.Failure == nil && c.Balance == nil && len(c.Outcomes) > 0 &&
		!slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Kind != kindFound })
}
