package qxt

import (
	"fmt"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// action is what a code and its reason ask for.
type action uint8

const (
	// actUnknown: nobody knows what the code means; try again, not for long.
	actUnknown action = iota
	// actInvalid: the number is none.
	actInvalid
	// actNotFound: nothing is known of the number.
	actNotFound
	// actReject: this number only, and for good.
	actReject
	// actRetry: their fault, later it may work.
	actRetry
	// actPauseKey: the key is used too fast.
	actPauseKey
	// actNoBalance: the key's money is spent.
	actNoBalance
	// actDisableKey: no account has this key.
	actDisableKey
	// actForbidden: the key may not do this from here.
	actForbidden
	// actBug: our request is malformed.
	actBug
	// actSplit: the batch is too large.
	actSplit
)

// actionNames are the names by which settings call the actions.
func actionNames() map[string]action {
	return map[string]action{
		"unknown": actUnknown, "invalid_number": actInvalid, "not_found": actNotFound, "reject_number": actReject,
		"retry": actRetry, "pause_key": actPauseKey, "no_balance": actNoBalance, "disable_key": actDisableKey,
		"forbidden": actForbidden, "bug": actBug, "split": actSplit,
	}
}

// UnmarshalYAML reads an action by its name.
func (a *action) UnmarshalYAML(node *yaml.Node) error {
	names := actionNames()
	v, ok := names[node.Value]
	if !ok || node.Kind != yaml.ScalarNode {
		all := make([]string, 0, len(names))
		for name := range names {
			all = append(all, name)
		}
		sort.Strings(all)
		return setup.FieldError{Line: node.Line, Problem: fmt.Sprintf("%q is no action; use one of %s", node.Value, strings.Join(all, ", "))}
	}
	*a = v
	return nil
}

// aboutNumber reports whether the action concerns one number and no other.
func (a action) aboutNumber() bool { return a == actInvalid || a == actNotFound || a == actReject }

// aboutCall reports whether the action concerns key or request, whatever number was asked.
func (a action) aboutCall() bool {
	switch a {
	case actPauseKey, actNoBalance, actDisableKey, actForbidden, actBug, actSplit:
		return true
	case actUnknown, actInvalid, actNotFound, actReject, actRetry:
	}
	return false
}

// callKind is the failure of a whole call of several numbers.
func (a action) callKind() providers.Kind {
	switch a {
	case actInvalid, actNotFound, actReject:
		return providers.KindRefused // for what is in it; which number, bisecting tells
	case actRetry:
		return providers.KindUnavailable
	case actPauseKey:
		return providers.KindThrottled
	case actNoBalance:
		return providers.KindNoBalance
	case actDisableKey:
		return providers.KindUnauthorized
	case actForbidden:
		return providers.KindForbidden
	case actBug:
		return providers.KindInternal
	case actSplit:
		return providers.KindTooMany
	case actUnknown:
	}
	return providers.KindUndocumented
}

// numberKind is the failure of one number while others of the same reply were
// answered, so that neither the key nor the call can be at fault.
func (a action) numberKind() providers.Kind {
	switch a {
	case actInvalid, actNotFound, actReject, actForbidden:
		return providers.KindRejected
	case actRetry, actDisableKey, actSplit:
		return providers.KindRetryable
	case actPauseKey:
		return providers.KindThrottled
	case actNoBalance:
		return providers.KindNoBalance // the money ended in the middle of the batch
	case actBug:
		return providers.KindInternal
	case actUnknown:
	}
	return providers.KindUndocumented
}
