// Package providertest holds the rules that every provider keeps. What comes in
// is a provider type and the folder of its recorded exchanges, what goes out is a
// test a rule. The folder has one file a recorded call (Case); the suite replays
// it, and makes the faults itself: an upstream that is slow, broken, hostile or
// gone. It starts its own servers on the loopback interface and stops them.
//
// A deferred provider's call is two requests: the suite submits, fetches page
// after page and reads the entries, as the worker does over minutes, and every
// fault is made of either request. Receipts that the upstream pushes are recorded
// beside the calls.
//
// A provider that calls nobody is asked what needs no network, one that takes a
// number at a time nothing about lists: the rules that apply follow from what the
// provider says of itself. No rule is ever skipped.
package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

// Type is a provider type under examination.
type Type struct {
	Name string
	New  func(setup.Config) (providers.Provider, error)
	// Testdata is the folder of its recorded calls.
	Testdata string
}

// ruleTimeout ends a rule that hangs. None takes two seconds, but machines are
// busy and the race detector is slow.
const ruleTimeout = time.Minute

// Run examines a provider type, one subtest a rule. The rules run one after the
// other, because one of them counts goroutines.
func Run(t *testing.T, typ Type) {
	t.Helper()
	x, err := newExam(typ)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rulesFor(x) {
		t.Run(r.name, func(t *testing.T) {
			if err := r.run(t.Context(), x); err != nil {
				t.Error(err)
			}
		})
	}
}

// rule is one thing that has to hold, for the providers that it applies to.
type rule struct {
	name    string
	applies func(*exam) bool
	check   func(context.Context, *exam) error
}

func (r rule) run(ctx context.Context, x *exam) error {
	ctx, cancel := context.WithTimeout(ctx, ruleTimeout)
	defer cancel()
	err := r.check(ctx, x)
	if err == nil && ctx.Err() != nil {
		err = errors.New("the rule's time ran out")
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", x.typ.Name, r.name, err)
	}
	return nil
}

func deferred(x *exam) bool {
	_, ok := x.sample.(providers.Deferred)
	return ok
}

func always(*exam) bool        { return true }
func overNetwork(x *exam) bool { return !x.limits.Keyless }
func inBatches(x *exam) bool   { return overNetwork(x) && x.limits.MaxBatch > 1 }

func inPages(x *exam) bool { return deferred(x) && x.found.Query.Paging != nil }

func withOptions(x *exam) bool {
	_, ok := x.sample.(providers.OptionsValidator)
	return ok || slices.ContainsFunc(x.cases, func(c *Case) bool { return len(c.Options) > 0 })
}

func withBalance(x *exam) bool {
	_, ok := x.sample.(providers.BalanceReader)
	return ok
}

// rulesFor are the rules that apply to the exam's provider.
func rulesFor(x *exam) []rule {
	all := []rule{
		{"limits", always, checkLimits},
		{"settings", always, checkSettings},
		{"partition", always, checkPartition},
		{"options", withOptions, checkOptions},
		{"found", always, checkFound},
		{"not found", always, checkNotFound},
		{"partial", always, checkPartial},
		{"other recorded calls", always, checkOthers},
		{"raw", always, checkRaw},
		{"parallel", always, checkParallel},
		{"cancel", always, checkCancel},
		{"goroutines", always, checkGoroutines},

		{"base url", overNetwork, checkBaseURL},
		{"throttled", overNetwork, checkThrottled},
		{"status", overNetwork, checkStatus},
		{"bad request", overNetwork, checkBadRequest},
		{"refused", overNetwork, checkRefused},
		{"hang", overNetwork, checkHang},
		{"reset", overNetwork, checkReset},
		{"truncated", overNetwork, checkTruncated},
		{"oversize", overNetwork, checkOversize},
		{"content type", overNetwork, checkContentType},
		{"html", overNetwork, checkHTML},
		{"empty reply", overNetwork, checkEmpty},
		{"wrong types", overNetwork, checkWrongTypes},
		{"redirect", overNetwork, checkRedirect},
		{"secrets", overNetwork, checkSecrets},

		{"missing numbers", inBatches, checkMissing},
		{"extra numbers", inBatches, checkExtra},
		{"duplicate numbers", inBatches, checkDuplicate},
		{"any order", inBatches, checkOrder},
		{"full batch", inBatches, checkFullBatch},

		{"pace", deferred, checkPace},
		{"pages", inPages, checkPages},
		{"no callback", deferred, checkNoCallback},
		{"receipts", deferred, checkReceipts},
		{"strange receipts", deferred, checkStrangeReceipts},
		{"garbled receipts", deferred, checkGarbledReceipts},
		{"receipt types", deferred, checkReceiptTypes},

		{"balance", withBalance, checkBalance},
	}
	var apply []rule
	for _, r := range all {
		if r.applies(x) {
			apply = append(apply, r)
		}
	}
	return apply
}
