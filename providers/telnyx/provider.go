// Package telnyx asks Telnyx (api.telnyx.com, API v2) about numbers: could one be
// ported to Telnyx, who serves one now, how far is a port that was ordered. What
// comes in is numbers in E.164 from anywhere in the world, and one key; what goes
// out is an outcome for each. Only reads can be sent, see route. It is safe in
// parallel and needs no stopping.
//
// The option operation, of the job or the route, says what is asked:
//
//   - portability (default): could the number be ported to Telnyx, and fast? Up to
//     1000 numbers a call. It says nothing of whether the number was ported, so
//     the fact ported is never set.
//   - number_lookup: carrier, line type, ported or not and since when, for one
//     number a call. Telnyx bills it by the lookup. By the vendor's reference the
//     carrier's name is that of the number block's owner unless the number was
//     ported; so the original carrier is known where the reply says "not ported".
//   - porting_status: the number's porting order in the key's own account. Few
//     numbers (porting_direct) are asked for one by one, a call each; for more, the
//     account's orders and numbers are listed page by page, a call each, once for
//     all, and looked up in memory. A number without an order is not found. Of several orders, the one
//     created last that is not cancelled counts; the last one if all are. The
//     status that comes with a number is preferred to its order's. Of an order,
//     only its id, states, date and exception codes are read: what else is in the
//     reply (account number, PIN, tax id) is skipped while decoding.
//
// A call is one request, whatever is asked. Where an answer takes more (the pages of
// a list, an order that has to be looked at), the call fails with Failure.Innocent
// and keeps what it has learned for the next one, so that each request has a permit.
// Calls of one key at the same time read different pages.
//
// What is kept, by key: the list, for porting_max_age, 100 to 200 bytes a number; and
// the unfinished searches for single numbers, at most 1000 of them.
//
//	settings:
//	  operation: portability        # where neither job nor route has the option
//	  read_timeout: 10s             # of number_lookup and porting_status; the provider's timeout holds as well
//	  porting_direct: 3             # how many numbers of a call are still asked for one by one
//	  porting_max_age: 5m           # how long the list of porting numbers is good
//	  porting_max_numbers: 200000   # a longer list is refused
//	  porting_page_size: 100        # entries a page
package telnyx

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// DefaultBaseURL is the documented address.
const DefaultBaseURL = "https://api.telnyx.com/v2"

const (
	// maxBatch is the error catalogue's: 80401 is "more than 1000 numbers". The
	// endpoint itself documents no maximum, so batches are smaller by default.
	maxBatch     = 1000
	defaultBatch = 100
)

// Provider is the Telnyx upstream. It implements providers.Provider,
// providers.OptionsValidator, providers.PartitionLimiter and providers.Checker.
type Provider struct {
	wire     wire
	settings settings
	ledgers  ledgers
	noNumber *providers.Failure
}

var (
	_ providers.Provider         = (*Provider)(nil)
	_ providers.OptionsValidator = (*Provider)(nil)
	_ providers.PartitionLimiter = (*Provider)(nil)
	_ providers.Checker          = (*Provider)(nil)
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
		wire: wire{client: client}, settings: s,
		noNumber: &providers.Failure{Kind: providers.KindUnsupported, Message: "Telnyx takes numbers in E.164 only: 7 to 15 digits"},
	}, nil
}

// Limits are those of the documents where there are any. Neither rate nor
// concurrency is published; the defaults are a careful client's.
func (p *Provider) Limits() providers.Limits {
	return providers.Limits{
		MaxBatch: maxBatch, DefaultBatch: defaultBatch, Timeout: 15 * time.Second, Concurrency: 4, Rate: 5,
	}
}

// Partition accepts every number in E.164; the partition is the operation.
func (p *Provider) Partition(n providers.Number, opts providers.Options) (string, *providers.Failure) {
	op, err := p.operationOf(opts)
	if err != nil {
		return "", &providers.Failure{Kind: providers.KindUnsupported, Message: err.Error()}
	}
	if !isE164(n.E164) {
		return "", p.noNumber
	}
	return string(op), nil
}

// PartitionLimit is one number for number_lookup, whose address is the number.
func (p *Provider) PartitionLimit(partition string) int {
	if operation(partition) == opLookup {
		return 1
	}
	return maxBatch
}

// ValidateOptions says what is wrong with opts; the only option is the operation.
func (p *Provider) ValidateOptions(opts providers.Options) error {
	for name := range opts {
		if name != optionOperation {
			return errUnknownOption(name)
		}
	}
	_, err := p.operationOf(opts)
	return err
}

// Call asks for all numbers of q, with one request or none.
func (p *Provider) Call(ctx context.Context, q providers.Query) providers.Reply {
	op, err := p.operationOf(q.Options)
	if err != nil {
		return providers.Reply{Failure: &providers.Failure{Kind: providers.KindUnsupported, Message: err.Error()}}
	}
	for _, n := range q.Numbers {
		if !isE164(n.E164) {
			return providers.Reply{Failure: p.noNumber}
		}
	}
	s := session{p: p, q: q}
	return s.ask(ctx, op)
}

// Check reads one porting order of the key's account, which costs nothing, and
// looks at nothing in it.
func (p *Provider) Check(ctx context.Context, key providers.Key) *providers.Failure {
	res, no := p.wire.send(ctx, key, ask{route: portingOrders, query: pageOf(0, 1)})
	if no != nil {
		return no.failure
	}
	if _, ok := readList(res.Body); !ok {
		return upstream.Unreadable(res)
	}
	return nil
}
