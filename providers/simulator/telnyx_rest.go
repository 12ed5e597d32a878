package simulator

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// nothingThere answers what no document describes.
func (c *telnyxCall) nothingThere() bool {
	c.fail(telnyxNotFound, "The requested resource or URL could not be found.")
	return false
}

// otherReads are the endpoints that change nothing and that no lookup needs.
func (d telnyxDesk) otherReads(mux *http.ServeMux) {
	empty := func(c *telnyxCall) bool { list(c, []any{}); return true }
	ofOrder := func(tell func(c *telnyxCall, o *order)) func(*telnyxCall) bool {
		return func(c *telnyxCall) bool {
			o, ok := c.byID()
			if ok {
				tell(c, o)
			}
			return ok
		}
	}
	for _, path := range [...]string{
		"/porting_orders/phone_number_configurations", "/porting/loa_configurations", "/porting/reports",
	} {
		d.route(mux, "GET "+path, "other_read", empty, nil)
	}
	for _, path := range [...]string{
		"activation_jobs", "additional_documents", "comments", "requirements", "verification_codes",
		"action_requirements", "associated_phone_numbers", "phone_number_blocks", "phone_number_extensions",
	} {
		d.route(mux, "GET /porting_orders/{id}/"+path, "other_read", ofOrder(func(c *telnyxCall, _ *order) { list(c, []any{}) }), nil)
	}
	for _, path := range [...]string{"/porting_orders/{id}/activation_jobs/{job}", "/porting/loa_configurations/{loa}", "/porting/reports/{report}"} {
		d.route(mux, "GET "+path, "other_read", (*telnyxCall).nothingThere, nil)
	}
	d.route(mux, "GET /porting_orders/exception_types", "exception_types", (*telnyxCall).exceptionTypes, nil)
	d.route(mux, "GET /porting_orders/{id}/allowed_foc_windows", "other_read", ofOrder((*telnyxCall).focWindows), nil)
	d.route(mux, "GET /porting_orders/{id}/sub_request", "other_read", ofOrder(func(c *telnyxCall, o *order) {
		c.data(http.StatusOK, map[string]string{"port_request_id": strconv.Itoa(o.index), "sub_request_id": strconv.Itoa(o.index)})
	}), nil)
	d.route(mux, "GET /porting_orders/{id}/loa_template", "other_read", ofOrder(func(c *telnyxCall, _ *order) { c.pdf() }), nil)
	d.route(mux, "GET /porting/loa_configurations/{loa}/preview", "other_read", func(c *telnyxCall) bool { c.pdf(); return true }, nil)
	d.route(mux, "POST /porting/loa_configurations/preview", "other_read", func(c *telnyxCall) bool { c.pdf(); return true }, nil)
	d.route(mux, "GET /porting/uk_carriers", "other_read", (*telnyxCall).ukCarriers, nil)
	d.route(mux, "GET /porting/events", "events", (*telnyxCall).listEvents, nil)
	d.route(mux, "GET /porting/events/{event}", "events", (*telnyxCall).getEvent, nil)
}

// mutations are the endpoints that change something, cost money or move numbers.
// They are here to be counted: a lookup worker must never reach one.
func (d telnyxDesk) mutations(mux *http.ServeMux) {
	for _, pattern := range [...]string{
		"POST /porting_orders", "PATCH /porting_orders/{id}", "DELETE /porting_orders/{id}",
		"POST /porting_orders/{id}/actions/activate", "POST /porting_orders/{id}/actions/cancel",
		"POST /porting_orders/{id}/actions/confirm", "POST /porting_orders/{id}/actions/share",
		"PATCH /porting_orders/{id}/activation_jobs/{job}",
		"POST /porting_orders/{id}/additional_documents", "DELETE /porting_orders/{id}/additional_documents/{document}",
		"POST /porting_orders/{id}/comments",
		"POST /porting_orders/{id}/verification_codes/send", "POST /porting_orders/{id}/verification_codes/verify",
		"POST /porting_orders/{id}/action_requirements/{requirement}/initiate",
		"POST /porting_orders/{id}/associated_phone_numbers", "DELETE /porting_orders/{id}/associated_phone_numbers/{number}",
		"POST /porting_orders/{id}/phone_number_blocks", "DELETE /porting_orders/{id}/phone_number_blocks/{block}",
		"POST /porting_orders/{id}/phone_number_extensions", "DELETE /porting_orders/{id}/phone_number_extensions/{extension}",
		"POST /porting_orders/phone_number_configurations",
		"POST /porting/loa_configurations", "PATCH /porting/loa_configurations/{loa}", "DELETE /porting/loa_configurations/{loa}",
		"POST /porting/reports", "POST /porting/events/{event}/republish",
	} {
		d.route(mux, pattern, "mutation "+pattern, func(c *telnyxCall) bool {
			c.data(http.StatusOK, map[string]string{"record_type": "porting_order"})
			return true
		}, nil)
	}
}

func (c *telnyxCall) exceptionTypes() bool {
	out := make([]map[string]string, 0, len(exceptionTypes()))
	for _, e := range exceptionTypes() {
		out = append(out, map[string]string{"code": e, "description": "The order has an exception: " + e})
	}
	c.data(http.StatusOK, out)
	return true
}

func (c *telnyxCall) focWindows(o *order) {
	from := o.created.AddDate(0, 0, 10)
	c.data(http.StatusOK, []map[string]string{{
		"record_type": "porting_order", "started_at": from.Format(time.RFC3339), "ended_at": from.Add(time.Hour).Format(time.RFC3339),
	}})
}

func (c *telnyxCall) ukCarriers() bool {
	c.data(http.StatusOK, []map[string]any{{
		"record_type": "porting_uk_carrier", "id": "0f7b4a1e-6f2e-4c1d-8a6e-2f0f3c9d5b11", "name": "CARRIER LIMITED", "cupid": "100",
		"alternative_cupids": []string{"101"}, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
	}})
	return true
}

// pdf answers with a file.
func (c *telnyxCall) pdf() {
	c.w.Header().Set("Content-Type", "application/pdf")
	c.reply = []byte("%PDF-1.4\n%%EOF\n")
}

// events tell the status changes of the orders, one each, and one of a kind that
// no document has.
func (c *telnyxCall) events() []map[string]any {
	var out []map[string]any
	for _, o := range c.profile.orders() {
		event := map[string]any{
			"record_type": "porting_event", "id": "ev-" + o.id, "event_type": "porting_order.status_changed", "porting_order_id": o.id,
			"available_notification_methods": []string{"email", "webhook"}, "payload_status": "created",
			"created_at": o.created.Format(time.RFC3339), "updated_at": o.created.Format(time.RFC3339),
			"payload": map[string]any{
				"id": o.id, "customer_reference": o.customer, "support_key": o.support, "webhook_url": nil,
				"status": map[string]any{"value": o.status, "details": []any{}}, "updated_at": o.created.Format(time.RFC3339),
			},
		}
		if o.index == 1 {
			event["event_type"], event["payload"] = "porting_order.of_tomorrow", map[string]any{"what": "ever"}
		}
		out = append(out, event)
	}
	return out
}

func (c *telnyxCall) listEvents() bool {
	q := c.r.URL.Query()
	list(c, slices.DeleteFunc(c.events(), func(e map[string]any) bool {
		kind, id := q.Get("filter[type]"), q.Get("filter[porting_order_id]")
		return kind != "" && kind != e["event_type"] || id != "" && id != e["porting_order_id"]
	}))
	return true
}

func (c *telnyxCall) getEvent() bool {
	for _, e := range c.events() {
		if e["id"] == c.r.PathValue("event") {
			c.data(http.StatusOK, e)
			return true
		}
	}
	return c.nothingThere()
}
