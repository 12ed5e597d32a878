package telnyx

import (
	"context"
	"encoding/json"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// portability asks whether the numbers could be ported to Telnyx.
func (s *session) portability(ctx context.Context) providers.Reply {
	res, no := s.send(ctx, ask{route: portabilityChecks, body: portabilityBody(s.q.Numbers)})
	if no != nil {
		return no.reply(s.q.Numbers)
	}
	return readPortability(s.q, res)
}

// portabilityBody is {"phone_numbers":["+13035550000",…]}. The numbers are digits.
func portabilityBody(numbers []providers.Number) []byte {
	const start = `{"phone_numbers":[`
	body := make([]byte, 0, len(start)+len(numbers)*(maxDigits+4)+2)
	body = append(body, start...)
	for i, n := range numbers {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), n.E164...), '"')
	}
	return append(body, ']', '}')
}

// portabilityResult is what Telnyx says of one number.
type portabilityResult struct {
	PhoneNumber  text `json:"phone_number"`
	Portable     flag `json:"portable"`
	FastPortable flag `json:"fast_portable"`
	Reason       text `json:"not_portable_reason"`
}

// readPortability joins the results by number: their order is not documented.
func readPortability(q providers.Query, res upstream.Response) providers.Reply {
	list, ok := readList(res.Body)
	if !ok {
		return providers.Reply{Failure: upstream.Unreadable(res)}
	}
	join := upstream.NewJoin(q.Numbers, func(n providers.Number) string { return n.E164[1:] })
	unclear := &providers.Failure{Kind: providers.KindGarbled, Message: "the reply does not say whether the number is portable"}
	for _, raw := range list.data {
		var r portabilityResult
		if json.Unmarshal(raw, &r) != nil || r.PhoneNumber.digits() == "" {
			join.Extra(1)
			continue
		}
		out := join.Place([]byte(r.PhoneNumber.digits()))
		if out == nil {
			continue
		}
		if r.Portable.Tri == providers.Unknown {
			*out = providers.Outcome{Kind: providers.Failed, Failure: unclear}
			continue
		}
		*out = providers.Outcome{Kind: providers.Found, Facts: r.facts(q.Key.Secret)}
		if q.Raw {
			out.Raw = raw
		}
	}
	return join.Reply()
}

func (r *portabilityResult) facts(secret providers.Secret) providers.Facts {
	f := providers.Facts{Portable: r.Portable.Tri, FastPortable: r.FastPortable.Tri}
	if r.Portable.Tri == providers.No {
		f.NotPortableReason = upstream.Clean(r.Reason.s, secret) // free text
	}
	return f
}
