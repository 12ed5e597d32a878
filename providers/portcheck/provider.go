// Package portcheck asks whether a number was ported, who issued it and who
// serves it now, at ToolKK's "Mobile Number Portability Check API" and any other
// product of the same idea: one number a call, JSON back. What comes in is one
// number and one key, what goes out its outcome. It holds no state, is safe in
// parallel and needs no stopping.
//
// The vendor's page (https://www.toolkk.com/apis/mobile-transfer) shows one
// request and one reply and nothing else: no address, method, header, error code,
// rate or price. The defaults are that sample; what the page leaves open is
// configured, and base_url and path have to be:
//
//	base_url: https://…
//	settings:
//	  path: /…
//	  method: POST                    # or GET: the number and extra_body go into the query
//	  content_type: application/json  # or application/x-www-form-urlencoded
//	  auth:
//	    mode: header                  # bearer, appcode (Authorization: APPCODE …), query, none
//	    header: Authorization         # X-API-Key, token …
//	    prefix: ""                    # before the key; "Bearer " and "APPCODE " in those modes
//	    param: ""                     # query only: the name of the key in the address
//	  extra_headers: {}
//	  extra_body: {}                  # further fields of the request
//	  request_field: mobile_number
//	  number_format: national         # 13800138000; digits: 8613800138000; e164: +8613800138000
//	  countries: [CN]                 # of CN mobiles only
//	  success_codes: [SUCCESS]
//	  code_map: {}                    # what another code means, before the words of its message; actions below
//	  transfer_map: {}                # word: ported, not_ported or unknown, before the built-in words
//	  operator_map: {}                # word: china_mobile …, an id of your own, virtual or unknown
//	  fields:                         # where things are in the reply: names and list indexes with dots, "" for nowhere
//	    code: code                    # "": there is none, a reply with data is success
//	    message: message
//	    data: data                    # null or empty: not found; "": the reply itself
//	    transfer: data.transfer
//	    original: data.originalOperator
//	    current: data.currentOperator
//	    number: ""                    # repeated number, compared with the asked one
//	    area: ""                      # or province and city
//	    province: ""
//	    city: ""
//	    line_type: ""
//	    mcc: ""
//	    mnc: ""
//
// The actions of code_map: invalid_number, not_found, reject_number (about the
// number); retry, unknown (retried, not for long); pause_key, no_balance,
// disable_key, forbidden (about the key); bug (our request is malformed),
// misconfigured (pauses the provider).
//
// With auth.mode query the key is part of the address: the upstream, and whatever
// ends TLS in front of it, will have it in their access logs. Nothing here logs or
// repeats an address, and it is only sent over TLS, or to this machine. Use it
// where the product knows no other way.
//
// Nothing is known of the price. Count every reply other than 5xx as one unit of
// the key's price, numbers that were not found too: similar products sell packs
// of calls.
package portcheck

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

const (
	// partition is the one there is: no call has more than one number.
	partition = "number"
	// maxBody caps a reply, which speaks of one number.
	maxBody = 1 << 20
	// maxTries is how many calls may fail for a number by the upstream's fault.
	maxTries = 5

	callingCodeCN = "86"
	isoCN         = "CN"
	mobileDigits  = 11
)

// Provider is one configured product. It implements providers.Provider.
type Provider struct {
	client *upstream.Client
	clock  func() time.Time
	asking asking
	words  vocabulary
	fields fields
	// countries has the ISO code of each calling code that is served, "" for one
	// that several countries share.
	countries  map[string]string
	outOfScope *providers.Failure
}

var _ providers.Provider = (*Provider)(nil)

// New builds the provider; the error has every fault of the configuration.
func New(cfg setup.Config) (*Provider, error) {
	s, settingsErr := readSettings(cfg)
	client, err := newClient(cfg)
	if err := setup.Join("", err, settingsErr); err != nil {
		return nil, err
	}
	p := &Provider{
		client: client, clock: cfg.Clock, asking: newAsking(&s), words: newVocabulary(&s),
		fields: s.Fields, countries: s.Countries,
		outOfScope: &providers.Failure{Kind: providers.KindUnsupported, Message: "the number is of no country that is configured, or no mobile of mainland China"},
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	return p, nil
}

func newClient(cfg setup.Config) (*upstream.Client, error) {
	if cfg.BaseURL == "" {
		return nil, setup.FieldError{
			Path: "base_url", Problem: "is missing; the vendor's page names no address, so write the one that came with your account, like https://api.example.com",
		}
	}
	return upstream.New(upstream.Config{BaseURL: cfg.BaseURL, Transport: cfg.Transport, Clock: cfg.Clock, MaxBody: maxBody})
}

// Limits are what a careful client of an unknown service takes; one number a call
// follows from the sample.
func (p *Provider) Limits() providers.Limits {
	return providers.Limits{MaxBatch: 1, DefaultBatch: 1, Timeout: 8 * time.Second, Concurrency: 4, Rate: 5}
}

// Partition accepts numbers of the configured countries; of mainland China only
// mobiles, 11 digits from 13 to 19.
func (p *Provider) Partition(n providers.Number, _ providers.Options) (string, *providers.Failure) {
	_, served := p.countries[n.CountryCode]
	if !served || n.CountryCode == callingCodeCN && !mobileCN(n.National) {
		return "", p.outOfScope
	}
	return partition, nil
}

func mobileCN(national string) bool {
	return len(national) == mobileDigits && national[0] == '1' && national[1] >= '3'
}

// Call asks for the one number of q. The number is not repeated in the reply, so
// nothing but the call itself joins the two.
func (p *Provider) Call(ctx context.Context, q providers.Query) providers.Reply {
	if len(q.Numbers) != 1 {
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindTooMany, Message: "one number a call"}}
	}
	req := p.asking.request(q.Key, q.Numbers[0])
	res, failure := p.client.Do(ctx, req)
	r := &reading{p: p, q: &q, res: &res, secrets: req.Secrets}
	if failure != nil {
		return r.refused(failure)
	}
	return r.read()
}
