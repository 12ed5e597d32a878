package jobs

import (
	"bytes"
	"encoding/json"
)

// Budget is what a campaign may spend. It is as its producer wrote it, unchecked.
type Budget struct {
	// Amount is a decimal number, Currency its ISO 4217 code.
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
	// OnExhausted is fail or wait; empty is what the tenant's configuration says.
	OnExhausted string `json:"on_exhausted,omitempty"`

	rest map[string]json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler. The amount may be a JSON number, too; it
// never makes the whole record unreadable.
func (b *Budget) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		*b = Budget{Amount: "?"} // no budget that can be kept to
		return nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*b = Budget{rest: all}
	for name, dst := range map[string]*string{"amount": &b.Amount, "currency": &b.Currency, "on_exhausted": &b.OnExhausted} {
		raw, given := all[name]
		if !given {
			continue
		}
		if json.Unmarshal(raw, dst) != nil {
			*dst = string(raw)
		}
		delete(all, name)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (b *Budget) MarshalJSON() ([]byte, error) {
	type plain Budget
	return encodeKeeping((*plain)(b), b.rest)
}
