// Package providers is the contract between the worker and the upstream lookup
// APIs. What comes in: numbers, options and one key. What goes out: one outcome a
// number, or one failure for the whole call. A provider sees no jobs, no NATS and
// no Redis; it keeps no state that a restart would miss, and nobody has to stop it.
package providers

import (
	"context"
	"time"
)

// Provider answers numbers through one upstream API.
type Provider interface {
	// Limits says what the upstream documents. It never changes.
	Limits() Limits

	// Partition decides whether this provider can answer number with opts, and
	// which numbers may share its batch: only equal partitions are packed
	// together. It does no I/O and is called for every item, in parallel.
	// A *Failure of kind KindUnsupported sends the item to the next provider.
	Partition(n Number, opts Options) (partition string, err *Failure)

	// Call asks the upstream for all numbers of q in one request, with the
	// context as the only time limit. It is called in parallel, with 1 to
	// Limits().MaxBatch distinct numbers of one partition. The reply holds one
	// outcome for each number of q, in q's order, or a Failure for the whole
	// call. It neither retries nor logs.
	Call(ctx context.Context, q Query) Reply
}

// BalanceReader is a Provider whose upstream tells what a key has left.
type BalanceReader interface {
	// Balance asks for the balance of one key. Called rarely, in parallel.
	Balance(ctx context.Context, key Key) (Balance, *Failure)
}

// OptionsValidator is a Provider that takes options. A provider without it takes none.
type OptionsValidator interface {
	// ValidateOptions says what is wrong with opts, before anything is paid.
	ValidateOptions(opts Options) error
}

// Checker is a Provider that can find out for nothing whether a key works, where
// it reads no balance. `worker check` uses it.
type Checker interface {
	// Check returns nil if the upstream takes the key.
	Check(ctx context.Context, key Key) *Failure
}

// PartitionLimiter is a Provider that takes fewer numbers a call in some
// partitions than Limits().MaxBatch says.
type PartitionLimiter interface {
	// PartitionLimit is the most numbers of a call in partition, 1 or more.
	PartitionLimit(partition string) int
}

// Limits are an upstream's documented limits and the defaults that follow.
type Limits struct {
	// MaxBatch is the documented maximum of numbers a call, DefaultBatch what is
	// used when the configuration says nothing.
	MaxBatch, DefaultBatch int
	// Timeout is for one call, unless configured.
	Timeout time.Duration
	// Concurrency and Rate (calls a second) hold for each key, unless
	// configured; 0 is unlimited.
	Concurrency int
	Rate        float64
	// Keyless is a provider that needs no key and pays for nothing (offline).
	Keyless bool
}

// Number is one phone number in the forms that providers ask for.
type Number struct {
	// E164 is the canonical form with '+'; it is the identity of the number.
	E164 string
	// CountryCode is the calling code ("86"), National the rest of E164.
	CountryCode, National string
}

// Options are a job's options, by name, as decoded from JSON. Never changed after decoding.
type Options map[string]any

// Query is one call.
type Query struct {
	Key     Key
	Numbers []Number
	Options Options
	// Raw asks for each outcome's raw provider object.
	Raw bool
	// Partition is what Provider.Partition said of the numbers.
	Partition string
	// ShareGroups says for each number whose answer it is. It is only filled for
	// the tickets of a Deferred provider; the provider itself has no use for it.
	ShareGroups []string
}

// Key is one credential of a provider.
type Key struct {
	Name   string
	Secret Secret
}

// Secret is a credential. It prints as "[redacted]" everywhere; only Reveal shows it.
type Secret struct{ value string }

// NewSecret wraps a credential.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the credential, for the request that needs it and nothing else.
func (s Secret) Reveal() string { return s.value }

// String implements fmt.Stringer and hides the credential.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the credential from %#v.
func (s Secret) GoString() string { return "[redacted]" }

// MarshalText hides the credential from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// UnmarshalText reads a credential from a provider's settings.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

// Balance is what a key has left, in the upstream's unit.
type Balance struct {
	Amount float64
	// Unit is a currency or "lookups".
	Unit string
	// Postpaid keys may be below zero and still work.
	Postpaid bool
}

// Reply is what one call brought.
type Reply struct {
	// Outcomes has one entry for each number of the query, in its order; nil if
	// Failure is set.
	Outcomes []Outcome
	// Failure is why the whole call brought nothing.
	Failure *Failure
	// Ticket is set where outcomes are Pending: what their answers will come under.
	// With a Failure beside it, it is unknown whether the upstream took the batch;
	// all numbers wait for the ticket then.
	Ticket string
	// SlowDown is how long the key should rest before its next call because little is
	// left of its limit; it is cut to a few seconds, and nobody is at fault.
	SlowDown time.Duration
	// Extra and Duplicates count the reply's entries for numbers that were not
	// asked, or answered before. They are dropped; the counts go to metrics.
	Extra, Duplicates int
}

// OutcomeKind is what the upstream said of one number.
type OutcomeKind uint8

// The kinds of outcome.
const (
	// Failed is an outcome without an answer: Outcome.Failure says why.
	Failed OutcomeKind = iota
	// Found brings facts.
	Found
	// NotFound is final: the upstream knows no such number or cannot tell.
	NotFound
	// Invalid is final: the upstream refuses the number as none.
	Invalid
	// Pending: a deferred upstream has taken the number and answers later, under
	// Reply.Ticket.
	Pending
)

// Outcome is what the upstream said of one number.
type Outcome struct {
	Kind    OutcomeKind
	Facts   Facts
	Failure *Failure // for Failed, and for Invalid the upstream's own words
	Cost    Cost
	Raw     []byte // the provider's own object, only if Query.Raw
}

// Cost is an exact decimal amount; the zero value is none.
type Cost struct {
	Amount   string
	Currency string
}

// Tri is yes, no or not known (the zero value).
type Tri uint8

// The values of Tri. Undetermined is an upstream's explicit "unknown": it tried
// and cannot tell.
const (
	Unknown Tri = iota
	No
	Yes
	Undetermined
)

// TriOf is Yes or No.
func TriOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// LineType is the kind of line behind a number; contract section 3 lists the values.
type LineType string

// The line types of the contract.
const (
	LineMobile        LineType = "mobile"
	LineFixed         LineType = "fixed_line"
	LineFixedOrMobile LineType = "fixed_line_or_mobile"
	LineTollFree      LineType = "toll_free"
	LinePremiumRate   LineType = "premium_rate"
	LineSharedCost    LineType = "shared_cost"
	LineVoIP          LineType = "voip"
	LinePersonal      LineType = "personal"
	LinePager         LineType = "pager"
	LineUAN           LineType = "uan"
	LineVoicemail     LineType = "voicemail"
	LineOther         LineType = "other"
)

// Carrier is an operator: a canonical id ("china_mobile") where one is known,
// and the name as the provider spells it.
type Carrier struct {
	ID   string
	Name string
}

// Facts is what is known of a number, in the contract's normalised terms
// (section 3). Zero values are "not known" and are absent from the result. Fields
// of providers to come are added here with them.
type Facts struct {
	Country  string // ISO 3166-1 alpha-2
	Area     string
	LineType LineType
	Valid    Tri
	Ported   Tri
	// PortedBasis is "derived" where Ported follows from the operators alone,
	// "inconsistent" where they contradict what the upstream says of it.
	PortedBasis     string
	PortedAt        time.Time
	OriginalCarrier Carrier // who the number was issued by
	CurrentCarrier  Carrier // only from a provider that knows who serves it now
	MCC, MNC        string  // of the serving network
	TimeZones       []string

	// Portable and FastPortable say whether the number could be ported to the
	// provider, which is something else than Ported.
	Portable, FastPortable Tri
	NotPortableReason      string

	// What a network or a call found out; Undetermined is said as "unknown".
	Reachable, Roaming, Ringing, Answered Tri
	CallResponse                          string

	// Porting is the number's porting order at the provider, nil if there is none.
	Porting *Porting
}

// Porting is what may be told of a porting order.
type Porting struct {
	OrderID, OrderStatus, ActivationStatus string
	// FOCAt is when the porting is to happen, or happened.
	FOCAt time.Time
	// Exceptions are codes of what holds it up.
	Exceptions []string
}
