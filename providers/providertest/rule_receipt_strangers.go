package providertest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/lookupq/lookupq/providers"
)

// checkStrangeReceipts: a receipt of another number, or of another ticket, says
// so; whoever waits can only tell by that.
func checkStrangeReceipts(_ context.Context, x *exam) error {
	return x.eachReceipt(func(d providers.Deferred, r *Receipt) error {
		if r.Unreadable {
			return nil
		}
		national := r.number.National
		other := *r
		other.number.National = national[:len(national)-1] + string('0'+(national[len(national)-1]-'0'+1)%10)
		other.number.E164 = "+" + other.number.CountryCode + other.number.National
		other.Body = renumber(r.Body, national, other.number.National)
		got, err := receive(d, other.Body, false)
		if err := other.check(got, err, false); err != nil {
			return fmt.Errorf("renumbered %w", err)
		}
		if r.Ticket == "" {
			return nil
		}
		other = *r
		other.Ticket = ticketOf(9999)
		other.Body = bytes.ReplaceAll(r.Body, []byte(r.Ticket), []byte(other.Ticket))
		got, err = receive(d, other.Body, false)
		if err := other.check(got, err, false); err != nil {
			return fmt.Errorf("with another ticket %w", err)
		}
		return nil
	})
}
