package qxt

import (
	"net/http"
	"net/url"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const (
	contentJSON = "application/json"
	contentForm = "application/x-www-form-urlencoded"
)

// batchRequest is {"ApiKey":…,"PhoneNumbers":[…]}. The vendor's names are
// case-sensitive, and differ from those of the other calls.
func batchRequest(q providers.Query) upstream.Request {
	body := make([]byte, 0, 128+len(q.Numbers)*(mobileDigits+3))
	body = append(append(append(body, `{"ApiKey":`...), upstream.Quote(q.Key.Secret.Reveal())...), `,"PhoneNumbers":[`...)
	for i, n := range q.Numbers {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), n.National...), '"') // digits only
	}
	body = append(body, ']', '}')
	return post("/carrier_batch", contentJSON, body, q.Key)
}

// singleRequest and balanceRequest are forms: with GET, which the vendor shows,
// the key would end up in access logs.
func singleRequest(q providers.Query) upstream.Request {
	form := url.Values{"apikey": {q.Key.Secret.Reveal()}, "mobile": {q.Numbers[0].National}}
	return post("/carrier", contentForm, []byte(form.Encode()), q.Key)
}

func balanceRequest(key providers.Key) upstream.Request {
	form := url.Values{"apikey": {key.Secret.Reveal()}}
	return post("/balance", contentForm, []byte(form.Encode()), key)
}

func post(path, contentType string, body []byte, key providers.Key) upstream.Request {
	return upstream.Request{
		Method: http.MethodPost, Path: path, ContentType: contentType, Body: body, Secrets: []providers.Secret{key.Secret},
	}
}
