package qxt

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Balance asks how many queries the key has left. A balance below zero is a
// postpaid account's, whatever its fee type is called: the vendor's own picture
// shows one that works.
func (p *Provider) Balance(ctx context.Context, key providers.Key) (providers.Balance, *providers.Failure) {
	q := providers.Query{Key: key}
	res, failure := p.client.Do(ctx, balanceRequest(key))
	if failure != nil {
		return providers.Balance{}, p.refused(q, res, failure).Failure
	}
	return p.readBalance(q, res)
}

// readBalance is what a reply of success says of the balance.
func (p *Provider) readBalance(q providers.Query, res upstream.Response) (providers.Balance, *providers.Failure) {
	var balance providers.Balance
	failure := upstream.Unreadable(res)
	r := p.newReading(q)
	list, _, ok := readReply(res.Body, func(*entry) {}, func(e *entry) {
		if !e.hasCode || e.code != codeSuccess {
			failure = r.judge(e).call
			return
		}
		amount, err := strconv.ParseFloat(string(e.balance), 64)
		if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) {
			return
		}
		postpaid := amount < 0 || strings.Contains(string(e.feeType), "后付")
		balance, failure = providers.Balance{Amount: amount, Unit: "lookups", Postpaid: postpaid}, nil
	})
	if !ok || list {
		return providers.Balance{}, upstream.Unreadable(res)
	}
	return balance, failure
}
