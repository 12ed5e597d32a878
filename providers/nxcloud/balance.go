package nxcloud

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

const (
	// defaultBalanceHost is another host than that of the checks; the document
	// writes http.
	defaultBalanceHost = "https://api.nxcloud.com"
	pathBalance        = "/api/common/getBalance"
)

// withBalance is a Provider whose keys have credentials for the balance call.
type withBalance struct {
	*Provider

	balanceClient *upstream.Client
	balancePath   string
}

// newBalance prepares the balance call. Where base_url is replaced, by a gateway
// or a simulator, balances are asked for there too unless balance_url is set:
// credentials meant for it must not leave for the vendor.
func newBalance(cfg setup.Config, address string) (*withBalance, error) {
	b := &withBalance{balancePath: pathBalance}
	base := address
	switch u, err := url.Parse(address); {
	case address == "":
		base = or(cfg.BaseURL, defaultBalanceHost)
	case err == nil && u.Path != "" && u.Path != "/" && u.RawQuery == "" && u.Fragment == "":
		b.balancePath = u.EscapedPath()
		base = strings.TrimSuffix(address, b.balancePath)
	}
	var err error
	b.balanceClient, err = upstream.New(upstream.Config{BaseURL: base, Transport: cfg.Transport, Clock: cfg.Clock})
	if err != nil {
		return nil, setup.FieldError{Path: "settings.balance_url", Problem: "is no address; write it like " + defaultBalanceHost + pathBalance}
	}
	return b, nil
}

// Balance asks for what the customer has left. An account with credit works below zero.
func (b *withBalance) Balance(ctx context.Context, key providers.Key) (providers.Balance, *providers.Failure) {
	a := b.settings.account(key.Name)
	if !a.BalanceAppKey.set() || !a.BalanceSecret.set() {
		return providers.Balance{}, &providers.Failure{
			Kind: providers.KindUnauthorized, Message: "the settings name no balance_app_key or no balance_secret for this key",
		}
	}
	secrets := append(b.secrets(key), a.BalanceAppKey.Secret, a.BalanceSecret.Secret)
	form := url.Values{"appkey": {a.BalanceAppKey.Reveal()}, "secretkey": {a.BalanceSecret.Reveal()}}
	res, failure := b.balanceClient.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: b.balancePath, ContentType: "application/x-www-form-urlencoded",
		Body: []byte(form.Encode()), Secrets: secrets,
	})
	if failure != nil {
		return providers.Balance{}, failure
	}
	return b.readBalance(res, secrets)
}

// readBalance reads the reply. The document names no code but success.
func (b *withBalance) readBalance(res upstream.Response, secrets []providers.Secret) (providers.Balance, *providers.Failure) {
	o, _ := readObject(res.Body)
	code, ok := o.code()
	switch {
	case !ok:
		return providers.Balance{}, upstream.Unreadable(res)
	case code != codeSuccess:
		return providers.Balance{}, &providers.Failure{
			Kind: callKind(code, 1), Code: strconv.Itoa(code), Message: upstream.Clean(o.words(), secrets...),
		}
	}
	amount, err := strconv.ParseFloat(o.word("balance"), 64)
	if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) {
		return providers.Balance{}, upstream.Unreadable(res)
	}
	credit, err := strconv.ParseFloat(o.word("credit_balance"), 64)
	return providers.Balance{
		Amount: amount, Unit: b.settings.BalanceCurrency, Postpaid: amount < 0 || err == nil && credit > 0,
	}, nil
}
