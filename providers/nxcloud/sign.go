package nxcloud

import (
	"crypto/md5" //nolint:gosec // the vendor's signature is MD5
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// Fixed values of the product, also for queries.
const (
	action  = "numbercheck"
	bizType = "1"
)

// headers are what is signed beside the body.
type headers struct {
	accessKey, action, bizType string
	// ts is in milliseconds and may be 60 s off the vendor's clock.
	ts string
}

// sign makes the vendor's signature: the MD5 of four headers in ASCII order, the
// very bytes of the body unless it is empty, and the secret; nothing is escaped.
func (h headers) sign(body []byte, secret providers.Secret) string {
	text := []byte("accessKey=" + h.accessKey + "&action=" + h.action + "&bizType=" + h.bizType + "&ts=" + h.ts)
	if len(body) > 0 {
		text = append(append(text, "&body="...), body...)
	}
	text = append(append(text, "&accessSecret="...), secret.Reveal()...)
	sum := md5.Sum(text) //nolint:gosec // the vendor's signature is MD5
	return hex.EncodeToString(sum[:])
}

// signed are the headers of one request, their names written as the vendor does.
func signed(a account, secret providers.Secret, body []byte, at time.Time) http.Header {
	h := headers{a.AccessKey.Reveal(), action, bizType, strconv.FormatInt(at.UnixMilli(), 10)}
	return http.Header{
		"accessKey": {h.accessKey}, "action": {h.action}, "bizType": {h.bizType}, "ts": {h.ts}, "sign": {h.sign(body, secret)},
	}
}

// now is the vendor's time, as far as its replies have told.
func (p *Provider) now() time.Time { return p.clock().Add(time.Duration(p.skew.Load())) }

// measureSkew notes how far the vendor's clock is ahead of ours, from the Date of
// a reply that found our time stale. Dates have whole seconds.
func (p *Provider) measureSkew(h http.Header) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		p.skew.Store(int64(date.Add(time.Second / 2).Sub(p.clock())))
	}
}
