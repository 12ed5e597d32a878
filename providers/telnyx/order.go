package telnyx

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// listedOrder is the part of a porting order that is read. The rest, which holds
// account number, PIN and tax id, is skipped while decoding; nothing else may be
// added here without asking whether it may be told.
type listedOrder struct {
	ID        text `json:"id"`
	CreatedAt text `json:"created_at"`
	Status    struct {
		Value   text `json:"value"`
		Details []struct {
			Code text `json:"code"`
		} `json:"details"`
	} `json:"status"`
	ActivationSettings struct {
		ActivationStatus     text `json:"activation_status"`
		FOCDatetimeActual    text `json:"foc_datetime_actual"`
		FOCDatetimeRequested text `json:"foc_datetime_requested"`
	} `json:"activation_settings"`
	PortingPhoneNumbersCount count          `json:"porting_phone_numbers_count"`
	PhoneNumbers             []listedNumber `json:"phone_numbers"`
}

// listedNumber is the part of a porting number that is read.
type listedNumber struct {
	PhoneNumber        text `json:"phone_number"`
	ActivationStatus   text `json:"activation_status"`
	PortingOrderID     text `json:"porting_order_id"`
	PortingOrderStatus text `json:"porting_order_status"`
}

// order is what is kept of a porting order.
type order struct {
	id         string // a UUID, or ""
	status     string
	activation string
	created    time.Time // zero: not known
	foc        time.Time
	exceptions []string
}

// readOrder reads an order; false if a field that counts is of a senseless type.
func readOrder(raw json.RawMessage) (*listedOrder, bool) {
	var l listedOrder
	if json.Unmarshal(raw, &l) != nil {
		return nil, false
	}
	odd := l.ID.odd || l.Status.Value.odd || !isUUID(l.ID.s)
	for _, d := range l.Status.Details {
		odd = odd || d.Code.odd
	}
	for _, n := range l.PhoneNumbers {
		odd = odd || n.PhoneNumber.digits() == ""
	}
	return &l, !odd
}

// order copies what may be told.
func (l *listedOrder) order() *order {
	o := &order{
		id: l.ID.s, status: l.Status.Value.status(), activation: l.ActivationSettings.ActivationStatus.status(),
		created: l.CreatedAt.time(), foc: l.ActivationSettings.FOCDatetimeActual.time(),
	}
	if o.foc.IsZero() {
		o.foc = l.ActivationSettings.FOCDatetimeRequested.time()
	}
	for _, d := range l.Status.Details {
		if code := d.Code.code(); code != "" {
			o.exceptions = append(o.exceptions, code)
		}
	}
	return o
}

// cancelled: a "cancel-pending" order is not, yet.
func (o *order) cancelled() bool { return o.status == "cancelled" }

// before is the order in which orders count for a number: those that are not
// cancelled first, then those created later. An order whose time is not known is
// taken for the newest: it is one that came while the list was being read.
func (o *order) before(other *order) bool {
	switch {
	case o.cancelled() != other.cancelled():
		return other.cancelled()
	case o.created.IsZero() || other.created.IsZero():
		return o.created.IsZero() && !other.created.IsZero()
	}
	return o.created.After(other.created)
}

// found is a number's outcome by its order. activation is the number's own, which
// goes before its order's.
func (o *order) found(n providers.Number, activation string, raw bool) providers.Outcome {
	porting := &providers.Porting{
		OrderID: o.id, OrderStatus: o.status, ActivationStatus: first(activation, o.activation),
		FOCAt: o.foc, Exceptions: o.exceptions,
	}
	out := providers.Outcome{Kind: providers.Found, Facts: providers.Facts{Porting: porting}}
	if raw {
		out.Raw = rawOf(n, porting)
	}
	return out
}

// rawOf is the raw object of a porting answer. Unlike that of the other
// operations it is made of what may be told, and never of the reply.
func rawOf(n providers.Number, p *providers.Porting) []byte {
	told := struct {
		PhoneNumber      string     `json:"phone_number"`
		OrderID          string     `json:"porting_order_id,omitempty"`
		OrderStatus      string     `json:"porting_order_status,omitempty"`
		ActivationStatus string     `json:"activation_status,omitempty"`
		FOCDatetime      *time.Time `json:"foc_datetime,omitempty"`
		Exceptions       []string   `json:"exceptions,omitempty"`
	}{n.E164, p.OrderID, p.OrderStatus, p.ActivationStatus, nil, p.Exceptions}
	if !p.FOCAt.IsZero() {
		told.FOCDatetime = &p.FOCAt
	}
	b, err := json.Marshal(told)
	if err != nil {
		return nil // strings and a time of our own reading: does not happen
	}
	return b
}

// pageOf asks for a page of a list; page 0 leaves it to the server.
func pageOf(number, size int) url.Values {
	v := url.Values{"page[size]": {strconv.Itoa(size)}}
	if number > 0 {
		v.Set("page[number]", strconv.Itoa(number))
	}
	return v
}
