package providertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/lookupq/lookupq/providers"
)

const (
	kindFailed   = "failed"
	kindFound    = "found"
	kindNotFound = "not_found"
	kindInvalid  = "invalid"
	kindPending  = "pending"
)

// Outcome is a number's outcome as a case writes it.
type Outcome struct {
	Kind  string `json:"kind"`
	Facts *Facts `json:"facts,omitempty"`
	// Failure is for failed and invalid numbers.
	Failure *Failure `json:"failure,omitempty"`
	Cost    *Cost    `json:"cost,omitempty"`
}

// Failure is the kind and the upstream's own code; the words are free.
type Failure struct {
	Kind string `json:"kind"`
	Code string `json:"code,omitempty"`
}

// Cost is an exact decimal amount.
type Cost struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Facts are the contract's names of what is known; yes and no for what is so or
// not, unknown where the upstream tried and cannot tell. Times are RFC 3339, UTC.
type Facts struct {
	Country           string   `json:"country,omitempty"`
	Area              string   `json:"area,omitempty"`
	LineType          string   `json:"line_type,omitempty"`
	Valid             string   `json:"valid,omitempty"`
	Ported            string   `json:"ported,omitempty"`
	PortedBasis       string   `json:"ported_basis,omitempty"`
	PortedAt          string   `json:"ported_at,omitempty"`
	OriginalCarrier   *Carrier `json:"original_carrier,omitempty"`
	CurrentCarrier    *Carrier `json:"current_carrier,omitempty"`
	MCC               string   `json:"mcc,omitempty"`
	MNC               string   `json:"mnc,omitempty"`
	TimeZones         []string `json:"time_zones,omitempty"`
	Portable          string   `json:"portable,omitempty"`
	FastPortable      string   `json:"fast_portable,omitempty"`
	NotPortableReason string   `json:"not_portable_reason,omitempty"`
	Reachable         string   `json:"reachable,omitempty"`
	Roaming           string   `json:"roaming,omitempty"`
	Ringing           string   `json:"ringing,omitempty"`
	Answered          string   `json:"answered,omitempty"`
	CallResponse      string   `json:"call_response,omitempty"`
	Porting           *Porting `json:"porting,omitempty"`
}

// Porting is what may be told of a porting order.
type Porting struct {
	OrderID          string   `json:"order_id,omitempty"`
	OrderStatus      string   `json:"order_status,omitempty"`
	ActivationStatus string   `json:"activation_status,omitempty"`
	FOCAt            string   `json:"foc_at,omitempty"`
	Exceptions       []string `json:"exceptions,omitempty"`
}

// Carrier is an operator.
type Carrier struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// written is a provider's outcome as a case writes it.
func written(o providers.Outcome) Outcome {
	w := Outcome{
		Kind:    [...]string{kindFailed, kindFound, kindNotFound, kindInvalid, kindPending}[o.Kind],
		Failure: writtenFailure(o.Failure),
	}
	if o.Cost != (providers.Cost{}) {
		w.Cost = &Cost{Amount: o.Cost.Amount, Currency: o.Cost.Currency}
	}
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
		Country: f.Country, Area: f.Area, LineType: string(f.LineType), Valid: triOf(f.Valid),
		Ported: triOf(f.Ported), PortedBasis: f.PortedBasis, PortedAt: timeOf(f.PortedAt),
		OriginalCarrier: carrierOf(f.OriginalCarrier), CurrentCarrier: carrierOf(f.CurrentCarrier),
		MCC: f.MCC, MNC: f.MNC, TimeZones: f.TimeZones,
		Portable: triOf(f.Portable), FastPortable: triOf(f.FastPortable), NotPortableReason: f.NotPortableReason,
		Reachable: triOf(f.Reachable), Roaming: triOf(f.Roaming), Ringing: triOf(f.Ringing), Answered: triOf(f.Answered),
		CallResponse: f.CallResponse, Porting: portingOf(f.Porting),
	}
}

func portingOf(p *providers.Porting) *Porting {
	if p == nil {
		return nil
	}
	return &Porting{
		OrderID: p.OrderID, OrderStatus: p.OrderStatus, ActivationStatus: p.ActivationStatus,
		FOCAt: timeOf(p.FOCAt), Exceptions: p.Exceptions,
	}
}

func timeOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
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

// wellFormed holds for every reply, whatever the upstream did. Only a submit may
// leave numbers pending.
func wellFormed(q providers.Query, r providers.Reply, pending bool) error {
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
		err := sound(o, q.Raw)
		if o.Kind == providers.Pending && !pending {
			err = errors.New("is pending, and nothing more will be asked")
		}
		if err != nil {
			return fmt.Errorf("number %d %w", i, err)
		}
	}
	return nil
}

// sound holds for every outcome.
func sound(o providers.Outcome, raw bool) error {
	answered := o.Kind == providers.Found || o.Kind == providers.NotFound || o.Kind == providers.Pending
	switch {
	case o.Kind > providers.Pending:
		return errors.New("has an outcome of no known kind")
	case o.Kind == providers.Failed && o.Failure == nil:
		return errors.New("failed and nobody says why")
	case answered && o.Failure != nil:
		return errors.New("is answered and has a failure")
	case o.Kind != providers.Found && !reflect.DeepEqual(o.Facts, providers.Facts{}):
		return errors.New("is not found and has facts")
	case !raw && o.Raw != nil:
		return errors.New("has a raw object that nobody asked for")
	case (o.Cost.Amount == "") != (o.Cost.Currency == ""):
		return errors.New("has an amount without a currency, or the other way round")
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
