package nxcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

const (
	pathSubmit = "/api/number/check"
	pathSync   = "/api/number/check/get"
	// maxTicket is how long a batchNo may be.
	maxTicket = 64
)

// submission is the body of a submit and of the synchronous call.
type submission struct {
	Phone      string `json:"phone"`
	BatchNo    string `json:"batchNo,omitempty"` //nolint:tagliatelle // the vendor's name
	CheckLevel level  `json:"checkLevel"`        //nolint:tagliatelle // the vendor's name
	// DrURL is where receipts go; without it they go where the vendor's console
	// says, or nowhere.
	DrURL  string `json:"drUrl,omitempty"` //nolint:tagliatelle // the vendor's name
	AppKey string `json:"appkey"`
}

// Submit hands in the numbers of q as the batch ticket. A submit whose reply is
// lost must not be repeated: the document does not say that a batchNo is taken
// only once. A refused signature or time is no lost reply, and worth one request
// more than the permit is for.
func (p *Provider) Submit(ctx context.Context, q providers.Query, ticket, callbackURL string) providers.Reply {
	body, failure := p.submission(q)
	if failure == nil && (ticket == "" || len(ticket) > maxTicket) {
		failure = &providers.Failure{Kind: providers.KindInternal, Message: fmt.Sprintf("a ticket has 1 to %d characters", maxTicket)}
	}
	if failure != nil {
		return providers.Reply{Failure: failure}
	}
	body.BatchNo, body.DrURL = ticket, callbackURL
	// The address of receipts is a secret too: whoever knows it can send some.
	o, failure := p.call(ctx, request{
		key: q.Key, path: pathSubmit, body: body, hide: addresses(callbackURL), again: true, paid: true, kindOf: kindFor(q),
	})
	if failure == nil {
		var reply providers.Reply
		if reply, failure = p.submitted(q, o, ticket); failure == nil {
			return reply
		}
	}
	if failure.Kind.Unsure() {
		return providers.Reply{Failure: failure, Ticket: ticket}
	}
	return providers.Reply{Failure: failure}
}

// minToken is the shortest end of an address that is taken for a token: ours have
// 64 characters, and redacting less would spoil the vendor's words.
const minToken = 16

// addresses are a URL without its scheme and its end, which is the token, however
// the vendor spells the rest.
func addresses(url string) []string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	token := rest[strings.LastIndexByte(rest, '/')+1:]
	if len(token) < minToken {
		return []string{rest}
	}
	return []string{rest, token}
}

func kindFor(q providers.Query) func(int, string) providers.Kind {
	return func(code int, _ string) providers.Kind { return callKind(code, len(q.Numbers)) }
}

func (p *Provider) submission(q providers.Query) (submission, *providers.Failure) {
	l, err := p.chosenLevel(q.Options)
	if err != nil {
		return submission{}, &providers.Failure{Kind: providers.KindUnsupported, Message: err.Error()}
	}
	var phones strings.Builder
	for i, n := range q.Numbers {
		if i > 0 {
			phones.WriteByte(',')
		}
		phones.WriteString(phoneOf(n))
	}
	return submission{Phone: phones.String(), CheckLevel: l, AppKey: p.settings.account(q.Key.Name).AppKey.Reveal()}, nil
}

// phoneOf is a number as the vendor writes it: E.164 without the plus.
func phoneOf(n providers.Number) string { return strings.TrimPrefix(n.E164, "+") }

// submitted reads the reply to a batch that was taken: all of its numbers are
// pending but those that the reply refuses.
func (p *Provider) submitted(q providers.Query, o object, ticket string) (providers.Reply, *providers.Failure) {
	garbled := func(what string) (providers.Reply, *providers.Failure) {
		return providers.Reply{}, &providers.Failure{Kind: providers.KindGarbled, Message: what}
	}
	data, ok := o.nested("data")
	if !ok {
		return garbled("the reply's data is no object")
	}
	if batchNo, wrong := data.text("batchNo"); wrong || batchNo != "" && batchNo != ticket {
		return garbled("the reply is about another batch")
	}
	refused, ok := data.list("failNumber")
	if !ok {
		return garbled("the reply's failNumber is no list")
	}
	join := upstream.NewJoin(q.Numbers, phoneOf)
	for _, raw := range refused {
		p.refuse(join, q, raw)
	}
	join.Rest(providers.Outcome{Kind: providers.Pending})
	reply := join.Reply()
	if slices.ContainsFunc(reply.Outcomes, func(o providers.Outcome) bool { return o.Kind == providers.Pending }) {
		reply.Ticket = ticket
	}
	return reply, nil
}

// refuse brings an element of failNumber to its number. The document cuts off
// what an element says besides the number, so it may be an object with anything
// in it or the bare number.
func (p *Provider) refuse(join *upstream.Join, q providers.Query, raw json.RawMessage) {
	o, _ := readObject(raw)
	phone := o.word("number", "phone")
	if o == nil {
		phone, _ = scalar(raw)
	}
	number, ok := digits(phone)
	if !ok {
		join.Extra(1)
		return
	}
	dst := join.Place([]byte(number))
	if dst == nil {
		return
	}
	words := upstream.Clean(o.reason(), p.secrets(q.Key)...)
	if code, ok := o.code(); ok && code != codeSuccess {
		*dst = outcomeOf(code, words)
	} else {
		*dst = refusal(words)
	}
	if q.Raw {
		dst.Raw = slices.Clone(raw)
	}
}

// refusal is a number refused at once, without a code.
func refusal(words string) providers.Outcome {
	f := &providers.Failure{Kind: providers.KindRejected, Message: words}
	if has(strings.ToLower(words), "格式", "无效", "非法", "不合法", "长度", "空号", "format", "invalid", "illegal", "length", "malformed") {
		return providers.Outcome{Kind: providers.Invalid, Failure: f}
	}
	return providers.Outcome{Kind: providers.Failed, Failure: f}
}

// reason is every word in o but the number and the code, in the order of their names.
func (o object) reason() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch name {
		case "number", "phone", "code":
			continue
		}
		if s := o.word(name); s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "; ")
}
