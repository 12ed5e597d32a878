package tickets

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
)

const (
	// maxReceipt is how large a receipt may be; real ones have some 500 bytes.
	maxReceipt = 64 << 10
	// receiptTime bounds the wait for JetStream: upstreams wait some seconds, and
	// come again.
	receiptTime = 5 * time.Second
	tokenLength = 64
)

// ServeReceipt takes a receipt that the upstream posts to the callback address of
// a ticket; token is the last part of its path. The reply is 200 once JetStream
// has the receipt, also if it had it before. 404: unknown token, or a receipt of
// another ticket or number. 400: no receipt. 405, 413: not a POST, too large.
// 503: NATS is away, come again. Replies say no more than their status.
func (d *Desk) ServeReceipt(w http.ResponseWriter, r *http.Request, token string) {
	status := d.receive(w, r, token)
	switch status {
	case http.StatusOK:
	case http.StatusServiceUnavailable:
		d.count.deferred.Add(1)
	default:
		d.count.rejected.Add(1)
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// receive does what ServeReceipt says and returns the status.
func (d *Desk) receive(w http.ResponseWriter, r *http.Request, token string) int {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	t, sure := d.ticketOf(token)
	switch {
	case t == nil && sure:
		return http.StatusNotFound
	case t == nil:
		return http.StatusServiceUnavailable
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceipt))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	}
	receipt, err := d.receipt(body, false)
	if err != nil {
		return http.StatusBadRequest
	}
	i, ok := t.place(receipt)
	if !ok || receipt.Ticket != t.id {
		return http.StatusNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), receiptTime)
	defer cancel()
	fresh, err := d.storeReceipt(ctx, t, i, body)
	switch {
	case err != nil:
		return http.StatusServiceUnavailable
	case fresh:
		d.count.receipts.Add(1)
	default:
		d.count.duplicates.Add(1)
	}
	return http.StatusOK
}

// place is the index of the receipt's number in t; false if it has none.
func (t *ticket) place(r providers.Receipt) (int, bool) {
	number, ok := parseNumber(r.Number)
	if !ok {
		return 0, false
	}
	i := t.find(number)
	return i, i >= 0
}

// ticketOf finds a ticket by its callback token. Looked up is a hash, so the time
// it takes tells nothing of any token. sure is false while the index may lack tickets.
func (d *Desk) ticketOf(token string) (t *ticket, sure bool) {
	if len(token) != tokenLength {
		return nil, true
	}
	hash := sha256.Sum256([]byte(token))
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.index.tokens[hash], d.view.complete && d.view.watching
}

// storeReceipt stores the receipt of number i; fresh is false if there was one.
// nil means that JetStream has one.
func (d *Desk) storeReceipt(ctx context.Context, t *ticket, i int, body []byte) (fresh bool, err error) {
	if d.isAnswered(t, i) {
		return false, nil
	}
	_, err = d.store(ctx, d.message(t.id+"."+strconv.Itoa(i), body, ticketTTL, 0))
	if !isConflict(err) {
		return true, err
	}
	// A cluster also says so while another copy is only on its way to the disk:
	// believed is what the watcher brings.
	if err := d.catchUp(ctx); err != nil {
		return false, err
	}
	if !d.isAnswered(t, i) {
		return false, errConflict
	}
	return false, nil
}

var errConflict = errors.New("another receipt of the number is being stored")

func (d *Desk) isAnswered(t *ticket, i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return t.answered.has(i)
}
