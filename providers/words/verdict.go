package words

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// Verdict is what an upstream's code, or the words beside it, ask for. Settings
// call it an action.
type Verdict uint8

const (
	// Unknown is what nobody has explained; try again, not for long.
	Unknown Verdict = iota
	// Invalid says that the number is none.
	Invalid
	// NotFound says that nothing is known of the number.
	NotFound
	// Reject refuses this number only, and for good.
	Reject
	// Refused blames something in the request, most likely the number.
	Refused
	// Retry is their fault; later it may work.
	Retry
	// RetryNumber wants only this number later.
	RetryNumber
	// PauseKey says that the key is used too fast.
	PauseKey
	// NoBalance says that the key's money is spent.
	NoBalance
	// DisableKey says that nobody has this key.
	DisableKey
	// Forbidden says that the key may not do this from here.
	Forbidden
	// Bug says that our request is malformed.
	Bug
	// Split says that the batch is too large.
	Split
	// Misconfigured says that there is nothing at this address.
	Misconfigured
	verdicts
)

// name is what settings call the verdict, "" if they cannot ask for it.
func (v Verdict) name() string {
	names := [verdicts]string{
		Unknown: "unknown", Invalid: "invalid_number", NotFound: "not_found", Reject: "reject_number", Retry: "retry",
		PauseKey: "pause_key", NoBalance: "no_balance", DisableKey: "disable_key", Forbidden: "forbidden", Bug: "bug",
		Split: "split", Misconfigured: "misconfigured",
	}
	return names[v]
}

// Common are the verdicts that the settings of every provider can name.
func Common() []Verdict {
	return []Verdict{Unknown, Invalid, NotFound, Reject, Retry, PauseKey, NoBalance, DisableKey, Forbidden, Bug}
}

// Decode reads the name of one of the Common verdicts, or of those that this
// provider knows beside them.
func Decode(node *yaml.Node, more ...Verdict) (Verdict, error) {
	known := make(map[string]Verdict)
	for _, v := range append(Common(), more...) {
		known[v.name()] = v
	}
	return OneOf(node, "action", known)
}

// OneOf reads a scalar that has to be one of the names of meanings; what is the
// kind of thing that they are.
func OneOf[V any](node *yaml.Node, what string, meanings map[string]V) (V, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	v, ok := meanings[node.Value]
	if ok && node.Kind == yaml.ScalarNode {
		return v, nil
	}
	names := make([]string, 0, len(meanings))
	for name := range meanings {
		names = append(names, name)
	}
	slices.Sort(names)
	var none V
	return none, setup.FieldError{Line: node.Line, Problem: fmt.Sprintf("%q is no %s; use one of %s", node.Value, what, strings.Join(names, ", "))}
}

// AboutNumber reports whether the verdict concerns one number and no other, for good.
func (v Verdict) AboutNumber() bool { return v == Invalid || v == NotFound || v == Reject }

// AboutCall reports whether the verdict concerns key or request, whatever number was asked.
func (v Verdict) AboutCall() bool {
	switch v {
	case PauseKey, NoBalance, DisableKey, Forbidden, Bug, Split, Misconfigured:
		return true
	case Unknown, Invalid, NotFound, Reject, Refused, Retry, RetryNumber, verdicts:
	}
	return false
}

// Kind is the failure of a call for one number.
func (v Verdict) Kind() providers.Kind {
	switch v {
	case Invalid, NotFound, Reject:
		return providers.KindRejected
	case Refused:
		return providers.KindRefused
	case Retry:
		return providers.KindUnavailable
	case RetryNumber:
		return providers.KindRetryable
	case PauseKey:
		return providers.KindThrottled
	case NoBalance:
		return providers.KindNoBalance
	case DisableKey:
		return providers.KindUnauthorized
	case Forbidden:
		return providers.KindForbidden
	case Bug:
		return providers.KindInternal
	case Split:
		return providers.KindTooMany
	case Misconfigured:
		return providers.KindMisconfigured
	case Unknown, verdicts:
	}
	return providers.KindUndocumented
}

// CallKind is the failure of a whole call of several numbers.
func (v Verdict) CallKind() providers.Kind {
	if v.AboutNumber() {
		return providers.KindRefused // for what is in it; which number, bisecting tells
	}
	return v.Kind()
}

// NumberKind is the failure of one number while others of the same reply were
// answered, so that neither the key nor the call can be at fault. Only the money
// may have ended in the middle of the batch.
func (v Verdict) NumberKind() providers.Kind {
	switch v {
	case Refused, Forbidden:
		return providers.KindRejected
	case Retry, DisableKey, Split:
		return providers.KindRetryable
	case Unknown, Invalid, NotFound, Reject, RetryNumber, PauseKey, NoBalance, Bug, Misconfigured, verdicts:
	}
	return v.Kind()
}
