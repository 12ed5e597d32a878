// Package qxt looks up mainland China mobiles at QXT (企讯通, isp.qxt800.com): who
// issued a number, who serves it now, whether it was ported. What comes in is up
// to 1000 numbers and one key, what goes out an outcome for each. It holds no
// state, is safe in parallel and needs no stopping.
//
// The vendor's document survives only as a scan, so codes and reasons can be given
// a meaning in the configuration, which is looked at before the built-in tables:
//
//	settings:
//	  single_call: true        # one number goes by the single call (default), not by a batch of one
//	  code_actions:            # what a code means
//	    "-3": retry
//	  reason_actions:          # what words in a reason mean; the first that matches counts, before code_actions
//	    - {any: [次数, 用完], action: no_balance}
//	    - {all: [apikey], any: [过期, 停用], action: disable_key}
//
// The actions: invalid_number, not_found, reject_number (about one number); retry,
// unknown (retried, not for long); pause_key, no_balance, disable_key, forbidden
// (about the key); split (batch too large); bug (our request is malformed).
package qxt

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// DefaultBaseURL is the documented address.
const DefaultBaseURL = "https://isp.qxt800.com"

// partition is the one there is: any mobiles may share a batch.
const partition = "cn"

// Provider is the QXT upstream. It implements providers.Provider and
// providers.BalanceReader.
type Provider struct {
	client     *upstream.Client
	classifier classifier
	singleCall bool
	outOfScope *providers.Failure
}

var (
	_ providers.Provider      = (*Provider)(nil)
	_ providers.BalanceReader = (*Provider)(nil)
)

// New builds the provider; the error has every fault of the configuration.
func New(cfg setup.Config) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	s, settingsErr := readSettings(cfg.Settings)
	client, err := upstream.New(upstream.Config{BaseURL: cfg.BaseURL, Transport: cfg.Transport, Clock: cfg.Clock})
	if err := setup.Join("", err, settingsErr); err != nil {
		return nil, err
	}
	return &Provider{
		client: client, singleCall: s.SingleCall,
		classifier: classifier{codes: s.CodeActions, reasons: s.ReasonActions},
		outOfScope: &providers.Failure{Kind: providers.KindUnsupported, Message: "QXT answers mobiles of mainland China only"},
	}, nil
}

// Limits are those of the document. It states no rate and no concurrency; the
// defaults are what a careful client of an unknown service takes. A batch of
// 1000 takes the vendor 1.5 s by its own words.
func (p *Provider) Limits() providers.Limits {
	return providers.Limits{
		MaxBatch: maxBatch, DefaultBatch: maxBatch / 2, Timeout: 15 * time.Second, Concurrency: 4, Rate: 5,
	}
}

// Partition accepts mobiles of mainland China: 11 digits from 13 to 19.
func (p *Provider) Partition(n providers.Number, _ providers.Options) (string, *providers.Failure) {
	if n.CountryCode == countryCodeCN && len(n.National) == mobileDigits && n.National[0] == '1' && n.National[1] >= '3' {
		return partition, nil
	}
	return "", p.outOfScope
}

// Call asks for all numbers of q. One number goes by the single call: only for
// that one the document shows what an error looks like, so a number that
// bisecting has isolated gets a clear verdict, and the vendor states a tenth of
// the batch's latency for it.
func (p *Provider) Call(ctx context.Context, q providers.Query) providers.Reply {
	req := batchRequest(q)
	if len(q.Numbers) == 1 && p.singleCall {
		req = singleRequest(q)
	}
	res, failure := p.client.Do(ctx, req)
	if failure != nil {
		return p.refused(q, res, failure)
	}
	return p.read(q, res)
}

// refused lets the vendor's own words decide about a status that says little:
// 4xx other than "too many requests".
func (p *Provider) refused(q providers.Query, res upstream.Response, failure *providers.Failure) providers.Reply {
	if res.Status/100 == 4 && failure.Kind != providers.KindThrottled {
		if reply, ok := p.readError(q, res.Body); ok {
			if reply.Failure != nil {
				reply.Failure.RetryAfter = failure.RetryAfter
			}
			return reply
		}
	}
	return providers.Reply{Failure: failure}
}
