// Package nxcloud looks up numbers of any country at NXCloud (牛信云): type and
// operator, or what the home network says (HLR), or what a call finds out. What
// comes in is up to 5000 numbers of one country and one key, which are submitted
// as a batch; the answers come later, as receipts that the vendor posts and when
// it is asked. The provider keeps nothing but a guess of the vendor's clock, is
// safe in parallel and needs no stopping.
//
// A key's secret is the vendor's accessSecret. The vendor wants two names beside
// it, one set for all keys or one a key:
//
//	settings:
//	  access_key: ${NX_ACCESS_KEY}
//	  app_key: ${NX_APP_KEY}
//	  accounts:                 # by the names of keys; what is missing here is taken from above
//	    second: {access_key: ${NX_ACCESS_KEY_2}, app_key: ${NX_APP_KEY_2}}
//	  check_level: 1            # 1 basic, 4 call, 5 HLR, for jobs that do not choose one themselves
//	  sync_call: false          # one number at level 1 is asked at once; not every account has that call
//	  poll_after: 6m            # after a submit, the vendor is asked for the first time (15s where receipts cannot be received),
//	  poll_every: 5m            # and then every so often (30s)
//	  give_up_after: 70m        # a number without an answer counts as never answered
//	  unknown_after: 10m        # a batch whose submit got no reply, and which the vendor does not know, counts as never taken
//	  outstanding: 20000        # numbers submitted and not answered, over the fleet
//
// The balance is that of another product of the vendor's, with credentials of its
// own; it is only asked for where these are set:
//
//	settings:
//	  balance_app_key: ${NX_SMS_APP_KEY}   # this and the next also under accounts
//	  balance_secret: ${NX_SMS_SECRET}
//	  balance_currency: CNY                # the reply does not tell
//	  balance_url: https://api.nxcloud.com/api/common/getBalance
//
// A job or route may set the option check_level.
//
// The vendor has changed its document twice, and an account may speak any of its
// three generations. All are read.
package nxcloud

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// DefaultBaseURL is the documented host. The document writes http for this
// product, and https for others on the same host.
const DefaultBaseURL = "https://api2.nxcloud.com"

const (
	maxBatch     = 5000
	defaultBatch = 1000
	// fastBatch is how large a batch may be submitted at fastRate; larger ones go
	// at slowRate.
	fastBatch = 2000
	fastRate  = 10
	slowRate  = 1

	// checkTicket is a batch that never was.
	checkTicket = "lookupq-check"
)

// Provider is the NXCloud upstream.
type Provider struct {
	client   *upstream.Client
	settings settings
	pace     providers.Pace
	rate     float64
	clock    func() time.Time
	noNumber *providers.Failure
	// known are the secrets in the settings, for texts that belong to no key.
	known []providers.Secret
	// skew is how far the vendor's clock is ahead of ours, as its last complaint
	// about our time showed, in nanoseconds. A hint: without it a call takes two
	// requests.
	skew atomic.Int64
}

var (
	_ providers.Deferred         = (*Provider)(nil)
	_ providers.OptionsValidator = (*Provider)(nil)
	_ providers.Checker          = (*Provider)(nil)
	_ providers.Deferred         = (*withBalance)(nil)
	_ providers.BalanceReader    = (*withBalance)(nil)
)

// New builds the provider; the error has every fault of the configuration. Only
// with credentials for balances it is a providers.BalanceReader.
func New(cfg setup.Config) (providers.Provider, error) {
	s, settingsErr := readSettings(cfg.Settings, cfg.Keys, cfg.Receipts)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	address := cfg.BaseURL
	if address == "" {
		address = DefaultBaseURL
	}
	client, err := upstream.New(upstream.Config{BaseURL: address, Transport: cfg.Transport, Clock: cfg.Clock})
	var balance *withBalance
	var balanceErr error
	if s.balances() && (err == nil || s.BalanceURL != "") {
		balance, balanceErr = newBalance(cfg, s.BalanceURL)
	}
	if err := setup.Join("", err, settingsErr, balanceErr); err != nil {
		return nil, err
	}
	p := &Provider{
		client: client, settings: s, pace: s.pace(), rate: rateFor(cfg.Batch), clock: cfg.Clock, known: s.secrets(),
		noNumber: &providers.Failure{Kind: providers.KindUnsupported, Message: "NXCloud answers numbers with a calling code only"},
	}
	if balance != nil {
		balance.Provider = p
		return balance, nil
	}
	return p, nil
}

// Limits are those of the newest document; the older ones state none.
func (p *Provider) Limits() providers.Limits {
	return providers.Limits{
		MaxBatch: maxBatch, DefaultBatch: defaultBatch, Timeout: 15 * time.Second, Concurrency: 2, Rate: p.rate,
	}
}

// rateFor is how many batches of so many numbers may be submitted in a second.
func rateFor(batch int) float64 {
	if batch > fastBatch {
		return slowRate
	}
	return fastRate
}

// Defers is true for all but one number at the basic level, where the settings
// allow the synchronous call.
func (p *Provider) Defers(q providers.Query) bool {
	l, err := p.chosenLevel(q.Options)
	return err != nil || !p.settings.SyncCall || len(q.Numbers) != 1 || l != levelBasic
}

// Pace is that of the settings.
func (p *Provider) Pace() providers.Pace { return p.pace }

// Check asks for a batch that does not exist, which costs nothing: the signature
// and all three names have to be right for an empty list.
func (p *Provider) Check(ctx context.Context, key providers.Key) *providers.Failure {
	_, _, failure := p.ask(ctx, key, question{
		BatchNo: checkTicket, Page: 1, PageSize: 1, Date: p.now().In(china()).Format(dateLayout),
		AppKey: p.settings.account(key.Name).AppKey.Reveal(),
	}, true)
	return failure
}

// secrets are what no text about a call with key may hold.
func (p *Provider) secrets(key providers.Key) []providers.Secret {
	a := p.settings.account(key.Name)
	return []providers.Secret{key.Secret, a.AccessKey.Secret, a.AppKey.Secret}
}
