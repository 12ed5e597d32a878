package results

import (
	"encoding/json"
	"time"
)

// Status says what became of an item. The enum may grow (contract section 3).
type Status string

// The statuses of version 1.
const (
	StatusOK        Status = "ok"
	StatusNotFound  Status = "not_found" // the provider knows no such number, final
	StatusInvalid   Status = "invalid"   // not a possible number
	StatusFailed    Status = "failed"    // Error says why
	StatusExpired   Status = "expired"
	StatusCancelled Status = "cancelled"
)

// Source says where an answer came from.
type Source string

// The sources of version 1.
const (
	SourceUpstream Source = "upstream"
	SourceCache    Source = "cache"  // an earlier answer
	SourceShared   Source = "shared" // the number was waiting or on the wire for another item
	SourceOffline  Source = "offline"
)

// Code is why an item has no answer.
type Code string

// The error codes of version 1.
const (
	CodeInvalidNumber       Code = "invalid_number"
	CodeMalformedItem       Code = "malformed_item"
	CodeUnsupportedNumber   Code = "unsupported_number" // outside every provider's scope
	CodeUnsupportedOption   Code = "unsupported_option"
	CodeProviderRejected    Code = "provider_rejected"
	CodeProviderUnavailable Code = "provider_unavailable"
	CodeNoAnswer            Code = "no_answer" // asked, never answered
	CodeNoUsableKey         Code = "no_usable_key"
	CodeNoBalance           Code = "no_balance"
	CodeBudgetExhausted     Code = "budget_exhausted"
	CodeExpired             Code = "expired"
	CodeCancelled           Code = "cancelled"
	CodeMalformedJob        Code = "malformed_job"
	CodeInternal            Code = "internal"
)

// Result is one item's terminal outcome, as it stands in a part. On the wire it
// also has an id, "<job id>.<Index>".
type Result struct {
	Index int `json:"-"`
	// Ref is the producer's key: nil, or a JSON string or integer, echoed as it came.
	Ref json.RawMessage `json:"ref,omitempty"`
	// Number is what the producer typed, E164 what it was read as.
	Number   string  `json:"number"`
	E164     string  `json:"e164,omitempty"`
	Status   Status  `json:"status"`
	Lookup   *Lookup `json:"lookup,omitempty"`
	Error    *Error  `json:"error,omitempty"`
	Provider string  `json:"provider,omitempty"`
	Source   Source  `json:"source,omitempty"`
	// AnsweredAt is when the provider answered, to the millisecond.
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	Cost       Cost      `json:"cost,omitzero"`
	Attempts   int       `json:"attempts,omitempty"`
	// Raw is the provider's own object, valid JSON; beyond MaxRaw bytes Append
	// leaves it out and says so.
	Raw          json.RawMessage `json:"raw,omitempty"`
	RawTruncated bool            `json:"raw_truncated,omitempty"`
}

// Cost is an exact decimal amount ("0.0020") of a currency; the zero value is none.
type Cost struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Error says why an item has no answer.
type Error struct {
	Code Code `json:"code"`
	// Message is for people; ProviderCode is the upstream's own code, if any.
	Message      string `json:"message,omitempty"`
	ProviderCode string `json:"provider_code,omitempty"`
}
