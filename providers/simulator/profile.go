package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Profile drives the simulated upstreams. The zero value is an upstream that
// knows every key, answers at once and never fails.
type Profile struct {
	// Seed makes the random faults repeatable; what is said of a number depends
	// on the number and the seed alone.
	Seed uint64 `yaml:"seed"`
	QXT  QXT    `yaml:"qxt"`
}

// QXT is the behaviour of the simulated QXT.
type QXT struct {
	// Keys that the upstream knows; empty: it takes every key of 32 characters
	// under the limits of Limits.
	Keys   []Key  `yaml:"keys"`
	Limits Limits `yaml:"limits"`
	// Latency of a call is Base + Jitter (random share) + PerNumber for each number.
	Latency Latency `yaml:"latency"`
	// HTTPErrors answer whole calls with a status.
	HTTPErrors []HTTPError `yaml:"http_errors"`
	// CallErrors answer whole calls with a code of the vendor's table.
	CallErrors []CodeError `yaml:"call_errors"`
	// ItemErrors answer single numbers of a call with a code.
	ItemErrors []CodeError `yaml:"item_errors"`
	// Poison numbers have their whole batch refused, as code 1 about a number.
	Poison Poison `yaml:"poison"`
	// Missing, Extra and Duplicate are the shares of numbers left out of a batch
	// reply, of foreign numbers put in, and of entries said twice.
	Missing   float64 `yaml:"missing"`
	Extra     float64 `yaml:"extra"`
	Duplicate float64 `yaml:"duplicate"`
	// Shuffle answers in random order.
	Shuffle bool `yaml:"shuffle"`
	// Spelling of the operator fields: "upper" (Init_Isp, as the vendor's batch
	// samples), "lower" (Init_isp, as its single call), "bare" (Initisp) or
	// "mixed". Empty is upper in batches and lower in single calls.
	Spelling string `yaml:"spelling"`
	// NumericCodes says res as a JSON number, and StringCodes code as a string.
	NumericRes  bool `yaml:"numeric_res"`
	StringCodes bool `yaml:"string_codes"`
	// Outages, counted from the server's start.
	Outages []Outage `yaml:"outages"`
}

// Key is a credential that the upstream knows.
type Key struct {
	Key string `yaml:"key"`
	// Limits of this key; a zero field takes the provider's.
	Limits Limits `yaml:"limits"`
	// Balance in queries; nil is never spent. FeeType 后付费 may go below zero.
	Balance *int64 `yaml:"balance"`
	FeeType string `yaml:"fee_type"`
	// RevokedAfter is the number of calls after which the key is unknown; 0 never.
	RevokedAfter int64 `yaml:"revoked_after"`
}

// Limits are answered with 429 when exceeded; 0 is unlimited.
type Limits struct {
	Concurrency int     `yaml:"concurrency"`
	Rate        float64 `yaml:"rate"`        // calls a second
	NumberRate  float64 `yaml:"number_rate"` // numbers a second
	// RetryAfter is what a 429 says, in the header form RetryAfterForm:
	// "seconds" (default), "date", "ms" or "none".
	RetryAfter     time.Duration `yaml:"retry_after"`
	RetryAfterForm string        `yaml:"retry_after_form"`
}

// Latency is how long a call takes.
type Latency struct {
	Base      time.Duration `yaml:"base"`
	Jitter    time.Duration `yaml:"jitter"`
	PerNumber time.Duration `yaml:"per_number"`
}

// HTTPError is a share of calls answered with a status.
type HTTPError struct {
	Share  float64 `yaml:"share"`
	Status int     `yaml:"status"`
	// RetryAfter goes into the header, if set.
	RetryAfter time.Duration `yaml:"retry_after"`
	// Mode is what happens instead of a status: "hang", "reset", "truncate",
	// "html" (200 with a page) or "oversize". Hanging ends with the client.
	Mode string `yaml:"mode"`
}

// CodeError is a share of calls or numbers answered with a code of the vendor.
type CodeError struct {
	Share  float64 `yaml:"share"`
	Code   int     `yaml:"code"`
	Reason string  `yaml:"reason"` // empty: the vendor's wording for the code
	// Sticky numbers get the code each time they are asked; otherwise it is drawn anew.
	Sticky bool `yaml:"sticky"`
}

// Poison picks numbers that spoil their batch.
type Poison struct {
	Share   float64  `yaml:"share"`
	Numbers []string `yaml:"numbers"`
}

// Outage is a span in which no call is answered.
type Outage struct {
	From time.Duration `yaml:"from"`
	To   time.Duration `yaml:"to"`
	// Mode is "503" (default), "hang", "reset" or "429".
	Mode string `yaml:"mode"`
}

// LoadProfile reads a profile from a YAML file; unknown fields are errors.
func LoadProfile(path string) (Profile, error) {
	body, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return Profile{}, fmt.Errorf("simulator profile: %w", err)
	}
	p, err := ParseProfile(body)
	if err != nil {
		return Profile{}, fmt.Errorf("simulator profile %s: %w", path, err)
	}
	return p, nil
}

// ParseProfile reads a profile from YAML.
func ParseProfile(body []byte) (Profile, error) {
	var p Profile
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, err
	}
	err := p.validate()
	return p, err
}

func (p *Profile) validate() error {
	q := &p.QXT
	var faults []error
	share := func(name string, v float64) {
		if v < 0 || v > 1 {
			faults = append(faults, fmt.Errorf("qxt.%s: %v is not a share: use 0 to 1", name, v))
		}
	}
	share("missing", q.Missing)
	share("extra", q.Extra)
	share("duplicate", q.Duplicate)
	share("poison.share", q.Poison.Share)
	for _, e := range q.HTTPErrors {
		share("http_errors.share", e.Share)
		faults = append(faults, oneOf("qxt.http_errors.mode", e.Mode, "", "hang", "reset", "truncate", "html", "oversize"))
	}
	for _, e := range append(append([]CodeError{}, q.CallErrors...), q.ItemErrors...) {
		share("errors.share", e.Share)
	}
	for _, o := range q.Outages {
		faults = append(faults, oneOf("qxt.outages.mode", o.Mode, "", "503", "hang", "reset", "429"))
	}
	faults = append(faults, oneOf("qxt.spelling", q.Spelling, "", "upper", "lower", "bare", "mixed"))
	for _, l := range append([]Limits{q.Limits}, keyLimits(q.Keys)...) {
		faults = append(faults, oneOf("qxt.limits.retry_after_form", l.RetryAfterForm, "", "seconds", "date", "ms", "none"))
	}
	return errors.Join(faults...)
}

func keyLimits(keys []Key) []Limits {
	out := make([]Limits, 0, len(keys))
	for _, k := range keys {
		out = append(out, k.Limits)
	}
	return out
}

func oneOf(name, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return fmt.Errorf("%s: %q is unknown: use one of %q", name, got, allowed[1:])
}
