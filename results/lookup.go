package results

import (
	"encoding/json"
	"strconv"
	"time"
)

// Lookup is what is known of a number; zero fields are unknown, and absent on
// the wire. Fields of providers to come are added here with them.
type Lookup struct {
	Country  string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	Area     string `json:"area,omitempty"`
	LineType string `json:"line_type,omitempty"`
	Valid    Tri    `json:"valid,omitzero"`
	Ported   Tri    `json:"ported,omitzero"`
	// PortedBasis is "derived" where Ported follows from the operators, and
	// "inconsistent" where they contradict it; absent where the upstream said so.
	PortedBasis       string    `json:"ported_basis,omitempty"`
	PortedAt          time.Time `json:"ported_at,omitzero"`
	Portable          Tri       `json:"portable,omitzero"` // to the provider, which is not Ported
	FastPortable      Tri       `json:"fast_portable,omitzero"`
	NotPortableReason string    `json:"not_portable_reason,omitempty"`
	OriginalCarrier   Carrier   `json:"original_carrier,omitzero"` // who the number was issued by
	CurrentCarrier    Carrier   `json:"current_carrier,omitzero"`  // who serves it now
	MCC               string    `json:"mcc,omitempty"`
	MNC               string    `json:"mnc,omitempty"`
	Reachable         Word      `json:"reachable,omitempty"`
	Roaming           Word      `json:"roaming,omitempty"`
	Ringing           Word      `json:"ringing,omitempty"`
	Answered          Word      `json:"answered,omitempty"`
	CallResponse      string    `json:"call_response,omitempty"`
	TimeZones         []string  `json:"time_zones,omitempty"`
	Porting           *Porting  `json:"porting,omitempty"`
}

// Word is yes, no or unknown (the upstream tried and cannot tell); "" is not known.
type Word string

// The values of Word.
const (
	WordYes     Word = "yes"
	WordNo      Word = "no"
	WordUnknown Word = "unknown"
)

// Porting is the porting order of a number.
type Porting struct {
	OrderID          string    `json:"order_id,omitempty"`
	OrderStatus      string    `json:"order_status,omitempty"`
	ActivationStatus string    `json:"activation_status,omitempty"`
	FOCAt            time.Time `json:"foc_at,omitzero"` // when the number moves, or moved
	Exceptions       []string  `json:"exceptions,omitempty"`
}

// Carrier is an operator: a canonical id where one is known, and a name.
type Carrier struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Tri is yes, no or unknown (the zero value); true, false or absent on the wire.
type Tri uint8

// The values of Tri.
const (
	Unknown Tri = iota
	No
	Yes
)

// MarshalJSON writes true or false, and null for Unknown.
func (t Tri) MarshalJSON() ([]byte, error) {
	switch t {
	case Yes:
		return []byte("true"), nil
	case No:
		return []byte("false"), nil
	case Unknown:
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads true, false or null.
func (t *Tri) UnmarshalJSON(b []byte) error {
	var v *bool
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*t = Unknown
	if v != nil {
		*t = No
		if *v {
			*t = Yes
		}
	}
	return nil
}

// appendLookup appends the object of facts; its fields are all optional.
func appendLookup(dst []byte, l *Lookup) []byte {
	start := len(dst)
	dst = appendField(dst, `,"country":`, l.Country)
	dst = appendField(dst, `,"area":`, l.Area)
	dst = appendField(dst, `,"line_type":`, l.LineType)
	dst = appendTri(dst, `,"valid":`, l.Valid)
	dst = appendTri(dst, `,"ported":`, l.Ported)
	dst = appendField(dst, `,"ported_basis":`, l.PortedBasis)
	dst = appendTimeField(dst, `,"ported_at":`, l.PortedAt)
	dst = appendTri(dst, `,"portable":`, l.Portable)
	dst = appendTri(dst, `,"fast_portable":`, l.FastPortable)
	dst = appendField(dst, `,"not_portable_reason":`, l.NotPortableReason)
	dst = appendCarrier(dst, `,"original_carrier":`, l.OriginalCarrier)
	dst = appendCarrier(dst, `,"current_carrier":`, l.CurrentCarrier)
	dst = appendField(dst, `,"mcc":`, l.MCC)
	dst = appendField(dst, `,"mnc":`, l.MNC)
	dst = appendField(dst, `,"reachable":`, string(l.Reachable))
	dst = appendField(dst, `,"roaming":`, string(l.Roaming))
	dst = appendField(dst, `,"ringing":`, string(l.Ringing))
	dst = appendField(dst, `,"answered":`, string(l.Answered))
	dst = appendField(dst, `,"call_response":`, l.CallResponse)
	dst = appendList(dst, `,"time_zones":`, l.TimeZones)
	if l.Porting != nil {
		dst = append(dst, `,"porting":`...)
		dst = appendPorting(dst, l.Porting)
	}
	return closeObject(dst, start)
}

func appendPorting(dst []byte, p *Porting) []byte {
	start := len(dst)
	dst = appendField(dst, `,"order_id":`, p.OrderID)
	dst = appendField(dst, `,"order_status":`, p.OrderStatus)
	dst = appendField(dst, `,"activation_status":`, p.ActivationStatus)
	dst = appendTimeField(dst, `,"foc_at":`, p.FOCAt)
	dst = appendList(dst, `,"exceptions":`, p.Exceptions)
	return closeObject(dst, start)
}

// appendList appends name and the texts, unless there are none.
func appendList(dst []byte, name string, texts []string) []byte {
	if len(texts) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i, s := range texts[:min(len(texts), maxList)] {
		if i == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = appendText(dst, clip(s, maxListText))
	}
	return append(dst, ']')
}

func appendTri(dst []byte, name string, t Tri) []byte {
	if t == Unknown {
		return dst
	}
	dst = append(dst, name...)
	return strconv.AppendBool(dst, t == Yes)
}

func appendCarrier(dst []byte, name string, c Carrier) []byte {
	if c == (Carrier{}) {
		return dst
	}
	dst = append(dst, name...)
	start := len(dst)
	dst = appendField(dst, `,"id":`, c.ID)
	dst = appendField(dst, `,"name":`, c.Name)
	return closeObject(dst, start)
}
