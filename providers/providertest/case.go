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

	"github.com/lookupq/lookupq/providers"
)

// The recorded calls that every provider needs; any other file is replayed too.
// balance.json is needed of a provider that reads balances. settings.json is no
// call: it holds the settings without which the provider cannot be built.
const (
	fileFound    = "found.json"
	fileNotFound = "not_found.json"
	filePartial  = "partial.json"
	fileBalance  = "balance.json"
	fileSettings = "settings.json"
)

// Case is one recorded call: what was asked, what went over the wire, and what
// the provider has to make of it. Names and numbers are made up or public.
//
// Of a deferred provider Request and Response are the submit, under the ticket
// "ticket-0001" with CallbackURL, and Query is how its answers are fetched.
// Without Query the call ends with what the submit said: numbers are pending.
type Case struct {
	// About says where the exchange comes from.
	About string `json:"about"`
	// Settings are the provider's, if the call needs any, over those of
	// settings.json.
	Settings json.RawMessage `json:"settings"`
	// Secret is that of the key, whose name is "main".
	Secret string `json:"secret"`
	// Numbers are asked in this order, "+86 13972565391": a blank after the
	// calling code.
	Numbers  []string          `json:"numbers"`
	Options  providers.Options `json:"options"`
	Request  *Request          `json:"request"`
	Response *Response         `json:"response"`
	Query    *Query            `json:"query"`
	// Outcomes has one entry a number; Failure stands instead if the call as a
	// whole fails. Balance is for balance.json.
	Outcomes []Outcome `json:"outcomes"`
	Failure  *Failure  `json:"failure"`
	Balance  *Balance  `json:"balance"`
	// Receipts are bodies that a deferred provider's upstream pushed; they need
	// not belong to the call, and a file may hold nothing else.
	Receipts []Receipt `json:"receipts"`

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

// Query is a deferred provider's question for the answers of its ticket. Its
// path has to be another than the submit's.
type Query struct {
	Request  *Request  `json:"request"`
	Response *Response `json:"response"`
	// Paging is needed if the upstream answers in pages: the suite then makes
	// pages of any size.
	Paging *Paging `json:"paging"`
}

// Paging says where the bodies tell of pages, as JSON pointers; pages count from 1.
type Paging struct {
	// Size is how many entries a page holds at most.
	Size int `json:"size"`
	// Asked is the wanted page, in the request.
	Asked string `json:"asked"`
	// Page is which page this is, Pages how many there are, in the response; each
	// "" if the upstream does not say.
	Page  string `json:"page"`
	Pages string `json:"pages"`
}

// Receipt is a pushed body and what the provider has to read in it.
type Receipt struct {
	Body json.RawMessage `json:"body"`
	// Number is written like those of a Case, Ticket as in the body.
	Number  string  `json:"number"`
	Ticket  string  `json:"ticket"`
	Outcome Outcome `json:"outcome"`
	// Unreadable: it is no receipt; all else but the body is empty.
	Unreadable bool `json:"unreadable"`

	number providers.Number
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
	if err := c.parse(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parse reads the numbers and checks the query, if there is one.
func (c *Case) parse() error {
	for _, s := range c.Numbers {
		n, err := parseNumber(s)
		if err != nil {
			return err
		}
		c.numbers = append(c.numbers, n)
	}
	for i := range c.Receipts {
		r := &c.Receipts[i]
		if r.Unreadable {
			continue
		}
		n, err := parseNumber(r.Number)
		if err != nil {
			return fmt.Errorf("receipt %d: %w", i, err)
		}
		r.number = n
	}
	return c.checkQuery()
}

func (c *Case) checkQuery() error {
	switch q := c.Query; {
	case q == nil:
	case c.Request == nil || c.Response == nil || q.Request == nil || q.Response == nil:
		return errors.New("with a query, request and response are needed of it and of the submit")
	case pathOf(c.Request) == pathOf(q.Request):
		return errors.New("submit and query have one path; the suite tells them apart by it")
	case c.Response.Entries != nil:
		return errors.New("the submit has no entries, its query has")
	case q.Paging != nil && (q.Paging.Size < 1 || q.Paging.Asked == ""):
		return errors.New("query.paging: size and asked are needed")
	}
	return nil
}

func parseNumber(s string) (providers.Number, error) {
	code, national, ok := strings.Cut(strings.TrimPrefix(s, "+"), " ")
	if !ok {
		return providers.Number{}, fmt.Errorf("number %q: write it like +86 13972565391", s)
	}
	return providers.Number{E164: "+" + code + national, CountryCode: code, National: national}, nil
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
		if !slices.Contains([]string{fileFound, fileNotFound, filePartial, fileBalance, fileSettings}, file) {
			files = append(files, file)
		}
	}
	return files, nil
}

func (c *Case) key() providers.Key {
	return providers.Key{Name: keyName, Secret: providers.NewSecret(c.Secret)}
}

// calls reports whether the case is a call, and not only a bag of receipts.
func (c *Case) calls() bool { return len(c.numbers) > 0 }

// answers reports whether the call finds every number: the cases that faults are
// made of.
func (c *Case) answers() bool {
	return c.Failure == nil && c.Balance == nil && len(c.Outcomes) > 0 &&
		!slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Kind != kindFound })
}

// The names of steps.
const (
	stepCall   = "the call"
	stepSubmit = "the submit"
	stepQuery  = "the query"
)

// step is one request of a call, and its reply.
type step struct {
	name     string
	request  *Request
	response *Response
}

// steps are the requests of the call, one after the other: one, or a deferred
// provider's submit and query. The last one brings the answers.
func (c *Case) steps() []step {
	if c.Query == nil {
		return []step{{stepCall, c.Request, c.Response}}
	}
	return []step{{stepSubmit, c.Request, c.Response}, {stepQuery, c.Query.Request, c.Query.Response}}
}

// answer is the reply with the numbers' answers, nil for a provider that calls nobody.
func (c *Case) answer() *Response {
	steps := c.steps()
	return steps[len(steps)-1].response
}

func pathOf(r *Request) string {
	path, _, _ := strings.Cut(r.Path, "?")
	return path
}
