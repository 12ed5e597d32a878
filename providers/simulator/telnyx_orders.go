package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What stands in every porting order and must never leave a provider.
const (
	PlantedAccount = "ACCOUNT-55021-SECRET"
	PlantedPIN     = "PIN-9917-SECRET"
	PlantedTaxID   = "TAX-78-1234567-SECRET"
)

// order is one porting order.
type order struct {
	index                     int
	id, status, activation    string
	focRequested, focActual   string
	exceptions                []string
	created                   time.Time
	numbers                   []string
	customer, support, parent string
}

// embedded is how many numbers of an order are shown inside it.
const embedded = 50

// orders are all porting orders of the account, the oldest first.
func (p *Profile) orders() []order {
	out := make([]order, p.orderCount())
	next := 0
	for i := range out {
		size := p.orderSize(i)
		out[i] = p.order(i, orderNumbers(next, size))
		next += size
	}
	return out
}

func (p *Profile) orderCount() int {
	const usual = 60
	if p.Telnyx.Orders == 0 {
		return usual
	}
	return p.Telnyx.Orders
}

func (p *Profile) orderSize(i int) int {
	const large, few = 120, 5
	if i == 0 {
		return large
	}
	return 1 + p.dice(UpstreamTelnyx).pick(saltOrder, strconv.Itoa(i), few)
}

// ordersPrefix is how all numbers with orders begin; a running number follows.
const ordersPrefix = "+130320"

func orderNumbers(first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(ordersPrefix+"%05d", first+i)
	}
	return out
}

// orderOf finds the order of a number without making all of them.
func (p *Profile) orderOf(e164 string) (order, bool) {
	rest, ok := strings.CutPrefix(e164, ordersPrefix)
	at, err := strconv.Atoi(rest)
	if !ok || err != nil || !digits(rest) || len(e164) != len(ordersPrefix)+5 {
		return order{}, false
	}
	first := 0
	for i := range p.orderCount() {
		size := p.orderSize(i)
		if at < first+size {
			return p.order(i, orderNumbers(first, size)), true
		}
		first += size
	}
	return order{}, false
}

// TelnyxNumbers are the numbers, in E.164, that a porting order exists for.
func (p *Profile) TelnyxNumbers() []string {
	var out []string
	for _, o := range p.orders() {
		out = append(out, o.numbers...)
	}
	return out
}

// order makes the i-th order.
func (p *Profile) order(i int, numbers []string) order {
	d := p.dice(UpstreamTelnyx)
	name := strconv.Itoa(i)
	statuses := [...]string{"draft", "in-process", "submitted", "exception", "foc-date-confirmed", "cancel-pending", "ported", "cancelled"}
	o := order{
		index: i, numbers: numbers, status: statuses[d.pick(saltAnswer, name, len(statuses))], activation: "New",
		created:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour),
		customer: "customer-" + name, support: "PR-" + name, parent: "PR-" + strconv.Itoa(i/10),
	}
	h, g := d.hash(saltOrder, "id"+name), d.hash(saltReason, "id"+name)
	o.id = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(h>>32), uint16(h>>16), h&0xfff, g>>52, g&0xffffffffffff)
	foc := o.created.AddDate(0, 0, 10)
	switch o.status {
	case "draft":
	case "ported":
		o.activation = "Active"
		o.focActual = foc.Add(time.Hour).Format(time.RFC3339)
		o.focRequested = foc.Format(time.RFC3339)
	case "exception":
		o.activation = "Conflict"
		kinds := exceptionTypes()
		o.exceptions = []string{kinds[d.pick(saltReason, name, len(kinds))]}
		o.focRequested = foc.Format(time.RFC3339)
	default:
		o.activation = "Pending"
		o.focRequested = foc.Format(time.RFC3339)
	}
	return o
}

func exceptionTypes() []string {
	return []string{
		"ACCOUNT_NUMBER_MISMATCH", "AUTH_PERSON_MISMATCH", "BTN_ATN_MISMATCH", "ENTITY_NAME_MISMATCH", "FOC_EXPIRED", "FOC_REJECTED",
		"LOCATION_MISMATCH", "LSR_PENDING", "MAIN_BTN_PORTING", "OSP_IRRESPONSIVE", "OTHER", "PASSCODE_PIN_INVALID",
		"PHONE_NUMBER_HAS_SPECIAL_FEATURE", "PHONE_NUMBER_MISMATCH", "PHONE_NUMBER_NOT_PORTABLE", "PORT_TYPE_INCORRECT",
		"PORTING_ORDER_SPLIT_REQUIRED", "POSTAL_CODE_MISMATCH", "RATE_CENTER_NOT_PORTABLE", "SV_CONFLICT", "SV_UNKNOWN_FAILURE",
	}
}

// activationOf is the status of one number of an order, which may be ahead of the
// order's.
func (o *order) activationOf(n string) string {
	if o.activation == "Pending" {
		return [...]string{"Pending", "Concurred", "Activate RDY", "Concurrence Sent"}[n[len(n)-1]%4]
	}
	return o.activation
}

// phoneNumber is a number of an order as the vendor lists it, without '+'.
func (o *order) phoneNumber(n string) map[string]any {
	return map[string]any{
		"record_type": "porting_phone_number", "phone_number": strings.TrimPrefix(n, "+"), "phone_number_type": "local",
		"activation_status": o.activationOf(n), "portability_status": "confirmed", "porting_order_id": o.id,
		"porting_order_status": o.status, "requirements_status": "approved", "support_key": o.support,
	}
}

// json is the order as the vendor tells it, with what must not leave a provider.
func (o *order) json(withNumbers bool) map[string]any {
	numbers := []map[string]any{}
	if withNumbers {
		for _, n := range o.numbers[:min(embedded, len(o.numbers))] {
			numbers = append(numbers, o.phoneNumber(n))
		}
	}
	details := []map[string]string{}
	for _, e := range o.exceptions {
		details = append(details, map[string]string{"code": e, "description": "The order has an exception: " + e})
	}
	return map[string]any{
		"record_type": "porting_order", "id": o.id, "status": map[string]any{"value": o.status, "details": details},
		"phone_numbers": numbers, "porting_phone_numbers_count": len(o.numbers), "phone_number_type": "local",
		"activation_settings": map[string]any{
			"activation_status": o.activation, "fast_port_eligible": o.index%2 == 0,
			"foc_datetime_actual": nilIfEmpty(o.focActual), "foc_datetime_requested": nilIfEmpty(o.focRequested),
		},
		"additional_steps": []string{}, "documents": map[string]any{"loa": nil, "invoice": nil},
		"end_user": map[string]any{
			"admin": map[string]any{
				"entity_name": "Porter McPortersen", "auth_person_name": "Porter McPortersen", "billing_phone_number": o.numbers[0],
				"account_number": PlantedAccount, "pin_passcode": PlantedPIN, "tax_identifier": PlantedTaxID, "business_identifier": PlantedTaxID,
			},
			"location": map[string]any{"street_address": "600 Congress Avenue", "locality": "Austin", "postal_code": "78701", "country_code": "US"},
		},
		"messaging": map[string]any{}, "misc": map[string]any{"type": "full"}, "old_service_provider_ocn": "Unreal Communications",
		"parent_support_key": o.parent, "phone_number_configuration": map[string]any{}, "requirements": []any{}, "requirements_met": true,
		"support_key": o.support, "user_feedback": map[string]any{}, "user_id": "user", "webhook_url": nil,
		"customer_reference": o.customer, "customer_group_reference": nil, "description": "",
		"created_at": o.created.Format(time.RFC3339), "updated_at": o.created.Add(time.Hour).Format(time.RFC3339),
	}
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// contains is the filter on a part of a number, in either of its spellings.
func contains(r *http.Request) string {
	q := r.URL.Query()
	if v := q.Get("filter[phone_numbers][phone_number][contains]"); v != "" {
		return v
	}
	return q.Get("filter[phone_numbers.phone_number][contains]")
}

func readFilter(c *telnyxCall) bool {
	if n := contains(c.r); n != "" {
		c.numbers = []string{n}
	}
	return true
}

// listOrders lists porting orders; with a filter on a number it asks for that number.
func (c *telnyxCall) listOrders() bool {
	q := c.r.URL.Query()
	part := contains(c.r)
	if part != "" {
		if e, ok := c.passingError(); ok {
			c.fail(e.Code, e.Reason)
			return false
		}
		c.paid = c.numbers
		if c.up.happens(c.common.Missing) {
			return true
		}
	}
	var found []order
	for _, o := range c.profile.orders() {
		if part != "" && !slices.ContainsFunc(o.numbers, func(n string) bool { return strings.Contains(n, part) }) {
			continue
		}
		if ref := q.Get("filter[customer_reference]"); ref != "" && ref != o.customer {
			continue
		}
		found = append(found, o)
	}
	if part != "" && c.up.happens(c.common.Extra) {
		found = append(found, c.profile.order(1<<20, []string{"+13025550100"}))
	}
	if v := q.Get("sort[value]"); v != "created_at" {
		slices.Reverse(found) // -created_at is the default
	}
	out := make([]map[string]any, len(found))
	for i := range found {
		out[i] = found[i].json(q.Get("include_phone_numbers") == "true")
	}
	list(c, out)
	return true
}

func (c *telnyxCall) getOrder() bool {
	o, ok := c.byID()
	if ok {
		c.data(http.StatusOK, o.json(c.r.URL.Query().Get("include_phone_numbers") == "true"))
	}
	return ok
}

// byID finds the order of the path, or answers that there is none.
func (c *telnyxCall) byID() (*order, bool) {
	for _, o := range c.profile.orders() {
		if o.id == c.r.PathValue("id") {
			return &o, true
		}
	}
	c.fail(telnyxNotFound, "")
	return nil, false
}

func (c *telnyxCall) listNumbers() bool {
	status := c.r.URL.Query().Get("filter[porting_order_status]")
	var out []map[string]any
	for _, o := range c.profile.orders() {
		if status != "" && status != o.status {
			continue
		}
		for _, n := range o.numbers {
			out = append(out, o.phoneNumber(n))
		}
	}
	list(c, out)
	return true
}

// orderTruth is what the orders say of a number. Its fate elsewhere is none here:
// the account's own lists hold what was ordered.
func (p *Profile) orderTruth(e164 string) Truth {
	t := Truth{Number: e164, Status: StatusNotFound}
	o, ok := p.orderOf(e164)
	if !ok {
		return t
	}
	found := &Porting{OrderID: o.id, OrderStatus: o.status, ActivationStatus: o.activationOf(e164), FOCAt: o.focRequested, Exceptions: o.exceptions}
	if o.focActual != "" {
		found.FOCAt = o.focActual
	}
	t.Status, t.Lookup = StatusOK, &Lookup{Porting: found}
	return t
}
