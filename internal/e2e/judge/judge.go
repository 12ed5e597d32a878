// Package judge holds results against what the simulated upstreams know of the
// numbers: field by field, independent of the providers' decoders.
package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// own are the facts that lookupq may add to what an upstream says; all others
// have to come from it.
func own() []string { return []string{"country", "valid", "line_type", "ported_basis"} }

// Check says where r differs from what is true of its number; nil if nowhere.
func Check(truth *simulator.Truth, r *results.Result) error {
	if r.E164 != truth.Number {
		return errors.New("the answer is about another number")
	}
	if !slices.Contains(statuses(truth.Status), r.Status) {
		return fmt.Errorf("status %s (%v), want one of %v", r.Status, r.Error, statuses(truth.Status))
	}
	if truth.Status == simulator.StatusUnsupported && r.Error.Code != results.CodeUnsupportedNumber {
		return fmt.Errorf("error %s, want %s", r.Error.Code, results.CodeUnsupportedNumber)
	}
	if truth.Status != simulator.StatusOK {
		return nil
	}
	want, err := fields(truth.Lookup)
	if err != nil {
		return err
	}
	got, err := fields(r.Lookup)
	if err != nil {
		return err
	}
	return differ(want, got)
}

// statuses are the ends that an upstream's word may lead to.
func statuses(s simulator.Status) []results.Status {
	switch s {
	case simulator.StatusOK:
		return []results.Status{results.StatusOK}
	case simulator.StatusNotFound:
		return []results.Status{results.StatusNotFound}
	case simulator.StatusInvalid:
		return []results.Status{results.StatusInvalid}
	case simulator.StatusPoison: // refused as a number, or refused
		return []results.Status{results.StatusInvalid, results.StatusFailed}
	case simulator.StatusUnsupported, simulator.StatusFailed:
	}
	return []results.Status{results.StatusFailed}
}

// fields are the fields of the contract's lookup as they stand on the wire.
func fields(lookup any) (map[string]any, error) {
	text, err := json.Marshal(lookup)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	err = json.Unmarshal(text, &m)
	return m, err
}

// differ compares what is there; times by the moment they mean.
func differ(want, got map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if err := same(name, want[name], got[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok && !slices.Contains(own(), name) {
			return fmt.Errorf("%s is %v, which the upstream did not say", name, got[name])
		}
	}
	return nil
}

func same(name string, want, got any) error {
	inner, ok := want.(map[string]any)
	if !ok {
		if moment(want) != moment(got) {
			return fmt.Errorf("%s is %v, want %v", name, got, want)
		}
		return nil
	}
	other, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is %v, want %v", name, got, want)
	}
	if err := differ(inner, other); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// moment is v in a form that can be compared: a time in UTC, else its text.
func moment(v any) string {
	if s, ok := v.(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return fmt.Sprint(v)
}
