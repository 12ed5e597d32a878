package providertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/lookupq/lookupq/providers"
)

const (
	kindFailed   = "failed"
	kindFound    = "found"
	kindNotFound = "not_found"
	kindInvalid  = "invalid"
)

// Outcome is a number's outcome as a case writes it.
type Outcome struct {
	Kind  string `json:"kind"`
	Facts *Facts `json:"facts,omitempty"`
	// Failure is for failed and invalid numbers.
	Failure *Failure `json:"failure,omitempty"`
}

// Failure is the kind and the upstream's own code; the words are free.
type Failure struct {
	Kind string `json:"kind"`
	Code string `json:"code,omitempty"`
}

// Facts are the contract's names of what is known; yes and no for what is so or not.
type Facts struct {
	Country         string   `json:"country,omitempty"`
	Area            string   `json:"area,omitempty"`
	LineType        string   `json:"line_type,omitempty"`
	Valid           string   `json:"valid,omitempty"`
	Ported          string   `json:"ported,omitempty"`
	OriginalCarrier *Carrier `json:"original_carrier,omitempty"`
	CurrentCarrier  *Carrier `json:"current_carrier,omitempty"`
	TimeZones       []string `json:"time_zones,omitempty"`
}

// Carrier is an operator.
type Carrier struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// written is a provider's outcome as a case writes it.
func written(o providers.Outcome) Outcome {
	w := Outcome{Kind: [...]string{kindFailed, kindFound, kindNotFound, kindInvalid, "pending"}[o.Kind], Failure: writtenFailure(o.Failure)}
	if f := factsOf(o.Facts); !reflect.DeepEqual(f, Facts{}) {
		w.Facts = &f
	}
	return w
}

func writtenFailure(f *providers.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Kind: f.Kind.String(), Code: f.Code}
}

func factsOf(f providers.Facts) Facts {
	return Facts{
		Country: f.Country, Area: f.Area, LineType: string(f.LineType), Valid: triOf(f.Valid), Ported: triOf(f.Ported),
		OriginalCarrier: carrierOf(f.OriginalCarrier), CurrentCarrier: carrierOf(f.CurrentCarrier), TimeZones: f.TimeZones,
	}
}

func triOf(t providers.Tri) string { return [...]string{"", "no", "yes", "unknown"}[t] }

func carrierOf(c providers.Carrier) *Carrier {
	if c == (providers.Carrier{}) {
		return nil
	}
	return &Carrier{ID: c.ID, Name: c.Name}
}

// same says where an outcome differs from what the case expects.
func same(want Outcome, got providers.Outcome) error {
	w := written(got)
	if reflect.DeepEqual(want, w) {
		return nil
	}
	a, errA := json.Marshal(want)
	b, errB := json.Marshal(w)
	return errors.Join(fmt.Errorf("want %s\n got %s", a, b), errA, errB)
}

// sameAll compares the outcomes of a call in the order of its numbers.
func sameAll(want []Outcome, reply providers.Reply) error {
	if reply.Failure != nil {
		return fmt.Errorf("the call failed: %w", reply.Failure)
	}
	if len(want) != len(reply.Outcomes) {
		return fmt.Errorf("%d outcomes, want %d", len(reply.Outcomes), len(want))
	}
	for i, o := range reply.Outcomes {
		if err := same(want[i], o); err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
	}
	return nil
}

// wellFormed holds for every reply, whatever the upstream did.
func wellFormed(q providers.Query, r providers.Reply) error {
	if r.Failure != nil {
		if r.Outcomes != nil {
			return errors.New("the reply has a failure and outcomes")
		}
		return nil
	}
	if len(r.Outcomes) != len(q.Numbers) {
		return fmt.Errorf("%d outcomes for %d numbers", len(r.Outcomes), len(q.Numbers))
	}
	for i, o := range r.Outcomes {
		switch {
		case o.Kind == providers.Failed && o.Failure == nil:
			return fmt.Errorf("number %d failed and nobody says why", i)
		case (o.Kind == providers.Found || o.Kind == providers.NotFound) && o.Failure != nil:
			return fmt.Errorf("number %d is answered and has a failure", i)
		case o.Kind != providers.Found && !reflect.DeepEqual(o.Facts, providers.Facts{}):
			return fmt.Errorf("number %d is not found and has facts", i)
		case !q.Raw && o.Raw != nil:
			return fmt.Errorf("number %d has a raw object that nobody asked for", i)
		}
	}
	return nil
}

// wantFailure says that the call as a whole had to fail with one of kinds.
func wantFailure(r providers.Reply, kinds ...providers.Kind) error {
	if r.Failure == nil {
		return fmt.Errorf("the call did not fail, want %v", kinds)
	}
	if slices.Contains(kinds, r.Failure.Kind) {
		return nil
	}
	return fmt.Errorf("the call failed with %w, want %v", r.Failure, kinds)
}
